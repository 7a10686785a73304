package spectrum

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
)

// TestFitLoHa fits better than a LoRA of the same dim does.
func TestFitLoHa(t *testing.T) {
	a, b := product(40, 30, 3, 0.8, 2), product(40, 30, 3, 0.9, 7)
	rng := random(40, 30, 9)
	m := Matrix{Name: "mid_block.attentions.0.proj_in", Key: "lora_unet_mid_block_attentions_0_proj_in", Shape: []int{40, 30}, Rows: 40, Cols: 30, values: a.values}
	for i := range m.values {
		m.values[i] *= b.values[i] + 0.01*rng.values[i]
	}
	_, same, err := FitLoHa(listOf(m), 3, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, low, err := Extract(listOf(m), Extraction{Linear: Rule{Mode: Fixed, Value: 3}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if same[0].Error > 0.8*low[0].Error {
		t.Errorf("the fit misses %.3f, a LoRA of its dim %.3f", same[0].Error, low[0].Error)
	}
	for _, dim := range []int{0, 65, 1 << 40} {
		if _, _, err := FitLoHa(listOf(m), dim, 0, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("dim %d: %v", dim, err)
		}
	}
}

// TestFitOfAnySize fits a difference as well if all of it is larger or smaller than float16 numbers are.
func TestFitOfAnySize(t *testing.T) {
	a, b := product(12, 10, 2, 0.8, 2), product(12, 10, 2, 0.9, 7)
	for _, scale := range []float32{1, 1e10, 1e-10} {
		m := Matrix{Name: "x", Key: "lora_unet_x", Shape: []int{12, 10}, Rows: 12, Cols: 10, values: make([]float32, 120)}
		for i := range m.values {
			m.values[i] = scale * a.values[i] * b.values[i]
		}
		made, parts, err := FitLoHa(listOf(m), 2, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if parts[0].Error > 0.05 || math.IsNaN(parts[0].Error) {
			t.Errorf("of size %v the fit misses %v", scale, parts[0].Error)
		}
		if _, err := made.Tensors(); err != nil {
			t.Error(err)
		}
	}
}

// TestFittedFileLoads writes a fitted LoHa and checks that its loaded difference misses as much as the fit says.
func TestFittedFileLoads(t *testing.T) {
	source, tuned := tiny(t, 1), tiny(t, 2)
	d := differences(t, tuned, source, "mid_block.attentions.0.proj_in")
	made, parts, err := FitLoHa(d, 2, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := made.Save(path, nil); err != nil {
		t.Fatal(err)
	}
	a, err := adapter.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	off, err := Sum([]float64{1, -1}, d, OfAdapter(a, source))
	got := matrix(t, off, err).energy() / matrix(t, d, nil).energy()
	if want := parts[0].Error * parts[0].Error; got < 0.99*want || got > 1.01*want {
		t.Errorf("the loaded LoHa misses %.4f of the energy, the fit says %.4f", got, want)
	}
}

// TestResizeLoHa loses nothing at the LoHa's own dim, Tucker convolutions included, and little less than everything else does at a lower one.
func TestResizeLoHa(t *testing.T) {
	m := tiny(t, 1)
	spec := adapter.Default()
	spec.Dim, spec.ConvDim, spec.Preset = 3, 2, "unet-only"
	spec.Rules = []adapter.Rule{{Match: "up_blocks.*", Skip: true}, {Match: "down_blocks.*", Skip: true}}
	a, err := adapter.New(m, spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range a.Params.Names() {
		shape := a.Params.Shape(name)
		size := a.Params.Get(name).Size()
		a.Params.Set(name, tensors.FromFlatDataAndDimensions(random(1, size, uint64(i)).values, shape...))
	}
	_, same, err := ResizeLoHa(a, m, 3, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, lower, err := ResizeLoHa(a, m, 2, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range same {
		if p.Error > 2e-3 {
			t.Errorf("%s at its own dim misses %.4f", p.Name, p.Error)
		}
		if lower[i].Error < p.Error || lower[i].Error > 1 {
			t.Errorf("%s at a lower dim misses %.4f", p.Name, lower[i].Error)
		}
	}
	if len(same) != len(a.Names()) {
		t.Errorf("%d of %d layers are resized", len(same), len(a.Names()))
	}
}

// TestResizeLoHaOfMoreRanksThanRows resizes layers with fewer rows or columns than the LoHa has ranks: the first and the last convolution. What
// they cannot have they do not lose.
func TestResizeLoHaOfMoreRanksThanRows(t *testing.T) {
	m := tiny(t, 1)
	spec := adapter.Default()
	spec.Dim, spec.ConvDim, spec.Tucker = 4, 6, false
	spec.Rules = []adapter.Rule{{Match: "*_blocks.*", Skip: true}, {Match: "mid_block.*", Skip: true}, {Match: "text_model.*", Skip: true}}
	a, err := adapter.New(m, spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range a.Params.Names() {
		a.Params.Set(name, tensors.FromFlatDataAndDimensions(random(1, a.Params.Get(name).Size(), uint64(i)).values, a.Params.Shape(name)...))
	}
	_, parts, err := ResizeLoHa(a, m, 4, 6, nil)
	if err != nil {
		t.Fatal(err)
	}
	few := 0
	for _, p := range parts {
		if p.Rank < 6 && p.Name == "conv_out" {
			few++
		}
		if p.Error > 2e-3 {
			t.Errorf("%s misses %.4f", p.Name, p.Error)
		}
	}
	if few == 0 {
		t.Errorf("no layer has fewer rows than ranks: %v", parts)
	}
}
