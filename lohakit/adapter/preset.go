package adapter

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// presetFile is a preset file of LyCORIS. A nil list keeps what the full preset has.
type presetFile struct {
	Conv       *bool               `toml:"enable_conv"`
	UNetModule []string            `toml:"unet_target_module"`
	UNetName   []string            `toml:"unet_target_name"`
	TextModule []string            `toml:"text_encoder_target_module"`
	TextName   []string            `toml:"text_encoder_target_name"`
	ModuleRule map[string]fileRule `toml:"module_algo_map"`
	NameRule   map[string]fileRule `toml:"name_algo_map"`
	Glob       bool                `toml:"use_fnmatch"`
}

type fileRule struct {
	Algo  string  `toml:"algo"`
	Dim   int     `toml:"dim"`
	Alpha float64 `toml:"alpha"`
}

// modulePatterns are the layers inside the modules that such files name.
var modulePatterns = map[string]string{
	"Transformer2DModel": "lora_unet_*_attentions_*", "BasicTransformerBlock": "lora_unet_*_transformer_blocks_*", "Attention": "lora_unet_*_attn[12]_*",
	"FeedForward": "lora_unet_*_ff_net_*", "ResnetBlock2D": "lora_unet_*_resnets_*", "Downsample2D": "lora_unet_*_downsamplers_*",
	"Upsample2D": "lora_unet_*_upsamplers_*", "TimestepEmbedding": "lora_unet_time_embedding_*",
	"CLIPAttention": "lora_te_*_self_attn_*", "CLIPSdpaAttention": "lora_te_*_self_attn_*", "CLIPMLP": "lora_te_*_mlp_*",
	"CLIPEncoderLayer": "lora_te_*_layers_*",
}

// ReadPreset returns spec with the layers and rules of a preset file as LyCORIS reads it (TOML): which modules and layers of the UNet and the
// text encoder are adapted, and module_algo_map and name_algo_map, which give some another kind, dim or alpha. Names are
// patterns as in fnmatch, and need use_fnmatch if they have any of *?[. A key or module that is not known is a fault that names it.
func ReadPreset(path string, spec Spec) (Spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return spec, fault.New(fault.NotExist, "read preset", path, "%w", err).Fix("check the path, or use one of %s", strings.Join(Presets(), ", "))
	}
	rules, conv, err := parsePreset(string(data))
	if err != nil {
		return spec, fault.New(fault.Invalid, "read preset", path, "%w", err)
	}
	spec.Preset, spec.Rules = "full", append(slices.Clone(spec.Rules), rules...)
	if !conv {
		spec.ConvDim = 0
	}
	return spec, spec.Check()
}

// parsePreset turns a preset file into rules over all layers, the last of which skip what the file does not name.
func parsePreset(text string) (rules []Rule, conv bool, err error) {
	f := presetFile{
		UNetModule: []string{"Transformer2DModel", "ResnetBlock2D", "Downsample2D", "Upsample2D"},
		UNetName:   []string{"conv_in", "conv_out", "time_embedding.linear_1", "time_embedding.linear_2"},
		TextModule: []string{"CLIPAttention", "CLIPMLP"},
	}
	meta, err := toml.Decode(text, &f)
	if err != nil {
		return nil, false, err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, false, fmt.Errorf("%s is not known", unknown[0])
	}
	order := keyOrder(meta, "name_algo_map")
	for _, part := range []struct {
		prefix string
		names  []string
	}{{"lora_te_", f.TextName}, {"lora_unet_", f.UNetName}} {
		for _, name := range part.names {
			target, err := f.pattern(part.prefix, name)
			if err != nil {
				return nil, false, err
			}
			for _, key := range order {
				exception, err := f.pattern(part.prefix, key)
				if err != nil {
					return nil, false, err
				}
				r, err := f.NameRule[key].rule(target + " & " + exception)
				if err != nil {
					return nil, false, err
				}
				rules = append(rules, r)
			}
			rules = append(rules, Rule{Match: target})
		}
	}
	for _, module := range append(slices.Clone(f.TextModule), f.UNetModule...) {
		r, err := f.ModuleRule[module].rule(modulePatterns[module])
		if err != nil {
			return nil, false, err
		}
		if r.Match == "" {
			return nil, false, checkpoint.Unknown("read preset", "module", module, slices.Collect(maps.Keys(modulePatterns)))
		}
		rules = append(rules, r)
	}
	rules = append(rules, Rule{Match: "lora_*", Skip: true})
	return rules, f.Conv == nil || *f.Conv, nil
}

// pattern is a name of the file as a pattern over the layers' names in adapter files.
func (f presetFile) pattern(prefix, name string) (string, error) {
	if !f.Glob && strings.ContainsAny(name, `*?[\^$+(|`) {
		return "", fmt.Errorf("%q is a regular expression, which is not handled; write it with * and ?, and set use_fnmatch = true", name)
	}
	return prefix + strings.ReplaceAll(name, ".", "_"), nil
}

// rule is the exception for the layers that match.
func (r fileRule) rule(match string) (Rule, error) {
	kind, ok := map[string]Kind{"": "", "lora": LoCon, "locon": LoCon, "loha": LoHa, "lokr": LoKr, "ia3": IA3, "full": Full}[r.Algo]
	if !ok {
		return Rule{}, fmt.Errorf("algo %q is not handled", r.Algo)
	}
	return Rule{Match: match, Kind: kind, Dim: r.Dim, Alpha: r.Alpha}, nil
}

// keyOrder lists the keys of a table in the order of the file, in which the first that matches counts.
func keyOrder(meta toml.MetaData, table string) (keys []string) {
	for _, k := range meta.Keys() {
		if len(k) >= 2 && k[0] == table && !slices.Contains(keys, k[1]) {
			keys = append(keys, k[1])
		}
	}
	return keys
}
