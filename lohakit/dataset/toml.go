package dataset

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/lohakit/notebook/lohakit/fault"
)

// maxFile is the most a dataset file may hold, in bytes.
const maxFile = 4 << 20

// file is a dataset file: settings at three levels, the most specific of which counts.
type file struct {
	General  map[string]any   `toml:"general"`
	Datasets []map[string]any `toml:"datasets"`
}

// LoadTOML reads a dataset file of kohya's trainer: [general], [[datasets]] and [[datasets.subsets]]. What it leaves out has that trainer's
// defaults, which differ from Options': no buckets, batch size 1, 256 to 1024 pixels, captions in ".caption". A key that is not known
// is an error that names it; one that is known but has no effect here is named in Warnings. Relative folders are relative to the file.
func LoadTOML(path string) (*Set, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, readFault("load dataset", path, err)
	}
	if info.Size() > maxFile {
		return nil, fault.New(fault.Invalid, "load dataset", path, "%d bytes is more than a dataset file can be", info.Size()).
			Fix("choose a dataset TOML")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, readFault("load dataset", path, err)
	}
	set, err := parseTOML(string(data), filepath.Dir(path))
	if err != nil {
		return nil, fault.New(fault.Invalid, "load dataset", path, "%w", err)
	}
	for _, sub := range set.planned {
		set.addSubset(sub)
	}
	return set, set.finish(path)
}

// parseTOML reads the settings; the subsets are planned but their folders not yet read.
func parseTOML(text, dir string) (*Set, error) {
	var f file
	meta, err := toml.Decode(text, &f)
	if err != nil {
		return nil, err
	}
	for _, key := range meta.Undecoded() {
		if len(key) == 1 {
			return nil, fmt.Errorf("%s is not known; use [general], [[datasets]] and [[datasets.subsets]]", key)
		}
	}
	if len(f.Datasets) == 0 {
		return nil, fmt.Errorf("has no [[datasets]]")
	}
	set := &Set{Options: Options{BatchSize: 1, NoBuckets: true, MinBucket: 256, MaxBucket: 1024, BucketStep: 64}, fromFile: true}
	base := Subset{Repeats: 1, fromFile: true, Captions: Captions{Extension: ".caption"}}
	if err := set.apply(f.General, &set.Options, &base, "general"); err != nil {
		return nil, err
	}
	general := set.Options
	for i, d := range f.Datasets {
		options, common := general, base
		list, ok := tables(d["subsets"])
		if !ok {
			return nil, fmt.Errorf("datasets number %d has no [[datasets.subsets]]", i+1)
		}
		delete(d, "subsets")
		if err := set.apply(d, &options, &common, "datasets"); err != nil {
			return nil, err
		}
		if options, err = options.complete(); err != nil {
			return nil, err
		}
		if i > 0 && !sameArrangement(options, set.Options) {
			return nil, fmt.Errorf("datasets number %d has another resolution, batch size or buckets than the first; put it into a file of its own", i+1)
		}
		set.Options = options
		for _, table := range list {
			sub := common
			if err := set.apply(table, nil, &sub, "datasets.subsets"); err != nil {
				return nil, err
			}
			if sub.Dir == "" {
				return nil, fmt.Errorf("a subset of datasets number %d has no image_dir", i+1)
			}
			for _, folder := range []*string{&sub.Dir, &sub.MaskDir} {
				if *folder != "" && !filepath.IsAbs(*folder) {
					*folder = filepath.Join(dir, *folder)
				}
			}
			if sub, err = sub.complete(); err != nil {
				return nil, err
			}
			set.planned = append(set.planned, sub)
		}
	}
	return set, nil
}

func sameArrangement(a, b Options) bool {
	return a.Resolution == b.Resolution && a.BatchSize == b.BatchSize && a.NoBuckets == b.NoBuckets && a.NoUpscale == b.NoUpscale &&
		a.MinBucket == b.MinBucket && a.MaxBucket == b.MaxBucket && a.BucketStep == b.BucketStep &&
		a.Validation == b.Validation && a.ValidationSeed == b.ValidationSeed
}

// tables returns a list of tables, however the file wrote it.
func tables(v any) ([]map[string]any, bool) {
	switch v := v.(type) {
	case []map[string]any:
		return v, len(v) > 0
	case []any:
		var list []map[string]any
		for _, e := range v {
			t, ok := e.(map[string]any)
			if !ok {
				return nil, false
			}
			list = append(list, t)
		}
		return list, len(list) > 0
	}
	return nil, false
}

// apply sets the keys of one table, in order of their names so that the first error is always the same.
func (s *Set) apply(table map[string]any, o *Options, sub *Subset, level string) error {
	for _, key := range slices.Sorted(maps.Keys(table)) {
		v := table[key]
		var err error
		switch {
		case o != nil && datasetKeys[key] != nil:
			err = datasetKeys[key](o, v)
		case subsetKeys[key] != nil:
			err = subsetKeys[key](sub, v)
		case slices.Contains(idleKeys, key):
			s.warn("%s has no effect here", key)
		case key == "metadata_file":
			err = fmt.Errorf("fine-tuning metadata is not read; use captions beside the images")
		default:
			err = fmt.Errorf("is not known in [%s]", level)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// idleKeys are kohya's keys that are read by nothing here: caching is by content, faces are not looked for.
var idleKeys = []string{"cache_info", "face_crop_aug_range", "custom_attributes",
	"skip_image_resolution", "network_multiplier"}

// into sets *to from a value of one of the file's types.
func into[T any](to *T, v any) error {
	fail := func(want string) error { return fmt.Errorf("%v is not %s", v, want) }
	switch to := any(to).(type) {
	case *int:
		n, ok := v.(int64)
		if !ok || n < math.MinInt32 || n > math.MaxInt32 {
			return fail("a whole number")
		}
		*to = int(n)
	case *float64:
		switch n := v.(type) {
		case int64:
			*to = float64(n)
		case float64:
			*to = n
		default:
			return fail("a number")
		}
	case *bool:
		b, ok := v.(bool)
		if !ok {
			return fail("true or false")
		}
		*to = b
	case *string:
		text, ok := v.(string)
		if !ok {
			return fail("text in quotes")
		}
		*to = text
	}
	return nil
}

// datasetKeys and subsetKeys say where each key goes.
var datasetKeys = map[string]func(o *Options, v any) error{
	"batch_size":        func(o *Options, v any) error { return into(&o.BatchSize, v) },
	"min_bucket_reso":   func(o *Options, v any) error { return into(&o.MinBucket, v) },
	"max_bucket_reso":   func(o *Options, v any) error { return into(&o.MaxBucket, v) },
	"bucket_reso_steps": func(o *Options, v any) error { return into(&o.BucketStep, v) },
	"bucket_no_upscale": func(o *Options, v any) error { return into(&o.NoUpscale, v) },
	"enable_bucket":     func(o *Options, v any) error { var on bool; err := into(&on, v); o.NoBuckets = !on; return err },
	"validation_split":  func(o *Options, v any) error { return into(&o.Validation, v) },
	"validation_seed": func(o *Options, v any) error {
		var seed int
		err := into(&seed, v)
		o.ValidationSeed = uint64(seed)
		return err
	},
	"resolution": resolution,
}

func resolution(o *Options, v any) error {
	if list, ok := v.([]any); ok && len(list) == 2 {
		if err := into(&o.Resolution.W, list[0]); err != nil {
			return err
		}
		return into(&o.Resolution.H, list[1])
	}
	if err := into(&o.Resolution.W, v); err != nil {
		return fmt.Errorf("%v is neither a size nor [width, height]", v)
	}
	o.Resolution.H = o.Resolution.W
	return nil
}

var subsetKeys = map[string]func(s *Subset, v any) error{
	"image_dir":                      func(s *Subset, v any) error { return into(&s.Dir, v) },
	"num_repeats":                    func(s *Subset, v any) error { return into(&s.Repeats, v) },
	"class_tokens":                   func(s *Subset, v any) error { return into(&s.ClassTokens, v) },
	"is_reg":                         func(s *Subset, v any) error { return into(&s.Regularization, v) },
	"flip_aug":                       func(s *Subset, v any) error { return into(&s.Flip, v) },
	"color_aug":                      func(s *Subset, v any) error { return into(&s.Color, v) },
	"random_crop":                    func(s *Subset, v any) error { return into(&s.RandomCrop, v) },
	"alpha_mask":                     func(s *Subset, v any) error { return into(&s.AlphaMask, v) },
	"resize_interpolation":           func(s *Subset, v any) error { return into(&s.ResizeInterpolation, v) },
	"conditioning_data_dir":          func(s *Subset, v any) error { return into(&s.MaskDir, v) },
	"caption_extension":              func(s *Subset, v any) error { return into(&s.Captions.Extension, v) },
	"caption_separator":              func(s *Subset, v any) error { return into(&s.Captions.Separator, v) },
	"secondary_separator":            func(s *Subset, v any) error { return into(&s.Captions.SecondarySeparator, v) },
	"shuffle_caption":                func(s *Subset, v any) error { return into(&s.Captions.Shuffle, v) },
	"keep_tokens":                    func(s *Subset, v any) error { return into(&s.Captions.KeepTokens, v) },
	"keep_tokens_separator":          func(s *Subset, v any) error { return into(&s.Captions.KeepTokensSeparator, v) },
	"enable_wildcard":                func(s *Subset, v any) error { return into(&s.Captions.Wildcards, v) },
	"caption_prefix":                 func(s *Subset, v any) error { return into(&s.Captions.Prefix, v) },
	"caption_suffix":                 func(s *Subset, v any) error { return into(&s.Captions.Suffix, v) },
	"caption_dropout_rate":           func(s *Subset, v any) error { return into(&s.Captions.Dropout, v) },
	"caption_dropout_every_n_epochs": func(s *Subset, v any) error { return into(&s.Captions.DropoutEveryNEpochs, v) },
	"caption_tag_dropout_rate":       func(s *Subset, v any) error { return into(&s.Captions.TagDropout, v) },
	"token_warmup_min":               func(s *Subset, v any) error { return into(&s.Captions.TokenWarmupMin, v) },
	"token_warmup_step":              func(s *Subset, v any) error { return into(&s.Captions.TokenWarmupStep, v) },
}

// FromFile reports whether the set's arrangement comes from a dataset file, which then counts over a training configuration.
func (s *Set) FromFile() bool { return s.fromFile }

// Decides names the fields of opts that say otherwise than the set's dataset file, which counts; none for folders in kohya form.
func (s *Set) Decides(opts Options) (fields []string) {
	if !s.fromFile {
		return nil
	}
	if full, err := opts.complete(); err == nil {
		opts = full
	}
	add := func(names []string) {
		for _, name := range names {
			if !slices.Contains(fields, name) {
				fields = append(fields, name)
			}
		}
	}
	elsewhere := []string{"Regularization", "Seed", "Subset", "Limits"} // not for a file to decide, or below
	if s.Options.NoBuckets {
		elsewhere = append(elsewhere, "MinBucket", "MaxBucket", "BucketStep", "NoUpscale")
	}
	add(differing(s.Options, opts, elsewhere...))
	for _, sub := range s.Subsets {
		add(differing(sub, opts.Subset, "Dir", "Repeats", "ClassTokens", "Regularization", "Captions"))
		add(differing(sub.Captions, opts.Subset.Captions, "Extension"))
	}
	return fields
}

// differing names the exported fields in which two structs of one type differ, but for some.
func differing(a, b any, but ...string) (names []string) {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		field := x.Type().Field(i)
		if field.IsExported() && !slices.Contains(but, field.Name) && !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, field.Name)
		}
	}
	return names
}
