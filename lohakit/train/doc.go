// Package train fits adapters to a dataset: configuration with the trainers' own names, losses, optimizers and schedules as graph
// functions, and a loop that can be stepped, paused, saved and resumed exactly. A step is one compiled program per bucket size: noise
// and tokens go in, weights and optimizer state stay on the device, the loss comes out.
package train
