package lohakit_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit"
	"github.com/lohakit/notebook/lohakit/checkpoint"
)

// A word from a file changes what prompts that name it draw, is told in the infotext, and leaves other prompts and the model alone.
func TestEmbeddingInPrompts(t *testing.T) {
	base, _ := shipped(t)
	path := filepath.Join(t.TempDir(), "gown.safetensors")
	e, err := base.NewEmbedding("blue-gown", "blue dress", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Save(path, checkpoint.F32, nil); err != nil {
		t.Fatal(err)
	}
	if e, err = lohakit.LoadEmbedding(path); err != nil {
		t.Fatal(err)
	}
	taught, err := base.WithEmbedding(e)
	if err != nil {
		t.Fatal(err)
	}
	if text := taught.String(); !strings.HasSuffix(text, "+ gown (2 vectors)") || strings.Contains(base.String(), "gown") {
		t.Error(text)
	}
	draw := func(m *lohakit.Model, prompt string) lohakit.Sheet {
		s, err := m.Sample(lohakit.Options{Prompt: prompt, Steps: 2, CFG: 2})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	with, spelt := draw(taught, "1girl, (gown:1.2), smile"), draw(taught, "1girl, (blue dress:1.2), smile")
	if !reflect.DeepEqual(with.Cell(0, 0).Image, spelt.Cell(0, 0).Image) {
		t.Error("a word with the vectors of others draws another image than those")
	}
	if reflect.DeepEqual(with.Cell(0, 0).Image, draw(base, "1girl, (gown:1.2), smile").Cell(0, 0).Image) {
		t.Error("the word makes no difference")
	}
	if info := with.Cell(0, 0).Info.String(); !strings.Contains(info, `TI hashes: "gown: `+e.Hash[:12]+`"`) {
		t.Error(info)
	}
	if info := spelt.Cell(0, 0).Info.String(); strings.Contains(info, "TI hashes") {
		t.Error(info)
	}
}

// A run says what it trains, also where that is words alone.
func TestRunSaysWhatItTrains(t *testing.T) {
	base, data := shipped(t)
	c := lohakit.Defaults()
	c.Resolution, c.Embeddings = 64, []lohakit.Placeholder{{Name: "Tilty", Vectors: 2, Init: "girl"}}
	for alone, want := range map[bool]string{false: ": loha 8/4, 878 k parameters in 300 modules and the word Tilty (2 vectors); step", true: ": the word Tilty (2 vectors); step"} {
		c.UNetOnly, c.TextOnly = alone, alone
		r, err := base.Train(data, c)
		if err != nil {
			t.Fatal(err)
		}
		if text := r.String(); !strings.Contains(text, want) {
			t.Errorf("%s\nwant %s", text, want)
		}
	}
}
