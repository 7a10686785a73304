package main

import (
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/spectrum"
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

// layers writes the names of the layers in the order of the two lists that are decomposed, for the reference: layers.json.
func layers(dir string) error {
	d, err := between(dir)
	if err != nil {
		return err
	}
	c := sd.SD1Config()
	var unet []string
	for _, s := range c.UNet.Shapes() {
		unet = append(unet, s.Name)
	}
	names := checkpoint.NamesOf(unet)
	var out struct{ Extract, Spectra []string }
	for _, x := range d {
		part := checkpoint.UNet
		if strings.HasPrefix(x.Key, "lora_te_") {
			part = checkpoint.Text
		}
		name, _ := names.LDM(part, x.Name+".weight")
		out.Extract = append(out.Extract, name)
	}
	a, err := adapter.Load(filepath.Join(dir, "loha.safetensors"))
	if err != nil {
		return err
	}
	for _, x := range spectrum.OfAdapter(a, &sd.Model{Config: c}) {
		out.Spectra = append(out.Spectra, x.Key)
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "layers.json"), text, 0o644)
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
