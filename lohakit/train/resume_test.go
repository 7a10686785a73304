package train

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// stopped is a run that stopped before its first step, and its file.
func stopped(t *testing.T, data *dataset.Set, cfg Config) (r *Run, path string) {
	t.Helper()
	r, err := New(tinyModel(t), data, cfg)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "run.safetensors")
	if err := r.Checkpoint(path); err != nil {
		t.Fatal(err)
	}
	return r, path
}

// refused checks that a run is not resumed, and what the fault says.
func refused(t *testing.T, what string, err error, says string) {
	t.Helper()
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v", what, err)
	}
}

// A model of which one matrix has another value is another model, as after merging an adapter; one whose file has another order is the same.
func TestResumeKnowsTheModel(t *testing.T) {
	r, path := stopped(t, tinyRun(t, tinyConfig()).Data, tinyConfig())
	m := tinyModel(t)
	m.UNet, m.Text = backwards(m.UNet), backwards(m.Text)
	if _, err := Resume(m, r.Data, path, nil); err != nil {
		t.Errorf("in another order: %v", err)
	}
	const name = "mid_block.attentions.0.proj_in.weight"
	values := tensors.MustCopyFlatData[float32](m.UNet.Get(name))
	values[1] += 1e-3
	m.UNet.Set(name, tensors.FromFlatDataAndDimensions(values, m.UNet.Shape(name)...))
	_, err := Resume(m, r.Data, path, nil)
	refused(t, "another value", err, "base model")
}

// backwards are the same weights in the opposite order.
func backwards(p *sd.Params) *sd.Params {
	out := sd.NewParams()
	for _, name := range slices.Backward(p.Names()) {
		out.Set(name, p.Get(name))
	}
	return out
}

// Rates, dropout and what is saved may change when a run is resumed; what its trained tensors and its optimizer's state are made for may not.
func TestResumeKnowsWhatIsTrained(t *testing.T) {
	cfg := tinyConfig()
	cfg.Kind, cfg.Tucker, cfg.Rules = adapter.LoCon, false, nil
	r, path := stopped(t, tinyRun(t, cfg).Data, cfg)
	for what, edit := range map[string]func(*Config){
		"rates":   func(c *Config) { c.LR, c.TextLR, c.LoRAPlus, c.Steps, c.WeightDecay = 1e-3, 1e-4, 4, 20, 0 },
		"dropout": func(c *Config) { c.ModuleDropout, c.SaveState = 0.1, true },
	} {
		if _, err := Resume(tinyModel(t), r.Data, path, edit); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, edit := range map[string]func(*Config){
		"UNetOnly":     func(c *Config) { c.UNetOnly = true },
		"TextOnly":     func(c *Config) { c.TextOnly = true },
		"DownLRWeight": func(c *Config) { c.DownLRWeight = "1,0.5" }, // its block's layers are of the sizes of others
		"left out":     func(c *Config) { c.DownLRWeight = "1,0" },
		"Optimizer":    func(c *Config) { c.Optimizer = "Lion" },
		"StateBlock":   func(c *Config) { c.StateBlock = 256 },
		"Dim":          func(c *Config) { c.Dim = 4 },
		"Alpha":        func(c *Config) { c.Spec.Alpha = 2 },
		"a word":       func(c *Config) { c.Embeddings = []Placeholder{{Name: "tilty"}} },
	} {
		_, err := Resume(tinyModel(t), r.Data, path, edit)
		refused(t, what, err, "trains other layers")
	}
}

// A dataset's file that decides another batch size, or other captions, is noticed.
func TestResumeKnowsTheDatasetsFile(t *testing.T) {
	images, err := filepath.Abs("testdata/images/2_square")
	if err != nil {
		t.Fatal(err)
	}
	load := func(size int, more string) *dataset.Set {
		path := filepath.Join(t.TempDir(), "set.toml")
		text := fmt.Sprintf("[[datasets]]\nresolution = 32\nbatch_size = %d\n[[datasets.subsets]]\nimage_dir = %q\ncaption_extension = '.txt'\n%s\n", size, images, more)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		data, err := dataset.LoadTOML(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	_, path := stopped(t, load(2, ""), tinyConfig())
	if _, err := Resume(tinyModel(t), load(2, ""), path, nil); err != nil {
		t.Errorf("the same: %v", err)
	}
	for what, data := range map[string]*dataset.Set{"batch size": load(3, ""), "shuffling": load(2, "shuffle_caption = true")} {
		_, err := Resume(tinyModel(t), data, path, nil)
		refused(t, what, err, "dataset has changed")
	}
}
