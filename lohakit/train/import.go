package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Imported is a configuration of another program.
type Imported struct {
	Config     Config
	BaseModel  string   // file or folder of the base model
	Images     string   // folder of training images, in kohya form
	Regularize string   // folder of regularization images
	Dataset    string   // dataset TOML, instead of the folders
	Notes      []string // every field that is unknown or has no effect here, one sentence each

	lycoris bool // the network is LyCORIS', not the trainer's own
}

// Import reads a training configuration from a file of another program: LoRA_Easy_Training_Scripts (the flat JSON of the model card's
// experiments), kohya's config_file (TOML), or the kohya_ss GUI (JSON). Fields are recognised by name; what is not is named in
// Notes. Values out of range are the errors of Config.Check.
func Import(path string) (Imported, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Imported{}, fault.New(fault.NotExist, "import configuration", path, "there is no such file").Fix("check the path")
	}
	if info.Size() > 4<<20 {
		return Imported{}, fault.New(fault.Invalid, "import configuration", path, "%d bytes is more than a configuration can be", info.Size()).
			Fix("choose a JSON or TOML configuration")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Imported{}, fault.New(fault.IO, "import configuration", path, "%w", err).Fix("check that it can be read")
	}
	in, err := parseImport(data)
	if err != nil {
		return Imported{}, fault.New(fault.Invalid, "import configuration", path, "%w", err)
	}
	return in, nil
}

// parseImport brings every format to the option names of kohya's trainer, and reads those.
func parseImport(data []byte) (Imported, error) {
	options := map[string]any{}
	in := Imported{Config: Default()}
	in.Config.Tucker = false
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		if err := json.Unmarshal(data, &options); err != nil {
			return in, fmt.Errorf("is not JSON: %w", err)
		}
		switch {
		case has(options, "img_folder", "net_dim", "base_model"):
			in.Config.Tucker = true // LyCORIS of that time gave convolutions a core unless told otherwise
			options = rename(options, fromEasyScripts, easyScriptsOnly)
			easyScripts(options)
		case has(options, "LoRA_type", "pretrained_model_name_or_path"):
			gui(options)
			options = rename(options, fromGUI, guiOnly)
		default:
			return in, fmt.Errorf("is not a configuration of LoRA_Easy_Training_Scripts or of the kohya_ss GUI")
		}
	} else if err := decodeFlat(string(data), options); err != nil {
		return in, err
	}
	if err := in.read(options); err != nil {
		return in, err
	}
	return in, in.Config.Check()
}

// decodeFlat reads TOML whose tables only group the options, as kohya's config_file.
func decodeFlat(text string, into map[string]any) error {
	var tables map[string]any
	if _, err := toml.Decode(text, &tables); err != nil {
		return fmt.Errorf("is neither JSON nor TOML: %w", err)
	}
	for name, v := range tables {
		if table, ok := v.(map[string]any); ok {
			maps.Copy(into, table)
		} else {
			into[name] = v
		}
	}
	return nil
}

func has(options map[string]any, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := options[name]; return ok })
}

// rename gives options kohya's names and leaves out those that only concern the other program's own working.
func rename(options map[string]any, names map[string]string, own []string) map[string]any {
	out := map[string]any{}
	for name, v := range options {
		if slices.Contains(own, name) {
			continue
		}
		if to, ok := names[name]; ok {
			name = to
		}
		out[name] = v
	}
	return out
}

// read sets the configuration from kohya's options: the rank first, which other options refer to, then in order of their names.
func (in *Imported) read(options map[string]any) error {
	c := &in.Config
	in.lycoris = options["network_module"] == "lycoris.kohya" || options["network_module"] == "locon.locon_kohya"
	if !in.lycoris {
		c.Kind, c.Preset, c.ConvDim, c.Tucker = adapter.LoRA, "attn-mlp", 0, false
	} else if !set(options["network_args"]) {
		options["network_args"] = map[string]any{}
	}
	if set(options["max_train_epochs"]) {
		delete(options, "max_train_steps")
		c.Steps = 0
	}
	for _, name := range append([]string{"network_dim", "network_alpha"}, slices.Sorted(maps.Keys(options))...) {
		v := options[name]
		apply, known := imports[name]
		switch {
		case !known && slices.Contains(withoutEffect, name):
			if set(v) {
				in.note("%s has no effect here", name)
			}
		case !known:
			in.note("%s is not known, %v is not used", name, v)
		case set(v):
			if err := apply(in, v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return in.finish(options)
}

// finish settles what depends on several options.
func (in *Imported) finish(options map[string]any) error {
	c := &in.Config
	if ratio, err := number(options["lr_warmup_steps"]); err == nil && ratio > 0 && ratio < 1 {
		c.Warmup = int(ratio * float64(c.Steps))
		if c.Steps == 0 {
			in.note("lr_warmup_steps is a share of the steps, which are not known before the dataset is: Warmup is left 0")
		}
	}
	return nil
}

func (in *Imported) note(format string, args ...any) {
	in.Notes = append(in.Notes, fmt.Sprintf(format, args...))
}

// set reports whether a value says anything: the programs write null, "" and false for what is not given.
func set(v any) bool { return v != nil && v != "" && v != false && v != "None" }

// number reads a number, which the GUI may have written as text.
func number(v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int64:
		return float64(v), nil
	case string:
		if n, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%v is not a number", v)
}

// pairs reads "k=v" settings: a list, one line of text, or an object.
func pairs(v any) (map[string]string, error) {
	out := map[string]string{}
	var words []string
	switch v := v.(type) {
	case map[string]any:
		for k, value := range v {
			out[k] = fmt.Sprint(value)
		}
	case string:
		words = strings.Fields(v)
	case []any:
		for _, w := range v {
			words = append(words, fmt.Sprint(w))
		}
	default:
		return nil, fmt.Errorf("%v is not a list of k=v", v)
	}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not of the form k=v", w)
		}
		out[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"'`)
	}
	return out, nil
}
