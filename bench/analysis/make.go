package main

import (
	"hash/fnv"
	"math/rand/v2"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
)

// deviation of the random weights, near that of trained ones.
const deviation = 0.02

// source writes a checkpoint of SD 1.x with random weights in fp16.
func source(path string) error {
	c := sd.SD1Config()
	parts := map[checkpoint.Part][]checkpoint.Tensor{}
	for part, shapes := range map[checkpoint.Part][]sd.Shape{checkpoint.UNet: c.UNet.Shapes(), checkpoint.Text: c.Text.Shapes(), checkpoint.VAE: c.VAE.Shapes()} {
		for _, s := range shapes {
			parts[part] = append(parts[part], checkpoint.Tensor{Name: s.Name, DType: checkpoint.F16, Shape: s.Dims})
		}
	}
	tensors, err := checkpoint.Single(parts)
	if err != nil {
		return err
	}
	return checkpoint.Stream(path, tensors, nil, func(t checkpoint.Tensor) ([]byte, error) { return random(t) })
}

// loha writes a LoHa 8/4 of the 350 modules that LyCORIS 0.1.2 adapted, with random factors, in fp16.
func loha(path string) error {
	spec := adapter.Default()
	spec.Preset = "lycoris-0.1.2"
	plan, err := adapter.Plan(adapter.Layers(sd.SD1Config()), spec)
	if err != nil {
		return err
	}
	var tensors []checkpoint.Tensor
	for _, p := range plan {
		for _, t := range p.Tensors {
			tensors = append(tensors, checkpoint.Tensor{Name: p.Layer.Name + "." + t.Suffix, DType: checkpoint.F16, Shape: t.Shape})
		}
		tensors = append(tensors, checkpoint.Tensor{Name: p.Layer.Name + ".alpha", DType: checkpoint.F16})
	}
	return checkpoint.Stream(path, tensors, nil, func(t checkpoint.Tensor) ([]byte, error) {
		if len(t.Shape) == 0 {
			one, err := checkpoint.FromFloats(t.Name, t.DType, nil, []float32{1})
			return one.Data, err
		}
		return random(t)
	})
}

// random is normal numbers that the tensor's name decides.
func random(t checkpoint.Tensor) ([]byte, error) {
	h := fnv.New64a()
	h.Write([]byte(t.Name))
	rng := rand.New(rand.NewPCG(h.Sum64(), 1))
	values := make([]float32, t.Len())
	for i := range values {
		values[i] = float32(deviation * rng.NormFloat64())
	}
	filled, err := checkpoint.FromFloats(t.Name, t.DType, t.Shape, values)
	return filled.Data, err
}
