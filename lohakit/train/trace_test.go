package train

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
)

// fixture is a file that a reference recorded.
type fixture struct {
	*checkpoint.File
	t testing.TB
}

func openFixture(t testing.TB, path string) fixture {
	t.Helper()
	file, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return fixture{file, t}
}

func (f fixture) floats(name string) ([]float32, []int) {
	f.t.Helper()
	stored, err := f.Tensor(name)
	if err != nil {
		f.t.Fatal(err)
	}
	values, err := stored.Floats()
	if err != nil {
		f.t.Fatal(err)
	}
	return values, stored.Shape
}

func (f fixture) ints(name string) []int32 {
	f.t.Helper()
	stored, err := f.Tensor(name)
	if err != nil {
		f.t.Fatal(err)
	}
	values := make([]int32, stored.Len())
	for i := range values {
		b := stored.Data[4*i:]
		values[i] = int32(b[0]) | int32(b[1])<<8 | int32(b[2])<<16 | int32(b[3])<<24
	}
	return values
}

// model is the reference's UNet and text encoder.
func (f fixture) model() *sd.Model {
	m := &sd.Model{UNet: sd.NewParams(), Text: sd.NewParams(), VAE: sd.NewParams()}
	for _, name := range f.Names() {
		part, key, _ := strings.Cut(name, ".")
		p := map[string]*sd.Params{"unet": m.UNet, "text": m.Text}[part]
		if p != nil {
			values, shape := f.floats(name)
			p.Set(key, tensors.FromFlatDataAndDimensions(values, shape...))
		}
	}
	m.Config = sd.Config{
		UNet: sd.UNetConfig{In: 4, Out: 4, Channels: []int{8}, Layers: 1, Attention: []bool{false}, CrossDim: 8, Heads: 2, Groups: 4},
		// Row i of the reference's table is token tokens[i]; one more row for all others.
		Text:       sd.TextConfig{Rows: 10, Width: 8, Layers: 1, Heads: 2, MLP: 16, Positions: sd.Window, TokenIDs: tokens[:9]},
		Prediction: sd.Epsilon,
	}
	return m
}

var tokens = []int32{10, 20, 30, 40, 50, 60, 70, 80, 90, 91}

// Twenty training steps of each kind of adapter, UNet and text encoder, give the losses and the parameters that PyTorch, diffusers and
// LyCORIS give from the same weights, latents, noise and timesteps. Losses agree to 2e-5 of their size. Parameters move by
// about 2e-3 a step; the mean difference after twenty is held to 2e-5, a hundredth of a step. Adam divides by the gradient's size, so
// an element whose gradient is nearly nothing would take its direction from rounding: an Eps of 1e-5 instead of 1e-8 keeps those still.
func TestTwentyStepsAreTheReferences(t *testing.T) {
	f := openFixture(t, "testdata/trace.safetensors")
	for _, c := range []struct {
		name string
		spec adapter.Spec
	}{
		{"loha tucker", adapter.Spec{Kind: adapter.LoHa, Tucker: true}},
		{"loha tucker lycoris", adapter.Spec{Kind: adapter.LoHa, Tucker: true, Compat: adapter.CompatGradient}},
		{"loha", adapter.Spec{Kind: adapter.LoHa}},
		{"locon", adapter.Spec{Kind: adapter.LoCon}},
		{"lokr", adapter.Spec{Kind: adapter.LoKr}},
		{"lora", adapter.Spec{Kind: adapter.LoRA, Preset: "attn-mlp"}},
		{"locon tucker", adapter.Spec{Kind: adapter.LoCon, Tucker: true}},
		{"dora", adapter.Spec{Kind: adapter.LoCon, DoRA: true}},
		{"ia3", adapter.Spec{Kind: adapter.IA3, Preset: "ia3"}},
		{"full", adapter.Spec{Kind: adapter.Full}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Dim, c.spec.Alpha, c.spec.ConvDim, c.spec.ConvAlpha = 3, 1, 2, 1
			m := f.model()
			a, err := adapter.New(m, c.spec, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range a.Params.Names() {
				values, shape := f.floats(c.name + ".before." + name)
				if fmt.Sprint(shape) != fmt.Sprint(a.Params.Shape(name)) {
					t.Fatalf("%s is %v, the reference's %v", name, a.Params.Shape(name), shape)
				}
				a.Params.Set(name, tensors.FromFlatDataAndDimensions(values, shape...))
			}
			cfg := Default()
			cfg.Spec, cfg.Optimizer, cfg.LR, cfg.Eps = c.spec, "AdamW", 2e-3, 1e-5
			if c.spec.Kind == adapter.Full {
				cfg.WeightDecay = 0 // see record_trace.py
			}
			r := &Run{Config: cfg, Model: m, Adapter: a, graphs: newGraphs(newNetwork(m, a, cfg), cfg), factor: func(int) float64 { return 1 }}
			losses, _ := f.floats(c.name + ".losses")
			follow(t, f, r, f.ints("rows"), losses)
			for _, name := range a.Params.Names() {
				f.near(c.name+".after."+name, a.Params.Get(name))
			}
		})
	}
}

// near compares a tensor after training with the recorded one.
func (f fixture) near(name string, got *tensors.Tensor) {
	f.t.Helper()
	want, _ := f.floats(name)
	sum := 0.0
	for i, v := range tensors.MustCopyFlatData[float32](got) {
		sum += math.Abs(float64(v - want[i]))
	}
	if mean := sum / float64(len(want)); mean > 2e-5 {
		f.t.Errorf("%s differs by %.2g in the mean", name, mean)
	}
}

// follow makes the recorded steps with the captions that have the given rows; those past the table's are the embeddings'.
func follow(t *testing.T, f fixture, r *Run, rows []int32, losses []float32) {
	latents, _ := f.floats("latents")
	noise, _ := f.floats("noise")
	timesteps := f.ints("timesteps")
	var err error
	if r.packed, err = pack(r.graphs.slots, r.Adapter); err != nil {
		t.Fatal(err)
	}
	if r.state, err = r.graphs.start.Run(r.packed); err != nil {
		t.Fatal(err)
	}
	const batchSize, volume = 2, 2 * 4 * 8 * 8
	for step, want := range losses {
		ids := make([]int32, batchSize*sd.Window)
		for i := range ids {
			if row := int(rows[step*len(ids)+i]); row < len(tokens) {
				ids[i] = tokens[row]
			} else {
				ids[i] = sd.EOS + 1 + int32(row-len(tokens))
			}
		}
		part := func(v []float32) *tensors.Tensor {
			return tensors.FromFlatDataAndDimensions(v[step*volume:(step+1)*volume], batchSize, 4, 8, 8)
		}
		b := batch{latents: part(latents), added: part(noise), target: part(noise),
			timesteps: tensors.FromFlatDataAndDimensions(timesteps[step*batchSize:(step+1)*batchSize], batchSize),
			ids:       tensors.FromFlatDataAndDimensions(ids, batchSize, sd.Window),
			weights:   tensors.FromFlatDataAndDimensions([]float32{0.5, 0.5}, batchSize), mask: tensors.FromFlatDataAndDimensions(ones(batchSize*64), batchSize, 1, 8, 8),
			chance: []uint64{1, 2, 3}}
		grads, _, err := r.differentiate(b, func(Status) {})
		if err != nil {
			t.Fatal(err)
		}
		o, err := r.move(grads)
		if err != nil {
			t.Fatal(err)
		}
		got := o.loss
		if math.Abs(got-float64(want)) > 2e-5*float64(want) {
			t.Errorf("step %d: loss %.7f, reference %.7f", step+1, got, want)
		}
	}
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
}
