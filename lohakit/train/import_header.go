package train

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fromHeader are the names of ss_ keys, without "ss_", that the trainer's options call otherwise.
var fromHeader = map[string]string{
	"batch_size_per_device": "train_batch_size", "debiased_estimation": "debiased_estimation_loss", "sd_model_name": "pretrained_model_name_or_path",
	"vae_name": "vae",
}

// ofResult are the ss_ keys, without "ss_", that describe the data, the machine, the software and what came out, which no configuration holds.
var ofResult = []string{"session_id", "training_started_at", "training_finished_at", "num_train_images", "num_validation_images", "num_reg_images",
	"num_batches_per_epoch", "num_epochs", "epoch", "steps", "base_model_version", "sd_scripts_commit_hash", "sd_model_hash", "new_sd_model_hash",
	"vae_hash", "new_vae_hash", "total_batch_size", "bucket_info", "tag_frequency", "dataset_dirs", "reg_dataset_dirs", "datasets",
	"cache_latents"}

// ImportHeader reads how an adapter was trained from the metadata of its file: this package's own if it is there, else the trainers' ss_ keys.
// What a header does not tell keeps its default; keys that describe the data, the software or the result are left out, and those that
// are unknown or have no effect here are named in Notes.
func ImportHeader(metadata map[string]string) (Imported, error) {
	if own, ok := metadata["lohakit.config"]; ok {
		c, err := parseConfig([]byte(own))
		in := Imported{Config: c, BaseModel: metadata["ss_sd_model_name"], VAE: metadata["ss_vae_name"]}
		if err != nil {
			return in, err
		}
		if path := c.promptsFile(); path != "" {
			in.Config.SamplePrompts = ""
			if err := samplePrompts(&in, path); err != nil {
				return in, err
			}
			in.withoutPrompts()
		}
		return in, in.Config.Check()
	}
	in := Imported{Config: Default()}
	in.Config.Tucker = false
	options := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		name, ok := strings.CutPrefix(key, "ss_")
		if !ok || slices.Contains(ofResult, name) {
			continue
		}
		if to, ok := fromHeader[name]; ok {
			name = to
		}
		value := metadata[key]
		switch {
		case name == "optimizer":
			class, args, _ := strings.Cut(strings.TrimSuffix(value, ")"), "(")
			options["optimizer_type"] = class[strings.LastIndexByte(class, '.')+1:]
			options["optimizer_args"] = settings(args)
		case value == "None" || value == "False" && name != "enable_bucket":
		case name == "network_args":
			var args map[string]any
			if json.Unmarshal([]byte(value), &args) == nil && args != nil {
				options[name] = args
			}
		case value == "0" || value == "0.0":
			if imports[name] != nil { // where nothing here knows the option, its 0 is "off"
				options[name] = value
			}
		default:
			options[name] = value
		}
	}
	if len(options) == 0 {
		return in, fmt.Errorf("its header does not tell how it was trained")
	}
	fromDatasets(metadata["ss_datasets"], options)
	if err := in.read(options); err != nil {
		return in, err
	}
	return in, in.Config.Check()
}

// fromDatasets takes over what the header says of the first dataset of a dataset file.
func fromDatasets(text string, options map[string]any) {
	var sets []map[string]any
	if json.Unmarshal([]byte(text), &sets) != nil || len(sets) == 0 {
		return
	}
	keep := func(from map[string]any, names ...string) {
		for _, name := range names {
			if v := from[name]; v != nil {
				options[name] = v
			}
			if from[name] == false { // which here is said, and not left out
				options[name] = "False"
			}
		}
	}
	keep(sets[0], "resolution", "enable_bucket", "min_bucket_reso", "max_bucket_reso")
	if v := sets[0]["batch_size_per_device"]; v != nil {
		options["train_batch_size"] = v
	}
	if subsets, _ := sets[0]["subsets"].([]any); len(subsets) > 0 {
		if first, ok := subsets[0].(map[string]any); ok {
			keep(first, "color_aug", "flip_aug", "random_crop", "shuffle_caption", "keep_tokens", "keep_tokens_separator", "secondary_separator",
				"enable_wildcard", "caption_prefix", "caption_suffix")
		}
	}
}

// settings splits "weight_decay=0.1,betas=(0.9, 0.99)" at the commas outside brackets.
func settings(text string) map[string]any {
	out := map[string]any{}
	depth, start := 0, 0
	for i, c := range text + "," {
		switch c {
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case ',':
			if depth > 0 {
				continue
			}
			if key, value, ok := strings.Cut(text[start:i], "="); ok {
				out[strings.TrimSpace(key)] = strings.TrimSpace(value)
			}
			start = i + 1
		}
	}
	return out
}
