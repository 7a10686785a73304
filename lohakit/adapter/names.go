package adapter

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
)

// A tensor's key in a file is a layer and a suffix. Kohya's trainer and LyCORIS write "lora_unet_mid_block_….hada_w1_a"; diffusers and PEFT the
// module's path, "unet.mid_block.….lora_A.weight" or, older, "….lora.down.weight" and "…attn1.processor.to_q_lora.down.weight".

// splitKey returns the layer's name as kohya writes it and the suffix; ok is false for a key of no adapter. path is the module's where the key
// has it, as those of PEFT do.
func splitKey(key string) (name, suffix, path string, ok bool) {
	head, suffix, found := strings.Cut(key, ".")
	switch {
	case !found:
		return "", "", "", false
	case strings.HasPrefix(head, "lora_"):
		return usualName(head), suffix, "", true
	case strings.HasPrefix(head, "lycoris_"): // LyCORIS without kohya's trainer
		return "lora_unet_" + strings.TrimPrefix(head, "lycoris_"), suffix, "", true
	}
	rest := strings.TrimPrefix(key, "base_model.model.")
	part := checkpoint.UNet
	if after, text := strings.CutPrefix(rest, "text_encoder."); text {
		rest, part = after, checkpoint.Text
	} else if strings.HasPrefix(rest, "text_model.") {
		part = checkpoint.Text
	} else {
		rest = strings.TrimPrefix(rest, "unet.")
	}
	for _, s := range peftSuffixes {
		if path, is := strings.CutSuffix(rest, s.theirs); is {
			if to, old := strings.CutSuffix(strings.Replace(path, ".processor.", ".", 1), "_lora"); old {
				if path = to; strings.HasSuffix(path, ".to_out") {
					path += ".0"
				}
			}
			return usualName(layerName(part, path)), s.ours, path, true
		}
	}
	return "", "", "", false
}

// peftSuffixes are the names of tensors that diffusers and PEFT have, longest first.
var peftSuffixes = []struct{ theirs, ours string }{
	{".lora_A.default.weight", "lora_down.weight"}, {".lora_B.default.weight", "lora_up.weight"},
	{".lora_magnitude_vector.weight", "dora_scale"}, {".lora_magnitude_vector", "dora_scale"},
	{".lora_linear_layer.down.weight", "lora_down.weight"}, {".lora_linear_layer.up.weight", "lora_up.weight"},
	{".lora_A.weight", "lora_down.weight"}, {".lora_B.weight", "lora_up.weight"},
	{".lora.down.weight", "lora_down.weight"}, {".lora.up.weight", "lora_up.weight"},
	{".down.weight", "lora_down.weight"}, {".up.weight", "lora_up.weight"}, {".alpha", "alpha"},
}

// usualName undoes the variations of text-encoder names.
func usualName(name string) string {
	rest, ok := strings.CutPrefix(name, "lora_te_")
	if !ok {
		return name
	}
	for strings.HasPrefix(rest, "text_model_") {
		rest = rest[len("text_model_"):]
	}
	return "lora_te_text_model_" + rest
}

// peftConfig is what PEFT tells of an adapter beside its tensors: in the header of a file that diffusers wrote, its keys beginning with the
// part, or in adapter_config.json.
type peftConfig struct {
	Alpha   float64      `json:"lora_alpha"`
	RSLoRA  bool         `json:"use_rslora"`
	Pattern peftPatterns `json:"alpha_pattern"`
}

// peftPatterns are alphas of the modules that a pattern matches, in the order of the file: of several the first counts.
type peftPatterns []peftPattern

type peftPattern struct {
	path  *regexp.Regexp
	alpha float64
}

// UnmarshalJSON reads an object in its order.
func (p *peftPatterns) UnmarshalJSON(text []byte) error {
	var alphas map[string]float64
	if err := json.Unmarshal(text, &alphas); err != nil {
		return err
	}
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		token, err := d.Token()
		if err != nil {
			return nil // the end
		}
		if pattern, ok := token.(string); ok {
			if re, err := regexp.Compile(`^(.*\.)?(` + pattern + `)$`); err == nil {
				*p = append(*p, peftPattern{re, alphas[pattern]})
			}
		}
	}
}

// peftConfigs reads the configuration of either part out of a header; none for files of other programs.
func peftConfigs(metadata map[string]string) map[checkpoint.Part]peftConfig {
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(metadata["lora_adapter_metadata"]), &all) != nil {
		return nil
	}
	configs := map[checkpoint.Part]peftConfig{}
	for part, prefix := range map[checkpoint.Part]string{checkpoint.UNet: "unet.", checkpoint.Text: "text_encoder."} {
		own := map[string]json.RawMessage{}
		for key, value := range all {
			if name, ok := strings.CutPrefix(key, prefix); ok {
				own[name] = value
			}
		}
		var c peftConfig
		if text, err := json.Marshal(own); err == nil && json.Unmarshal(text, &c) == nil && c.Alpha > 0 {
			configs[part] = c
		}
	}
	return configs
}

// alpha is what the module at a path is scaled by, over its dim.
func (c peftConfig) alpha(path string, dim int) float64 {
	alpha := c.Alpha
	if i := slices.IndexFunc(c.Pattern, func(p peftPattern) bool { return p.path.MatchString(path) }); i >= 0 {
		alpha = c.Pattern[i].alpha
	}
	if c.RSLoRA {
		alpha *= math.Sqrt(float64(dim))
	}
	return alpha
}

// withPEFTConfig adds to a file's metadata what adapter_config.json beside it tells, where the metadata does not tell it.
func withPEFTConfig(path string, metadata map[string]string) map[string]string {
	const most = 1 << 20
	file := filepath.Join(filepath.Dir(path), "adapter_config.json")
	if info, err := os.Stat(file); err != nil || info.Size() > most || metadata["lora_adapter_metadata"] != "" {
		return metadata
	}
	data, err := os.ReadFile(file)
	var fields map[string]json.RawMessage
	if err != nil || json.Unmarshal(data, &fields) != nil {
		return metadata
	}
	both := map[string]json.RawMessage{}
	for key, value := range fields {
		both["unet."+key], both["text_encoder."+key] = value, value
	}
	text, err := json.Marshal(both)
	if err != nil {
		return metadata
	}
	out := map[string]string{"lora_adapter_metadata": string(text)}
	maps.Copy(out, metadata)
	return out
}

// usual gives a module that PEFT named the alpha its configuration tells, and the lengths of its output channels, [out] or [1,out,1,1], the
// shape LyCORIS has: [out,1,…].
func (a *Adapter) usual(m *module, configs map[checkpoint.Part]peftConfig) {
	if c, ok := configs[partOf(m.name)]; ok && m.alpha == 0 {
		m.alpha = c.alpha(m.path, m.dim())
	}
	down := m.has["lora_down.weight"]
	if length := a.Params.Get(m.name + ".dora_scale"); length != nil && down != nil {
		shape := slices.Repeat([]int{1}, len(down))
		shape[0] = length.Size()
		if v, err := tensors.CopyFlatData[float32](length); err == nil {
			m.has["dora_scale"] = shape
			a.Params.Set(m.name+".dora_scale", tensors.FromFlatDataAndDimensions(v, shape...))
		}
	}
}
