package merge

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// small is an untrained model with every kind of block.
func small(t testing.TB) *sd.Model {
	t.Helper()
	m, err := sd.New(sd.Config{
		UNet: sd.UNetConfig{In: 4, Out: 4, Channels: []int{16, 32}, Layers: 1, Attention: []bool{true, false}, CrossDim: 16, Heads: 2},
		Text: sd.TextConfig{Rows: 64, Width: 16, Layers: 1, Heads: 2, MLP: 32, Positions: sd.Window, TokenIDs: []int32{320, 1237, 2368}},
		VAE:  sd.VAEConfig{Latent: 4, Patch: 2, Scale: 1}, Prediction: sd.Epsilon,
	}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// trained is an adapter whose parameters are all random.
func trained(t testing.TB, m *sd.Model, spec adapter.Spec, seed uint64) *adapter.Adapter {
	t.Helper()
	spec.Rules = []adapter.Rule{{Match: "up_blocks.*", Skip: true}, {Match: "down_blocks.*", Skip: true}, {Match: "*.resnets.1.*", Skip: true},
		{Match: "*.transformer_blocks.0.attn1.*", Skip: true}}
	a, err := adapter.New(m, spec, seed)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, name := range a.Params.Names() {
		v := tensors.MustCopyFlatData[float32](a.Params.Get(name))
		for i := range v {
			v[i] += float32(0.1 * rng.NormFloat64())
		}
		a.Params.Set(name, tensors.FromFlatDataAndDimensions(v, a.Params.Shape(name)...))
	}
	return a
}

// TestAdaptersDoWhatTheyDoTogether merges adapters of every kind, saves and loads the result, and compares each weight of the model
// under it with the weights under the adapters one after another.
func TestAdaptersDoWhatTheyDoTogether(t *testing.T) {
	m := small(t)
	loha := adapter.Spec{Kind: adapter.LoHa, Dim: 2, ConvDim: 1, Alpha: 1, ConvAlpha: 1, Tucker: true}
	for name, specs := range map[string][]adapter.Spec{
		"two LoHas":        {loha, loha},
		"LoHa and LoCon":   {loha, {Kind: adapter.LoCon, Dim: 3, ConvDim: 2, Alpha: 1, ConvAlpha: 1, Tucker: true}},
		"LoKr and LoRA":    {{Kind: adapter.LoKr, Dim: 2, ConvDim: 2}, {Kind: adapter.LoRA, Dim: 2}},
		"IA3, DoRA, norms": {{Kind: adapter.IA3, Preset: "ia3", Dim: 1}, {Kind: adapter.LoCon, Dim: 2, ConvDim: 2, DoRA: true}, {Kind: adapter.LoCon, Dim: 2, TrainNorm: true}},
		"full with bias":   {{Kind: adapter.Full, Dim: 1}, loha},
		"one":              {loha},
	} {
		var list []Weighted
		for i, spec := range specs {
			list = append(list, Weighted{trained(t, m, spec, uint64(i+1)), []float64{0.7, -0.4, 1.2}[i]})
		}
		list[0].Adapter.Embeddings = []sd.Embedding{{Name: "tilty", Rows: tensors.FromFlatDataAndDimensions(make([]float32, 16), 2, 8)}}
		merged, err := Adapters(m, checkpoint.F32, nil, list...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		path := filepath.Join(t.TempDir(), "merged.safetensors")
		if err := merged.Save(path, nil); err != nil {
			t.Fatal(err)
		}
		if merged, err = adapter.Load(path); err != nil {
			t.Fatal(err)
		}
		if len(merged.Embeddings) != 1 || merged.Embeddings[0].String() != "tilty (2 vectors)" {
			t.Errorf("%s brings %v", name, merged.Embeddings)
		}
		n := 0
		for _, params := range []*sd.Params{m.Text, m.UNet} {
			for _, weight := range params.Names() {
				want := params.Get(weight)
				changed := false
				for _, w := range list {
					for _, c := range w.Adapter.Changes(params) {
						if c != weight {
							continue
						}
						changed = true
						if want, err = w.Adapter.Weight(weight, want, w.Weight); err != nil {
							t.Fatal(err)
						}
					}
				}
				if !changed {
					continue
				}
				n++
				got, err := merged.Weight(weight, params.Get(weight), 1)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				x, y := tensors.MustCopyFlatData[float32](got), tensors.MustCopyFlatData[float32](want)
				for i := range y {
					if math.Abs(float64(x[i]-y[i])) > 1e-5*math.Max(1, math.Abs(float64(y[i]))) {
						t.Errorf("%s, %s: element %d is %v, one after another %v", name, weight, i, x[i], y[i])
						break
					}
				}
			}
		}
		if n == 0 {
			t.Errorf("%s: nothing was compared", name)
		}
	}
}

// TestAdaptersRefuses names by its place what is no adapter, and a weight that is no number.
func TestAdaptersRefuses(t *testing.T) {
	m := small(t)
	one := trained(t, m, adapter.Spec{Kind: adapter.LoRA, Dim: 2}, 1)
	for what, list := range map[string][]Weighted{"none": nil, "nil": {{one, 1}, {nil, 1}}, "NaN": {{one, math.NaN()}}, "infinite": {{one, math.Inf(-1)}}} {
		if _, err := Adapters(m, 0, nil, list...); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
