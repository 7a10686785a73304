package dataset

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const example = `
[general]
shuffle_caption = true
keep_tokens = 1
caption_extension = '.txt'
enable_bucket = true

[[datasets]]
resolution = [64, 48]
batch_size = 2
bucket_reso_steps = 8
min_bucket_reso = 32
max_bucket_reso = 96

  [[datasets.subsets]]
  image_dir = '3_Euphyllia'
  num_repeats = 5
  keep_tokens = 2
  cache_info = true

  [[datasets.subsets]]
  image_dir = '1_by kantoku'
  is_reg = true
  class_tokens = 'a picture'
`

func TestLoadTOML(t *testing.T) {
	dir := fill(t)
	path := filepath.Join(dir, "set.toml")
	writeText(t, path, example)
	set, err := LoadTOML(path)
	if err != nil {
		t.Fatal(err)
	}
	o := set.Options
	if o.Resolution != (Size{64, 48}) || o.BatchSize != 2 || o.NoBuckets || o.BucketStep != 8 {
		t.Errorf("options %+v", o)
	}
	a, b := set.Subsets[0], set.Subsets[1]
	if a.Repeats != 5 || a.Captions.KeepTokens != 2 || !a.Captions.Shuffle || b.Captions.KeepTokens != 1 || !b.Regularization {
		t.Errorf("subsets %+v", set.Subsets)
	}
	if set.Items[2].Caption != "a picture" || set.count(true) != 10 || len(set.Warnings) != 1 {
		t.Errorf("items %+v, warnings %q", set.Items, set.Warnings)
	}
	with, err := set.With(Options{Resolution: Square(512), Seed: 9})
	if err != nil || with.Options.Resolution != o.Resolution || with.Options.Seed != 9 {
		t.Errorf("a dataset file's arrangement should stay: %+v, %v", with.Options, err)
	}
	asked := Options{Resolution: Size{64, 48}, BatchSize: 8, MinBucket: 32, MaxBucket: 96, BucketStep: 8, Seed: 9,
		Subset: Subset{Flip: true, Captions: Captions{Shuffle: true, KeepTokens: 2}}}
	if got, want := set.Decides(asked), []string{"BatchSize", "Flip", "KeepTokens"}; !slices.Equal(got, want) {
		t.Errorf("the file decides %q, want %q", got, want)
	}
	for wrong, name := range map[string]string{
		"batch_size = 'two'": "batch_size: two",
		"colour_aug = true":  "colour_aug: is not known",
		"alpha_mask = 3":     "alpha_mask: 3",
		"[[dataset]]\nx = 1": "dataset",
	} {
		text := strings.Replace(example, "batch_size = 2", wrong, 1)
		writeText(t, path, text)
		if _, err := LoadTOML(path); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// Of several [[datasets]] each has its own settings and those of [general], none of another's; what is left out counts as what stands for it.
func TestDatasetsOfAFileAreIndependent(t *testing.T) {
	parse := func(first, second string) (*Set, error) {
		return parseTOML("[general]\nkeep_tokens = 1\n[[datasets]]\nshuffle_caption = true\n"+first+
			"[[datasets.subsets]]\nimage_dir = 'a'\n[[datasets]]\n"+second+"[[datasets.subsets]]\nimage_dir = 'b'\n", ".")
	}
	if _, err := parse("batch_size = 4\n", ""); err == nil || !strings.Contains(err.Error(), "datasets number 2") {
		t.Errorf("the second dataset took the first one's batch size: %v", err)
	}
	set, err := parse("resolution = 512\n", "batch_size = 1\n")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := set.planned[0].Captions, set.planned[1].Captions; !a.Shuffle || b.Shuffle || b.KeepTokens != 1 {
		t.Errorf("captions %+v and %+v", a, b)
	}
}

// Folders are relative to the file, those of masks too.
func TestFoldersOfAFile(t *testing.T) {
	set, err := parseTOML("[[datasets]]\nconditioning_data_dir = 'masks'\n[[datasets.subsets]]\nimage_dir = 'a'\n[[datasets.subsets]]\nimage_dir = '/b'\nconditioning_data_dir = ''\n", "/data")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := set.planned[0], set.planned[1]; a.Dir != "/data/a" || a.MaskDir != "/data/masks" || b.Dir != "/b" || b.MaskDir != "" {
		t.Errorf("%+v", set.planned)
	}
}

// Without buckets, as a file has it that does not ask for them, their limits do not stand in the way of a resolution beyond them.
func TestLimitsOfBucketsThatAreOff(t *testing.T) {
	for _, side := range []string{"64", "2048"} {
		text := "[[datasets]]\nresolution = " + side + "\n[[datasets.subsets]]\nimage_dir = 'a'\n"
		if _, err := parseTOML(text, "."); err != nil {
			t.Errorf("%s: %v", side, err)
		}
		if _, err := parseTOML(strings.Replace(text, "resolution", "enable_bucket = true\nresolution", 1), "."); err == nil {
			t.Errorf("%s with buckets of 256 to 1024 passed", side)
		}
	}
}

func FuzzTOML(f *testing.F) {
	f.Add(example)
	f.Add("[[datasets]]\nsubsets = [{image_dir = 3}]")
	f.Add("datasets = 3")
	f.Fuzz(func(t *testing.T, text string) {
		if set, err := parseTOML(text, "."); err == nil && len(set.planned) == 0 {
			t.Error("no subsets and no error")
		}
	})
}
