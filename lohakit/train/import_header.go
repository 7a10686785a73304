package train

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// fromHeader are the names of ss_ keys, without "ss_", that the trainer's options call otherwise.
var fromHeader = map[string]string{
	"batch_size_per_device": "train_batch_size", "debiased_estimation": "debiased_estimation_loss", "sd_model_name": "pretrained_model_name_or_path",
}

// ImportHeader reads how an adapter was trained from the metadata of its file: this package's own if it is there, else the trainers' ss_ keys.
// What a header does not tell keeps its default; keys that describe the data or the software are left out.
func ImportHeader(metadata map[string]string) (Imported, error) {
	if own, ok := metadata["lohakit.config"]; ok {
		c, err := ReadConfig([]byte(own))
		return Imported{Config: c}, err
	}
	options := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		name, ok := strings.CutPrefix(key, "ss_")
		if !ok {
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
		case imports[name] == nil || value == "None" || value == "False" && name != "enable_bucket":
		case name == "network_args":
			var args map[string]any
			if json.Unmarshal([]byte(value), &args) == nil && args != nil {
				options[name] = args
			}
		case name == "resolution":
			options[name] = strings.Trim(value, "()[] ")
		default:
			options[name] = value
		}
	}
	in := Imported{Config: Default()}
	in.Config.Tucker = false
	if err := in.read(options); err != nil {
		return in, err
	}
	return in, in.Config.Check()
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
