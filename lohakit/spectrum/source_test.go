package spectrum

import (
	"errors"
	"math"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// tiny is an untrained model of the smallest size that has every kind of block.
func tiny(t testing.TB, seed uint64) *sd.Model {
	t.Helper()
	m, err := sd.New(sd.Config{
		UNet: sd.UNetConfig{In: 4, Out: 4, Channels: []int{16, 32}, Layers: 1, Attention: []bool{true, true}, CrossDim: 16, Heads: 2},
		Text: sd.TextConfig{Rows: 64, Width: 16, Layers: 2, Heads: 2, MLP: 32, Positions: sd.Window, TokenIDs: []int32{320, 1237, 2368}},
		VAE:  sd.VAEConfig{Latent: 4, Patch: 2, Scale: 1},

		Prediction: sd.Epsilon,
	}, seed)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestLoHaHasRankDimSquared looks at a LoHa's true difference: the elementwise product of two of rank 2 has rank 4.
func TestLoHaHasRankDimSquared(t *testing.T) {
	m := tiny(t, 1)
	spec := adapter.Default()
	spec.Dim, spec.ConvDim, spec.Preset = 2, 0, "attn-only"
	a, err := adapter.New(m, spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	const layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
	for i, suffix := range []string{"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"} {
		name := "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q." + suffix
		shape := a.Params.Shape(name)
		a.Params.Set(name, tensors.FromFlatDataAndDimensions(random(shape[0], shape[1], uint64(i)).Data, shape...))
	}
	spectra, err := All(OfAdapter(a, m, layer))
	if err != nil {
		t.Fatal(err)
	}
	s := spectra[0]
	if len(spectra) != 1 || s.Name != layer || s.RankAt(1-1e-9) != 4 || s.Values[4] > 1e-5*s.Values[0] {
		t.Errorf("%d layers, %s has rank %d and values %v", len(spectra), s.Name, s.RankAt(1-1e-9), s.Values)
	}
	img, err := Plot(chart.Look{Title: layer}, s)
	if err != nil || img.Bounds().Dx() != 720 {
		t.Errorf("plot: %v", err)
	}
	if _, err := All(OfAdapter(a, m, "mid_block.attentions.0.transformer_blocks.0.attn1.to_x")); !fault.Is(err, fault.NotExist) {
		t.Errorf("an unknown layer: %v", err)
	}
	if _, err := All(OfAdapter(a, m, "[")); !fault.Is(err, fault.Invalid) {
		t.Errorf("a broken glob: %v", err)
	}
}

// TestOfModels checks the difference of two models against the two themselves.
func TestOfModels(t *testing.T) {
	a, b := tiny(t, 1), tiny(t, 2)
	n := 0
	err := OfModels(a, b, "*.proj_in")(func(m Matrix) error {
		n++
		x, y := tensors.MustCopyFlatData[float32](a.UNet.Get(m.Name+".weight")), tensors.MustCopyFlatData[float32](b.UNet.Get(m.Name+".weight"))
		for i := range x {
			if math.Abs(float64(m.Data[i]-(x[i]-y[i]))) > 0 {
				t.Fatalf("%s: value %d is %v, want %v", m.Name, i, m.Data[i], x[i]-y[i])
			}
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Errorf("%d layers, %v", n, err)
	}
	stop := errors.New("stop")
	if err := OfModels(a, b, "")(func(Matrix) error { return stop }); err != stop {
		t.Errorf("the visitor's error became %v", err)
	}
}

// TestPlots draws each kind of plot.
func TestPlots(t *testing.T) {
	a, err := Of(product(30, 20, 20, 0.7, 2))
	if err != nil {
		t.Fatal(err)
	}
	b, err := Of(product(20, 40, 20, 0.9, 2))
	if err != nil {
		t.Fatal(err)
	}
	b.Name = "other"
	if _, err := PlotEnergy(chart.Look{}, a, b); err != nil {
		t.Error(err)
	}
	if _, err := PlotLayers(chart.Look{}, 16, a, b); err != nil {
		t.Error(err)
	}
	if _, err := PlotSteps(chart.Look{}, []int{100, 200}, [][]*Spectrum{{a, b}, {b, a}}); err != nil {
		t.Error(err)
	}
	if _, err := PlotSteps(chart.Look{}, []int{100}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("steps without spectra: %v", err)
	}
}

// TestFactorsGiveTheSameSpectrum compares the quick way of each kind with the decomposition of the difference itself.
func TestFactorsGiveTheSameSpectrum(t *testing.T) {
	m := tiny(t, 1)
	for _, kind := range []adapter.Kind{adapter.LoHa, adapter.LoCon} {
		for _, tucker := range []bool{true, false} {
			spec := adapter.Default()
			spec.Kind, spec.Dim, spec.ConvDim, spec.Tucker, spec.Preset = kind, 2, 2, tucker, "unet-only"
			a, err := adapter.New(m, spec, 1)
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range a.Params.Names() {
				a.Params.Set(name, tensors.FromFlatDataAndDimensions(random(1, a.Params.Get(name).Size(), uint64(i)).Data, a.Params.Shape(name)...))
			}
			quick := 0
			err = OfAdapter(a, m, "mid_block.*")(func(d Matrix) error {
				if d.left != nil {
					quick++
				}
				got, err := Of(d)
				if err != nil {
					return err
				}
				d.left = nil
				want, err := Of(d)
				if err != nil {
					return err
				}
				for i := range want.Values {
					if math.Abs(got.Values[i]-want.Values[i]) > 1e-5*want.Values[0] {
						t.Errorf("%s, tucker %v, %s: value %d is %v, want %v", kind, tucker, d.Name, i, got.Values[i], want.Values[i])
						break
					}
				}
				return nil
			})
			if err != nil || quick == 0 {
				t.Errorf("%s, tucker %v: %d layers had factors, %v", kind, tucker, quick, err)
			}
		}
	}
}
