package lohakit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit"
	"github.com/lohakit/notebook/lohakit/fault"
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
