package lohakit_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/world"
)

// shipped opens the shipped model and the quick start's data.
func shipped(t *testing.T) (*lohakit.Model, *lohakit.Data) {
	t.Helper()
	base, err := lohakit.Open("miniature")
	if err != nil {
		t.Fatal(err)
	}
	data, err := lohakit.Load("../notebooks/data/Tilty")
	if err != nil {
		t.Fatal(err)
	}
	return base, data
}

// What people get wrong is answered by one sentence that names the file or field and what to do.
func TestMistakes(t *testing.T) {
	base, data := shipped(t)
	dir := t.TempDir()
	path, err := world.Find("miniature")
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	truncated := filepath.Join(dir, "truncated.safetensors")
	write(t, truncated, whole[:len(whole)/2])
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken", "3_Tilty", "bad.png")
	write(t, broken, []byte("\x89PNG\r\n\x1a\nthis is no picture"))
	run, err := base.Train(data, smallRun())
	if err != nil {
		t.Fatal(err)
	}

	adapted, err := run.Adapted(1)
	if err != nil {
		t.Fatal(err)
	}
	sheet := func(columns int) lohakit.Sheet {
		return lohakit.Sheet{Sheet: &sample.Sheet{Columns: make([]string, columns), Rows: []string{""}, Cells: make([]sample.Cell, columns)}}
	}

	for _, c := range []struct {
		mistake string
		do      func() error
		kind    fault.Kind
		says    []string
	}{
		{"missing model", func() error { _, err := lohakit.Open("no/such.safetensors"); return err }, fault.NotExist, []string{"no/such.safetensors"}},
		{"unknown name", func() error { _, err := lohakit.Open("miniatur"); return err }, fault.NotExist, []string{"miniatur", "give a path"}},
		{"truncated model", func() error { _, err := lohakit.Open(truncated); return err }, fault.Corrupt, []string{"truncated.safetensors"}},
		{"no images", func() error { _, err := lohakit.Load(empty); return err }, fault.NotExist, []string{"empty", "N_name"}},
		{"bad image", func() error { _, err := lohakit.Load(filepath.Dir(filepath.Dir(broken))); return err }, fault.Corrupt, []string{"bad.png"}},
		{"unknown layer", func() error { _, err := run.Spectrum("lora_unet_mid_blok_attentions_0_proj_in"); return err }, fault.NotExist, []string{"mid_blok", "mid_block"}},
		{"negative rate", func() error {
			c := smallRun()
			c.LR = -2e-4
			_, err := base.Train(data, c)
			return err
		}, fault.Invalid, []string{"LR", "-0.0002"}},
		{"a plan of no steps", func() error {
			c := smallRun()
			c.Steps = -1
			_, err := data.Plan(c)
			return err
		}, fault.Invalid, []string{"Steps", "-1"}},
		{"loss before a step", func() error { _, err := run.Loss(); return err }, fault.NotExist, []string{"call Step first"}},
		{"no steps", func() error { return run.Step(0) }, fault.Invalid, []string{"use 1 or more"}},
		{"model as embedding", func() error { _, err := lohakit.LoadEmbedding(path); return err }, fault.Unsupported, []string{"miniature.safetensors", "tensors"}},
		{"embedding of another width", func() error {
			_, err := base.WithEmbedding(sd.Embedding{Name: "tilty", Rows: tensors.FromFlatDataAndDimensions(make([]float32, 768), 1, 768)})
			return err
		}, fault.Unsupported, []string{"tilty", "768", "96"}},
		{"training with a word", func() error {
			e, err := base.NewEmbedding("my-tilty", "girl", 1, 1)
			if err != nil {
				return err
			}
			taught, err := base.WithEmbedding(e)
			if err != nil {
				return err
			}
			_, err = taught.Train(data, smallRun())
			return err
		}, fault.Unsupported, []string{"embeddings", "train on the base model"}},
		{"training without data", func() error { _, err := base.Train(nil, smallRun()); return err }, fault.Invalid, []string{"data", "lohakit.Load"}},
		{"resuming without data", func() error { _, err := base.Resume(&lohakit.Data{}, "x"); return err }, fault.Invalid, []string{"data", "lohakit.Load"}},
		{"resuming with an adapter", func() error { _, err := adapted.Resume(data, "x"); return err }, fault.Unsupported, []string{"adapters applied"}},
		{"rates with an adapter", func() error { _, err := adapted.FindLR(data, smallRun(), 5); return err }, fault.Unsupported, []string{"adapters applied"}},
		{"rates without data", func() error { _, err := base.FindLR(nil, smallRun(), 5); return err }, fault.Invalid, []string{"data"}},
		{"no adapter", func() error { _, err := base.With(nil, 1); return err }, fault.Invalid, []string{"adapter", "lohakit.LoadAdapter"}},
		{"no adapter's difference", func() error { _, err := base.Adds(nil); return err }, fault.Invalid, []string{"adapter"}},
		{"no adapter to resize", func() error { _, err := base.ResizeLoHa(nil, 4, 2); return err }, fault.Invalid, []string{"adapter"}},
		{"no adapter to merge", func() error { _, err := base.MergeAdapters(lohakit.Weighted{Weight: 1}); return err }, fault.Invalid, []string{"number 1 of 1"}},
		{"no model to compare", func() error { _, err := base.Minus(nil); return err }, fault.Invalid, []string{"source", "lohakit.Open"}},
		{"a weight that is none", func() error { _, err := base.With(run.Adapter, math.NaN()); return err }, fault.Invalid, []string{"weight: NaN"}},
		{"a difference of no weight", func() error { _, err := run.Difference().Plus(run.Difference(), math.Inf(1)); return err }, fault.Invalid, []string{"weight: +Inf"}},
		{"saving with an adapter", func() error { return adapted.Save(filepath.Join(dir, "x.safetensors"), checkpoint.F16) }, fault.Unsupported, []string{"x.safetensors", "Merged"}},
		{"no sheets", func() error { _, err := lohakit.Beside([]string{"before"}); return err }, fault.Invalid, []string{"1 names for 0 sheets"}},
		{"a sheet that was not drawn", func() error {
			_, err := lohakit.Beside([]string{"before", "after"}, sheet(1), lohakit.Sheet{})
			return err
		}, fault.Invalid, []string{"after", "nil"}},
		{"sheets of other columns", func() error { _, err := lohakit.Beside([]string{"before", "after"}, sheet(2), sheet(3)); return err }, fault.Invalid, []string{"after: 3 columns", "before has 2"}},
		{"adapter that is a model", func() error { _, err := lohakit.LoadAdapter(path); return err }, fault.Unsupported, []string{"miniature.safetensors"}},
	} {
		t.Run(c.mistake, func(t *testing.T) {
			err := c.do()
			if err == nil {
				t.Fatal("no error")
			}
			t.Log(err)
			if !fault.Is(err, c.kind) {
				t.Errorf("the kind is not %s", c.kind)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Error("more than one line")
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not said", part)
				}
			}
		})
	}
}

// Sheets of the same columns are put below one another, all rows of each under its name.
func TestBeside(t *testing.T) {
	sheet := func(rows int) lohakit.Sheet {
		return lohakit.Sheet{Sheet: &sample.Sheet{Columns: []string{"1", "2"}, Rows: make([]string, rows), Cells: make([]sample.Cell, 2*rows)}}
	}
	all, err := lohakit.Beside([]string{"before", "after"}, sheet(1), sheet(2))
	if err != nil || !slices.Equal(all.Rows, []string{"before", "after", "after"}) || len(all.Cells) != 6 {
		t.Errorf("%+v, %v", all, err)
	}
}

// A search for a rate on a model that is broken finds no rate, and says so.
func TestFindLROfBrokenModel(t *testing.T) {
	base, data := shipped(t)
	broken := &lohakit.Model{Model: base.Shared(), Name: "broken"}
	const name = "text_model.final_layer_norm.bias"
	broken.Text.Set(name, tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{float32(math.NaN())}, 96), 96))
	c := smallRun()
	c.Preset = "te-only"
	rates, err := broken.FindLR(data, c, 3)
	if !fault.Is(err, fault.Numeric) || !strings.Contains(err.Error(), "broken") {
		t.Errorf("%+v, %v", rates, err)
	}
}

// smallRun is the default configuration at the miniature's size, for a few steps.
func smallRun() lohakit.Config {
	c := lohakit.Defaults()
	c.Resolution, c.Steps = world.Size, 4
	return c
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}
