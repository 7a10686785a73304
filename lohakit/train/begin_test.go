package train

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// begun is testdata/begin.safetensors, the model it was recorded with, and the adapter it holds in a file of its own.
func begun(t *testing.T) (f fixture, m *sd.Model, path string) {
	t.Helper()
	f, m = openFixture(t, "testdata/begin.safetensors"), openFixture(t, "testdata/trace.safetensors").model()
	var list []checkpoint.Tensor
	for _, name := range f.Names() {
		if key, ok := strings.CutPrefix(name, "file."); ok {
			stored, err := f.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			stored.Name = key
			list = append(list, stored)
		}
	}
	path = filepath.Join(t.TempDir(), "begin.safetensors")
	if err := checkpoint.Write(path, list, nil); err != nil {
		t.Fatal(err)
	}
	return f, m, path
}

// An adapter merged at one half and then whole gives the weights that kohya's trainer trains on, and leaves the given model as it is.
func TestBaseWeightsAreKohyas(t *testing.T) {
	f, m, path := begun(t)
	c := Config{BaseWeights: []string{path, path}, BaseWeightsMultiplier: []float64{0.5}}
	merged, err := c.base(m)
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for _, name := range f.Names() {
		part, key, ok := strings.Cut(strings.TrimPrefix(name, "merged."), ".")
		if !strings.HasPrefix(name, "merged.") || !ok {
			continue
		}
		p, old := merged.UNet, m.UNet
		if part == "text" {
			p, old = merged.Text, m.Text
		}
		f.near(name, p.Get(key))
		before, _ := tensors.CopyFlatData[float32](old.Get(key))
		if after, _ := f.floats(name); !slices.Equal(before, after) {
			changed++
			if again, err := tensors.CopyFlatData[float32](p.Get(key)); err != nil || slices.Equal(again, before) {
				t.Errorf("%s is the given model's, %v", key, err)
			}
		}
	}
	if file, err := adapter.Load(path); err != nil || changed != len(file.Names()) {
		t.Errorf("%d of %d layers change, %v", changed, len(file.Names()), err)
	}
}

// With DimFromWeights a run begins with the layers, dims, alphas and values that kohya's network then has, and saves them.
func TestDimFromWeightsIsKohyas(t *testing.T) {
	f, m, path := begun(t)
	c := Default()
	c.Weights, c.DimFromWeights, c.ModuleDropout = path, true, 0.1
	a, warnings, err := c.begin(m)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	list, err := a.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range f.Names() {
		if strings.HasPrefix(name, "network.") {
			want = append(want, strings.TrimPrefix(name, "network."))
		}
	}
	var got []string
	for _, stored := range list {
		got = append(got, stored.Name)
		values, err := stored.Floats()
		if err != nil {
			t.Fatal(err)
		}
		if recorded, shape := f.floats("network." + stored.Name); !slices.Equal(values, recorded) || !slices.Equal(stored.Shape, shape) {
			t.Errorf("%s is %v", stored.Name, stored.Shape)
		}
	}
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("%d tensors, the reference has %d", len(got), len(want))
	}
	if c.Kind != adapter.LoCon || c.ModuleDropout != 0.1 || a.Spec.ModuleDropout != 0.1 {
		t.Errorf("the configuration becomes %+v", c.Spec)
	}
	c.UNetOnly = true
	if a, _, err = c.begin(m); err != nil || slices.ContainsFunc(a.Params.Names(), func(name string) bool { return strings.HasPrefix(name, "lora_te_") }) {
		t.Errorf("UNetOnly leaves the text encoder in: %v", err)
	}
}

// A file's layers that no preset adapts are left out by UNetOnly like others, and are in no block.
func TestUnusualLayersOfAFile(t *testing.T) {
	const text, unet = "lora_te_text_model_final_layer_norm.w_norm", "lora_unet_mid_block_attentions_0_proj_in.diff"
	m := tinyModel(t)
	var list []checkpoint.Tensor
	for name, weight := range map[string]*tensors.Tensor{text: m.Text.Get("text_model.final_layer_norm.weight"), unet: m.UNet.Get("mid_block.attentions.0.proj_in.weight")} {
		stored, err := checkpoint.FromFloats(name, checkpoint.F32, weight.Shape().Dimensions, make([]float32, weight.Size()))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, stored)
	}
	c := tinyConfig()
	c.Weights, c.DimFromWeights, c.DownLRWeight = filepath.Join(t.TempDir(), "a.safetensors"), true, "0.5"
	if err := checkpoint.Write(c.Weights, list, nil); err != nil {
		t.Fatal(err)
	}
	for _, s := range tinyRun(t, c).graphs.slots {
		if s.share != 1 {
			t.Errorf("%q are trained at a share %g of the rate", s.names, s.share)
		}
	}
	c.UNetOnly = true
	if got := tinyRun(t, c).Adapter.Params.Names(); !slices.Equal(got, []string{unet}) {
		t.Errorf("UNetOnly trains %q", got)
	}
}

// Without it the Spec says what is adapted: layers of both begin as the file has them, and what only one has is named.
func TestWeightsOfTheSpec(t *testing.T) {
	_, m, path := begun(t)
	file, err := adapter.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Spec = adapter.Spec{Kind: adapter.LoCon, Dim: 2, Alpha: 1, Preset: "attn-mlp"}
	c.Weights = path
	if _, _, err := c.begin(m); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "DimFromWeights") {
		t.Errorf("another dim: %v", err)
	}
	const layer = "lora_te_text_model_encoder_layers_0_self_attn_v_proj"
	c.Dim = file.Params.Shape(layer + ".lora_down.weight")[0]
	c.Rules = []adapter.Rule{{Match: "*v_proj", Dim: c.Dim}, {Match: "*", Skip: true}}
	a, warnings, err := c.begin(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range a.Params.Names() {
		got, _ := tensors.CopyFlatData[float32](a.Params.Get(name))
		if want, _ := tensors.CopyFlatData[float32](file.Params.Get(name)); !slices.Equal(got, want) {
			t.Errorf("%s does not begin as the file has it", name)
		}
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "are left out") {
		t.Errorf("warnings %q", warnings)
	}
}

// A run that began with files is resumed with them, exactly, and refused when the base they make is another.
func TestResumeWithWeights(t *testing.T) {
	cfg, m := tinyConfig(), tinyModel(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "adapter.safetensors")
	cfg.Spec.Alpha = 3
	first, err := adapter.New(m, cfg.Spec, 5)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Save(file, nil); err != nil {
		t.Fatal(err)
	}
	cfg.Weights, cfg.DimFromWeights, cfg.BaseWeights = file, true, []string{file}
	data, err := dataset.Load("testdata/images", cfg.Dataset())
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(m, data, cfg)
	if err != nil {
		t.Fatal(err)
	}
	name := r.Adapter.Params.Names()[0]
	r.Adapter.Params.Set(name, tensors.FromShape(r.Adapter.Params.Get(name).Shape())) // as if it had been trained
	path := filepath.Join(dir, "run")
	if err := r.Checkpoint(path); err != nil {
		t.Fatal(err)
	}
	again, err := Resume(m, data, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	agree(t, r, again)
	_, err = Resume(m, data, path, func(c *Config) { c.BaseWeightsMultiplier = []float64{0.5} })
	refused(t, "another strength", err, "BaseWeights")
	if err := os.Truncate(file, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(m, data, path, nil); err == nil || !strings.Contains(err.Error(), "BaseWeights") {
		t.Errorf("another file in BaseWeights: %v", err)
	}
}
