package sample

import (
	"testing"

	"github.com/lohakit/notebook/lohakit/sd"
)

// BenchmarkEvaluation is one evaluation of a UNet of the miniature models' size for two images, without compiling.
func BenchmarkEvaluation(b *testing.B) {
	m, err := sd.New(sd.Config{
		UNet: sd.UNetConfig{In: 12, Out: 12, Channels: []int{32, 64, 96, 96}, Layers: 2, Attention: []bool{true, true, true, false},
			CrossDim: 96, Heads: 4, Groups: 8},
		Text:       sd.TextConfig{Rows: 64, Width: 96, Layers: 3, Heads: 4, MLP: 384, Positions: sd.Window, TokenIDs: []int32{320}},
		VAE:        sd.VAEConfig{Latent: 12, Patch: 4, Scale: 1},
		Prediction: sd.V,
	}, 1)
	if err != nil {
		b.Fatal(err)
	}
	e, err := newEngine(m, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	g := &guide{engine: e, shape: [3]int{12, 16, 16}}
	x := make([]float32, smallRows/2*12*16*16)
	list := make([]row, smallRows)
	for i := range list {
		list[i] = row{i / 2, states{make([]float32, sd.Window*96), 1}, 0.5}
	}
	if _, err := g.evaluate(x, 1, list); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := g.evaluate(x, 1, list); err != nil {
			b.Fatal(err)
		}
	}
}
