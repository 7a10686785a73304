package train

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sample"
)

// Previews and validations come when they are due, are on disk, and leave training as it is.
func TestPreviews(t *testing.T) {
	cfg := tinyConfig()
	quiet := tinyRun(t, cfg)
	train(t, quiet, 4)
	cfg.SampleEvery, cfg.SampleAtFirst, cfg.ValidateEvery, cfg.ValidateEveryEpochs, cfg.OutputDir = 2, true, 2, 1, t.TempDir()
	cfg.SamplePrompts = "# two\na --s 2 --l 1 --d 5 --w 32 --h 32\n\nb --s 2 --l 1 --w 32 --h 32 --ss k_euler_a --n blue"
	r := tinyRun(t, cfg)
	train(t, r, 4)
	var steps []int
	for _, p := range r.Previews() {
		steps = append(steps, p.Step)
		if len(p.Images) != 2 || p.Images[0].Bounds().Dx() != 32 {
			t.Errorf("step %d: %d images", p.Step, len(p.Images))
		}
	}
	if !slices.Equal(steps, []int{0, 2, 4}) {
		t.Errorf("previews after steps %v", steps)
	}
	if checks := r.Checks(); len(checks) != 2 || checks[1].Step != 4 || checks[1].Loss <= 0 {
		t.Errorf("validations %v", checks)
	}
	file, err := os.Open(filepath.Join(cfg.OutputDir, "sample", "adapter_000002_01_23.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if text, err := sample.ReadPNGText(file); err != nil || !strings.Contains(text, "Sampler: Euler a") || !strings.Contains(text, "Negative prompt: blue") {
		t.Errorf("infotext %q, %v", text, err)
	}
	if !slices.Equal(r.Losses(), quiet.Losses()) {
		t.Errorf("losses %v with previews, %v without", r.Losses(), quiet.Losses())
	}
}

// Previews of epochs take the place of those of steps, as in kohya's trainer, and their files are named after the epoch.
func TestPreviewsOfEpochs(t *testing.T) {
	cfg := tinyConfig()
	cfg.SampleEvery, cfg.SampleEveryEpochs, cfg.SamplePrompts, cfg.OutputDir = 1, 1, "a --s 1 --l 1 --d 5 --w 32 --h 32", t.TempDir()
	r := tinyRun(t, cfg)
	train(t, r, 5) // an epoch has 4
	files, err := filepath.Glob(filepath.Join(cfg.OutputDir, "sample", "*"))
	if err != nil || len(files) != 1 || filepath.Base(files[0]) != "adapter_e000001_00_5.png" {
		t.Errorf("%q, %v", files, err)
	}
}

// What a model cannot draw is refused before training.
func TestPreviewsAreCheckedFirst(t *testing.T) {
	for _, options := range []string{"--w 33", "--s 5000", "--l -1"} {
		cfg := tinyConfig()
		cfg.SampleEvery, cfg.SamplePrompts = 5, "1girl "+options
		data, err := dataset.Load("testdata/images", cfg.Dataset())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(tinyModel(t), data, cfg); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "SamplePrompts") {
			t.Errorf("%s: %v", options, err)
		}
	}
}

func TestPromptLinesAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "no prompt",
		"a --q 3":                    "--q",
		"a\nb --s many":              "line 2",
		"a --ss plms":                "plms",
		"none/prompts.txt":           "none/prompts.txt",
		"a --d 99999999999999999999": "--d",
	} {
		c := Default()
		c.SampleEvery, c.SamplePrompts = 10, text
		if err := c.Check(); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.IO) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzPromptLine(f *testing.F) {
	f.Add("1girl, smile --n blurry --w 512 --h 512 --d 1 --s 30 --l 7.5 --ss ddim")
	f.Fuzz(func(t *testing.T, line string) {
		if o, err := promptLine(line, sample.Options{}); err == nil && strings.Contains(o.Prompt, " --") {
			t.Errorf("%q is left in the prompt", o.Prompt)
		}
	})
}
