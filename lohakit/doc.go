// Package lohakit is what a notebook imports: the verbs to open a Stable Diffusion 1.x base model, load a dataset, train a LoRA, LoCon or
// LoHa adapter step by step, look inside it, and draw sample grids inline. Each verb is a thin layer over the package that does the
// work: sd, dataset, adapter, train, sample, spectrum.
//
// In a plain Go program the verbs return errors as usual and the pictures they return are images; in a notebook the kernel checks a
// trailing error for you and shows what a cell's last line returns.
package lohakit
