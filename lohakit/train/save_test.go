package train

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Files of epochs are named, and deleted, as kohya's trainer does: none of the last epoch, which ends in the file that Save writes.
func TestSaveEveryEpochs(t *testing.T) {
	for accumulation, want := range map[int][]string{1: {"adapter-000004.safetensors"}, 2: {"adapter-000004.safetensors"}} {
		cfg := tinyConfig()
		cfg.Steps, cfg.Epochs, cfg.SaveEveryEpochs, cfg.SaveKeepEpochs, cfg.OutputDir = 0, 6, 2, 1, t.TempDir()
		cfg.GradAccumulation = accumulation
		r := tinyRun(t, cfg)
		for r.done = 1; r.done <= r.total; r.done++ {
			if err := r.saveOnSchedule(); err != nil {
				t.Fatal(err)
			}
		}
		files, err := filepath.Glob(filepath.Join(cfg.OutputDir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range files {
			files[i] = filepath.Base(files[i])
		}
		if !slices.Equal(files, want) {
			t.Errorf("with %d batches a step %q stay, want %q", accumulation, files, want)
		}
	}
}

// Previews, validations and files of epochs come after the steps that end them, also where a step ends several, and at the run's end.
func TestEndedEpochs(t *testing.T) {
	for _, c := range []struct {
		steps, batches, every int
		want                  map[int]int // epoch by the step that ends it; the test's epochs have 4 batches
	}{
		{12, 1, 1, map[int]int{4: 1, 8: 2, 12: 3}},
		{11, 1, 1, map[int]int{4: 1, 8: 2, 11: 3}},
		{11, 1, 2, map[int]int{8: 2}},
		{6, 3, 1, map[int]int{2: 1, 3: 2, 4: 3, 6: 4}},
		{3, 10, 2, map[int]int{1: 2, 2: 4, 3: 6}},
		{12, 1, 0, map[int]int{}},
	} {
		cfg := tinyConfig()
		cfg.Steps, cfg.GradAccumulation = c.steps, c.batches
		r := tinyRun(t, cfg)
		got := map[int]int{}
		for ; r.done <= r.total; r.done++ {
			if epoch := r.ended(c.every); epoch > 0 {
				got[r.done] = epoch
			}
		}
		if !maps.Equal(got, c.want) {
			t.Errorf("%d steps of %d batches, every %d epochs: %v, want %v", c.steps, c.batches, c.every, got, c.want)
		}
	}
}

// With SaveState a saved file has beside it what goes on from there exactly, validations included, and is deleted with it.
func TestSaveState(t *testing.T) {
	cfg := withWords(tinyConfig())
	cfg.SaveEvery, cfg.SaveKeep, cfg.SaveState, cfg.ValidateEvery, cfg.OutputDir = 1, 2, true, 2, t.TempDir()
	r := tinyRun(t, cfg)
	var kept []string
	r.Kept = func(path string) { kept = append(kept, path) }
	train(t, r, 3)
	files, err := filepath.Glob(filepath.Join(cfg.OutputDir, "*-state.safetensors"))
	if err != nil || len(files) != 2 {
		t.Fatalf("states %q, %v", files, err)
	}
	if len(kept) != 3 || !slices.Equal(kept[1:], files) {
		t.Errorf("told of %q, kept %q", kept, files)
	}
	again, err := Resume(tinyModel(t), r.Data, files[0], nil)
	if err != nil || again.Done() != 2 {
		t.Fatal(err)
	}
	train(t, again, 1)
	agree(t, r, again)
	if !slices.Equal(r.Checks(), again.Checks()) || len(r.Checks()) != 1 {
		t.Errorf("validations %v and after going on %v", r.Checks(), again.Checks())
	}
	alone := filepath.Join(t.TempDir(), "last.safetensors")
	if err := r.Save(alone); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(statePath(alone)); err != nil {
		t.Error(err)
	}
}

// An adapter's own header is read also where the file of prompts that its training drew is not: previews are left out then, which is said.
func TestHeaderWithoutItsPrompts(t *testing.T) {
	cfg := tinyConfig()
	cfg.SampleEvery, cfg.SamplePrompts = 5, filepath.Join(t.TempDir(), "prompts.txt")
	if err := os.WriteFile(cfg.SamplePrompts, []byte("1girl"), 0o644); err != nil {
		t.Fatal(err)
	}
	header := tinyRun(t, cfg).Metadata("file")
	if in, err := ImportHeader(header); err != nil || in.Config.SamplePrompts != cfg.SamplePrompts || len(in.Notes) > 0 {
		t.Errorf("%+v, %v", in, err)
	}
	os.Remove(cfg.SamplePrompts)
	if in, err := ImportHeader(header); err != nil || in.Config.SampleEvery != 0 || in.Config.LR != cfg.LR || len(in.Notes) != 2 {
		t.Errorf("%+v, %v", in, err)
	}
}

// The trainer's options for these mean the same here.
func TestImportSchedules(t *testing.T) {
	in, err := parseImport([]byte("sample_every_n_epochs = 2\nsample_prompts = \"testdata/prompts.txt\"\nvalidate_every_n_epochs = 3\nsave_state = true\nvalidation_split = 0.1\n"))
	if c := in.Config; err != nil || c.ValidateEveryEpochs != 3 || !c.SaveState || c.SampleEveryEpochs != 0 {
		t.Errorf("%s, notes %q, %v", c.Name(), in.Notes, err)
	}
	prompts := filepath.Join(t.TempDir(), "prompts.txt")
	if err := os.WriteFile(prompts, []byte("1girl"), 0o644); err != nil {
		t.Fatal(err)
	}
	in, err = parseImport(fmt.Appendf(nil, "sample_every_n_epochs = 2\nsample_prompts = %q\nvalidation_split = 0.1\n", prompts))
	if c := in.Config; err != nil || c.ValidateEveryEpochs != 1 || c.SampleEveryEpochs != 2 || len(in.Notes) > 0 {
		t.Errorf("%s, notes %q, %v", c.Name(), in.Notes, err)
	}
}

// save_last_n_steps keeps the files that kohya's get_remove_step_no leaves, and save_n_epoch_ratio saves as often as its trainer.
func TestImportSaving(t *testing.T) {
	for _, c := range []struct{ every, last, keep int }{{10, 30, 4}, {10, 10, 2}, {10, 9, 1}, {10, 5, 1}, {7, 20, 3}, {1, 1, 2}} {
		in, err := parseImport(fmt.Appendf(nil, "save_every_n_steps = %d\nsave_last_n_steps = %d\n", c.every, c.last))
		if err != nil || in.Config.SaveKeep != c.keep || len(in.Notes) > 0 {
			t.Errorf("%+v: %d stay, notes %q, %v", c, in.Config.SaveKeep, in.Notes, err)
		}
	}
	in, err := parseImport([]byte("max_train_epochs = 10\nsave_n_epoch_ratio = 4\nsave_last_n_epochs = 3\ntraining_comment = \"first try\"\nmetadata_author = \"me\"\n"))
	if c := in.Config; err != nil || c.SaveEveryEpochs != 2 || c.SaveKeepEpochs != 3 || c.Comment != "first try" || c.Author != "me" || len(in.Notes) > 0 {
		t.Errorf("%s, notes %q, %v", c.Name(), in.Notes, err)
	}
}

// What is said of the adapter is in its header, under the keys of kohya's trainer and of the model metadata standard, and comes back from one.
func TestHeaderSaysWhatItIsTold(t *testing.T) {
	cfg := tinyConfig()
	cfg.Comment, cfg.Title, cfg.Author, cfg.Description, cfg.License, cfg.Tags = "first try", "Tilty", "me", "a girl", "CC0-1.0", "girl, hat"
	header := tinyRun(t, cfg).Metadata("file")
	for key, want := range map[string]string{"ss_training_comment": "first try", "modelspec.title": "Tilty", "modelspec.author": "me",
		"modelspec.description": "a girl", "modelspec.license": "CC0-1.0", "modelspec.tags": "girl, hat", "ss_output_name": "file"} {
		if header[key] != want {
			t.Errorf("%s is %q", key, header[key])
		}
	}
	plain := tinyRun(t, tinyConfig()).Metadata("file")
	if _, there := plain["modelspec.author"]; there || plain["ss_training_comment"] != "None" || plain["modelspec.title"] != "file" {
		t.Errorf("told nothing it has %q, %q and an author: %v", plain["ss_training_comment"], plain["modelspec.title"], there)
	}
	in, err := ImportHeader(map[string]string{"ss_network_dim": "4", "ss_training_comment": "first try"})
	if err != nil || in.Config.Comment != "first try" || strings.Contains(strings.Join(in.Notes, ""), "training_comment") {
		t.Errorf("%+v, %v", in, err)
	}
}
