package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Imported is a configuration of another program.
type Imported struct {
	Config     Config
	BaseModel  string   // file or folder of the base model
	VAE        string   // file or folder of its autoencoder, if that is another
	Images     string   // folder of training images, in kohya form
	Regularize string   // folder of regularization images
	Dataset    string   // dataset TOML, instead of the folders
	Notes      []string // every field that is unknown or has no effect here, one sentence each

	word                 Placeholder // of the textual-inversion trainer
	lycoris              bool        // the network is LyCORIS', not the trainer's own
	warmup               float64     // share of all steps
	textStop             float64     // the same
	keepSteps, saveRatio int         // save_last_n_steps, save_n_epoch_ratio
}

// Import reads how an adapter is or was trained from a file of another program: LoRA_Easy_Training_Scripts (the flat JSON of the model
// card's experiments), kohya's config_file (TOML), the kohya_ss GUI (JSON), or the header of an adapter (.safetensors; see
// ImportHeader). Fields are recognised by name; what is unknown or has no effect is named in Notes. A value that this package cannot follow
// is an error that names it, and so are those that Config.Check refuses.
func Import(path string) (Imported, error) {
	if strings.HasSuffix(path, ".safetensors") {
		f, err := checkpoint.Open(path)
		if err != nil {
			return Imported{}, err
		}
		defer f.Close()
		in, err := ImportHeader(f.Metadata)
		if _, exact := f.Metadata["lohakit.config"]; !exact { // what older LyCORIS did by default, and no header tells
			in.Config.Tucker = slices.ContainsFunc(f.Names(), func(name string) bool {
				return strings.HasSuffix(name, ".hada_t1") || strings.HasSuffix(name, ".lora_mid.weight") || strings.HasSuffix(name, ".lokr_t2")
			})
		}
		return in, importFault(path, err)
	}
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
	return in, importFault(path, err)
}

// importFault says in which file a fault is.
func importFault(path string, err error) error {
	if err == nil {
		return nil
	}
	return fault.New(fault.Invalid, "import configuration", path, "%w", err)
}

// parseImport brings every format to the option names of kohya's trainer, and reads those.
func parseImport(data []byte) (Imported, error) {
	in := kohyaDefaults()
	options := map[string]any{}
	var err error
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		if err := json.Unmarshal(data, &options); err != nil {
			return in, fmt.Errorf("is not JSON: %w", err)
		}
		switch {
		case has(options, "img_folder", "net_dim", "base_model"):
			options = in.easyScripts(options)
		case has(options, "LoRA_type", "pretrained_model_name_or_path"):
			options, err = gui(options)
		default:
			err = fmt.Errorf("is not a configuration of LoRA_Easy_Training_Scripts or of the kohya_ss GUI")
		}
	} else {
		err = decodeFlat(string(data), options)
	}
	if err == nil {
		err = in.read(options)
	}
	if c := &in.Config; c.Validation > 0 && c.ValidateEveryEpochs == 0 {
		c.ValidateEveryEpochs = 1 // which the trainer does unless told otherwise
	}
	if err == nil {
		err = in.Config.Check()
	}
	return in, err
}

// kohyaDefaults is what holds where a file is silent: the defaults of kohya's trainer, which differ from this package's.
func kohyaDefaults() Imported {
	c := Default()
	c.Dim, c.Tucker = 4, false
	c.LR, c.Steps, c.BatchSize, c.MaxTokens, c.StateBlock, c.SaveDType = 2e-6, 1600, 1, 75, 256, "fp32"
	c.NoBuckets, c.MinBucket, c.MaxBucket, c.BucketStep = true, 256, 1024, 64
	c.Extension = ".caption"
	in := Imported{Config: c}
	in.optimizer("AdamW")
	return in
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
	if options["network_module"] == "locon.locon_kohya" {
		c.Tucker = false // which LyCORIS had from 0.1.0 on
	}
	network := options["network_module"]
	if !in.lycoris {
		c.Kind, c.Preset, c.ConvDim, c.Tucker = adapter.LoRA, "attn-mlp", 0, false
	} else if !set(options["network_args"]) {
		options["network_args"] = map[string]any{}
	}
	if set(options["max_train_epochs"]) {
		delete(options, "max_train_steps")
		c.Steps = 0
	}
	for _, name := range append(slices.Clone(importFirst), slices.Sorted(maps.Keys(options))...) {
		v := options[name]
		apply, known := imports[name]
		delete(options, name) // those of importFirst come again
		switch {
		case !known && !set(v) && slices.Contains(withoutEffect, name):
		case !known && slices.Contains(withoutEffect, name):
			in.note("%s has no effect here, %v is not used", name, v)
		case !known:
			in.note("%s is not known, %v is not used", name, v)
		case set(v):
			if err := apply(in, v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	// What depends on several options.
	in.withoutPrompts()
	if c.Steps == 0 && in.warmup > 0 {
		in.note("lr_warmup_steps is a share of the steps, which are not known before the dataset is: Warmup is left 0")
	}
	if c.Steps == 0 && in.textStop > 0 {
		in.note("stop_text_encoder_training is a share of the steps, which are not known before the dataset is: TextStop is left 0")
	}
	if c.Steps == 0 && c.GradAccumulation > 1 {
		in.note("gradient_accumulation_steps goes on across the ends of epochs here: the trainer ends each with a short step, and may make a step more in it")
	}
	in.saving()
	c.TextStop += int(math.Ceil(in.textStop * float64(c.Steps)))
	c.Warmup += int(in.warmup * float64(c.Steps))
	if in.word.Name == "" && in.word.Weights != "" {
		in.note("weights is not used: there is no token_string whose vectors they are")
	}
	if in.word.Name != "" {
		in.word.Vectors = max(in.word.Vectors, 1)
		if in.word.Weights != "" {
			in.word.Init = "" // which the trainer reads first, and then replaces
		}
		if c.Embeddings = []Placeholder{in.word}; !set(network) {
			c.UNetOnly, c.TextOnly = true, true
		}
	}
	if !in.lycoris && (c.ConvDim > 0 || c.ConvBlockDims != nil) { // the layers that networks.lora then adds
		c.Kind, c.Preset = adapter.LoCon, "lycoris-0.1.2"
	}
	return nil
}

// withoutPrompts leaves previews out if there are no prompts for them.
func (in *Imported) withoutPrompts() {
	if c := &in.Config; c.SamplePrompts == "" && c.draws() {
		in.note("previews are left out: there are no prompts for them")
		c.SampleEvery, c.SampleEveryEpochs, c.SampleAtFirst = 0, 0, false
	}
}

// saving is what of saved files depends on several options: save_last_n_steps counts steps, not files, and save_n_epoch_ratio wants so many files.
func (in *Imported) saving() {
	c := &in.Config
	if in.keepSteps > 0 && c.SaveEvery > 0 {
		c.SaveKeep = in.keepSteps/c.SaveEvery + 1
	}
	switch {
	case in.saveRatio > 0 && c.Steps > 0:
		in.note("save_n_epoch_ratio is a share of the epochs, which are not known before the dataset is: it is not used")
	case in.saveRatio > 0:
		c.SaveEveryEpochs = max(1, c.Epochs/in.saveRatio)
	}
}

// importFirst are the options that others refer to or change a part of.
var importFirst = []string{"network_dim", "network_alpha", "use_8bit_adam", "use_lion_optimizer", "optimizer_type"}

func (in *Imported) note(format string, args ...any) {
	in.Notes = append(in.Notes, fmt.Sprintf(format, args...))
}
