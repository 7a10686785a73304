package train

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/dataset"
)

// folderFacts describes folders in kohya form, under kohya's keys.
func (r *Run) folderFacts() map[string]any {
	c, o := r.Config, r.Data.Options
	return map[string]any{
		"ss_batch_size_per_device": o.BatchSize, "ss_total_batch_size": o.BatchSize * c.GradAccumulation,
		"ss_resolution": fmt.Sprintf("(%d, %d)", o.Resolution.W, o.Resolution.H), "ss_color_aug": c.Color, "ss_flip_aug": c.Flip,
		"ss_random_crop": c.RandomCrop, "ss_shuffle_caption": c.Shuffle, "ss_keep_tokens": c.KeepTokens, "ss_enable_bucket": !o.NoBuckets,
		"ss_bucket_no_upscale": o.NoUpscale, "ss_min_bucket_reso": o.MinBucket, "ss_max_bucket_reso": o.MaxBucket,
	}
}

// datasetFacts describes a dataset file as one entry of ss_datasets.
func (r *Run) datasetFacts() map[string]any {
	o := r.Data.Options
	var subsets []any
	for i, s := range r.Data.Subsets {
		c := s.Captions
		subsets = append(subsets, map[string]any{"img_count": r.images(i), "num_repeats": s.Repeats, "color_aug": s.Color, "flip_aug": s.Flip,
			"random_crop": s.RandomCrop, "shuffle_caption": c.Shuffle, "keep_tokens": c.KeepTokens, "keep_tokens_separator": c.KeepTokensSeparator,
			"secondary_separator": orNull(c.SecondarySeparator), "enable_wildcard": c.Wildcards, "caption_prefix": orNull(c.Prefix),
			"caption_suffix": orNull(c.Suffix), "resize_interpolation": orNull(s.ResizeInterpolation), "image_dir": filepath.Base(s.Dir),
			"class_tokens": orNull(s.ClassTokens), "is_reg": s.Regularization})
	}
	return map[string]any{"is_dreambooth": true, "batch_size_per_device": o.BatchSize, "num_train_images": r.draws(false),
		"num_reg_images": r.draws(true), "resolution": []int{o.Resolution.W, o.Resolution.H}, "enable_bucket": !o.NoBuckets,
		"min_bucket_reso": o.MinBucket, "max_bucket_reso": o.MaxBucket, "tag_frequency": r.tagFrequency(), "bucket_info": bucketInfo(r.Data),
		"resize_interpolation": nil, "subsets": subsets}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// draws counts an epoch's samples.
func (r *Run) draws(regularization bool) int {
	n := 0
	for _, item := range r.Data.Items {
		if r.Data.Subsets[item.Subset].Regularization == regularization {
			n += item.Repeats
		}
	}
	return n
}

// images counts the images of a subset that are not held out.
func (r *Run) images(subset int) int {
	n := 0
	for _, item := range r.Data.Items {
		if item.Subset == subset && !item.Held {
			n++
		}
	}
	return n
}

// folders lists the datasets' folders as the trainers do: {name: {n_repeats, img_count}}.
func (r *Run) folders(regularization bool) map[string]map[string]int {
	out := map[string]map[string]int{}
	for i, sub := range r.Data.Subsets {
		if sub.Regularization == regularization {
			out[sub.Name()] = map[string]int{"n_repeats": sub.Repeats, "img_count": r.images(i)}
		}
	}
	return out
}

// tagFrequency counts every folder's tags as the trainers do: in small letters, split at commas whatever the separator, over all lines of
// the captions.
func (r *Run) tagFrequency() map[string]map[string]int {
	out := map[string]map[string]int{}
	for _, sub := range r.Data.Subsets {
		out[sub.Name()] = map[string]int{}
	}
	for _, item := range r.Data.Items {
		if item.Held {
			continue
		}
		counts := out[r.Data.Subsets[item.Subset].Name()]
		for tag := range strings.SplitSeq(item.Caption, ",") {
			if tag = strings.ToLower(strings.TrimSpace(tag)); tag != "" {
				counts[tag]++
			}
		}
	}
	return out
}

// bucketInfo is how an epoch's samples fall into buckets; nil without buckets.
func bucketInfo(s *dataset.Set) any {
	if s.Options.NoBuckets {
		return nil
	}
	buckets := map[string]any{}
	for i, b := range s.Buckets() {
		buckets[strconv.Itoa(i)] = map[string]any{"resolution": []int{b.Size.W, b.Size.H}, "count": b.Samples}
	}
	return map[string]any{"buckets": buckets, "mean_img_ar_error": s.AspectError()}
}
