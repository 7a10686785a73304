package spectrum

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/checkpoint"
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
		a.Params.Set(name, tensors.FromFlatDataAndDimensions(random(shape[0], shape[1], uint64(i)).values, shape...))
	}
	d, err := OfAdapter(a, m).Match(layer)
	if err != nil {
		t.Fatal(err)
	}
	spectra, err := All(d, nil)
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
	if _, err := OfAdapter(a, m).Match("mid_block.attentions.0.transformer_blocks.0.attn1.to_x"); !fault.Is(err, fault.NotExist) {
		t.Errorf("an unknown layer: %v", err)
	}
	if _, err := OfAdapter(a, m).Match("["); !fault.Is(err, fault.Invalid) {
		t.Errorf("a broken glob: %v", err)
	}
}

// differences of two models' layers that match.
func differences(t testing.TB, tuned, source *sd.Model, match string) Differences {
	t.Helper()
	d, err := OfModels(tuned, source)
	if err == nil {
		d, err = d.Match(match)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestOfModels checks the difference of two models, in memory and in files, against the two themselves.
func TestOfModels(t *testing.T) {
	a, b := tiny(t, 1), tiny(t, 2)
	folder := t.TempDir()
	open := func(name string, m *sd.Model) *checkpoint.Model {
		path := filepath.Join(folder, name+".safetensors")
		if err := m.Save(path, checkpoint.F32); err != nil {
			t.Fatal(err)
		}
		f, err := checkpoint.OpenModel(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	files, err := OfFiles(open("a", a), open("b", b))
	if err != nil {
		t.Fatal(err)
	}
	memory, err := OfModels(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(memory) {
		t.Errorf("%d layers in files, %d in memory", len(files), len(memory))
	}
	for i := range files {
		if i > 0 && files[i].Key[:7] != "lora_te" && slices.Compare(place(files[i-1].Name), place(files[i].Name)) > 0 && files[i-1].Key[:7] != "lora_te" {
			t.Errorf("%s comes before %s", files[i-1].Name, files[i].Name)
		}
	}
	for _, d := range []Differences{memory, files} {
		d, err := d.Match("*.proj_in")
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range d {
			m, err := l.Matrix()
			if err != nil {
				t.Fatal(err)
			}
			x, y := tensors.MustCopyFlatData[float32](a.UNet.Get(m.Name+".weight")), tensors.MustCopyFlatData[float32](b.UNet.Get(m.Name+".weight"))
			for i, v := range m.Values() {
				if v != x[i]-y[i] {
					t.Fatalf("%s: value %d is %v, want %v", m.Name, i, v, x[i]-y[i])
				}
			}
		}
	}
}

// TestProgressStops checks that an error of the report ends the work, and is passed on.
func TestProgressStops(t *testing.T) {
	stop := errors.New("stop")
	calls := 0
	_, err := All(listOf(random(3, 3, 1), random(3, 3, 2), random(3, 3, 3), random(3, 3, 4)), func(done, total int) error {
		calls++
		if done == 2 {
			return stop
		}
		return nil
	})
	if err != stop || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// TestPanicsAreErrors checks that what a numeric library panics with ends the work and not the process.
func TestPanicsAreErrors(t *testing.T) {
	d := listOf(random(3, 3, 1), random(3, 3, 2))
	d[1].Name, d[1].read = "mid_block.x", func() (Matrix, error) { panic("mat: dimension mismatch") }
	if _, err := All(d, nil); err == nil || !strings.Contains(err.Error(), "mid_block.x: mat: dimension mismatch") {
		t.Errorf("%v", err)
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
	if r := Ranks(a, b); len(r) != 2 || r[1] != (Rank{"other", b.Effective()}) {
		t.Errorf("ranks %v", r)
	}
	if _, err := PlotSteps(chart.Look{}, []int{100, 200}, [][]Rank{Ranks(a, b), Ranks(b, a)}); err != nil {
		t.Error(err)
	}
	if _, err := PlotSteps(chart.Look{}, []int{100}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("steps without spectra: %v", err)
	}
}

// TestFactorsGiveTheSameSpectrum compares the quick way of each kind with the decomposition of the difference itself.
func TestFactorsGiveTheSameSpectrum(t *testing.T) {
	m := tiny(t, 1)
	var mu sync.Mutex
	for _, kind := range []adapter.Kind{adapter.LoHa, adapter.LoCon} {
		for _, tucker := range []bool{true, false} {
			spec := adapter.Default()
			spec.Kind, spec.Dim, spec.ConvDim, spec.Tucker, spec.Preset = kind, 2, 2, tucker, "unet-only"
			a, err := adapter.New(m, spec, 1)
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range a.Params.Names() {
				a.Params.Set(name, tensors.FromFlatDataAndDimensions(random(1, a.Params.Get(name).Size(), uint64(i)).values, a.Params.Shape(name)...))
			}
			quick := 0
			d, err := OfAdapter(a, m).Match("mid_block.*")
			if err != nil {
				t.Fatal(err)
			}
			err = d.each(nil, func(_ int, thin Matrix) error {
				if thin.product == nil {
					return nil
				}
				got, err := Of(thin)
				if err != nil {
					return err
				}
				want := reference(thin)
				mu.Lock()
				defer mu.Unlock()
				quick++
				for i := range want {
					if math.Abs(got.Values[i]-want[i]) > 1e-10*want[0] {
						t.Errorf("%s, tucker %v, %s: value %d is %v, want %v", kind, tucker, thin.Name, i, got.Values[i], want[i])
						break
					}
				}
				if math.Abs(got.Energy-thin.energy()) > 1e-10*got.Energy {
					t.Errorf("%s: energy %v and %v", thin.Name, got.Energy, thin.energy())
				}
				return nil
			})
			if err != nil || quick == 0 {
				t.Errorf("%s, tucker %v: %d layers had factors, %v", kind, tucker, quick, err)
			}
		}
	}
}
