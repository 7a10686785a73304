package train

import (
	"fmt"
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
