package xla

import (
	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/pkg/core/distributed"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
)

// CompileOn is Compile for a program that runs on the first n devices at once, each with inputs of its own. Run takes all inputs of the
// first device, then those of the next, and returns outputs likewise; tensors for other devices than the first come from CopyTo, and none
// may be donated. SumOverDevices is how they work together.
func CompileOn(n int, name string, fn func(in []*graph.Node) []*graph.Node) *Program {
	return &Program{name: name, devices: n, fn: fn}
}

// distribute sets exec up for n devices.
func distribute(exec *graph.Exec, name string, n int) error {
	if have, err := Devices(); err != nil || n > have {
		if err != nil {
			return err
		}
		return fault.New(fault.Missing, "compile", name, "%d devices asked for, there are %d", n, have).Fix("use %d or fewer", have)
	}
	mesh, err := distributed.NewDeviceMesh([]int{n}, []string{"replica"})
	if err != nil {
		return fault.New(fault.Other, "compile", name, "%w", err)
	}
	exec.SPMD(mesh)
	return nil
}

// Devices is the number of devices there are. XLA shows the CPU as several, so that programs for several can be tried out anywhere.
func Devices() (int, error) {
	backend, err := Backend()
	if err != nil {
		return 0, err
	}
	return int(backend.NumDevices()), nil
}

// SumOverDevices is the sum of each node over the devices that the program runs on; every device gets it.
func SumOverDevices(nodes []*graph.Node) []*graph.Node {
	return nodes[0].Graph().Distributed().AllReduce(nodes, backends.ReduceOpSum)
}

// CopyTo returns copies of tensors on a device, counted from 0.
func CopyTo(device int, ts []*tensors.Tensor) ([]*tensors.Tensor, error) {
	backend, err := Backend()
	if err != nil {
		return nil, err
	}
	copies := make([]*tensors.Tensor, len(ts))
	for i, t := range ts {
		if copies[i], err = t.OnDeviceClone(backend, backends.DeviceNum(device)); err != nil {
			return nil, fault.New(fault.Other, "copy to device", "", "%w", err)
		}
	}
	return copies, nil
}
