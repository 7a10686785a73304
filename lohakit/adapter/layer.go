package adapter

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Layer is a layer of a base model that an adapter can change.
type Layer struct {
	Part  checkpoint.Part // UNet or Text
	Path  string          // diffusers module path: "mid_block.attentions.0.proj_in"
	Name  string          // its name in files: "lora_unet_mid_block_attentions_0_proj_in"
	Shape []int           // of the weight: [out, in], [out, in, kh, kw], or [n] for a normalisation
	Bias  bool            // whether it has one
	Block int             // number of its block in the UNet, as Blocks counts; -1 for those outside and for the text encoder
}

// spatial reports whether the layer is a convolution larger than 1×1, to which ConvDim applies.
func (l Layer) spatial() bool { return len(l.Shape) == 4 && l.Shape[2]*l.Shape[3] > 1 }

func (l Layer) norm() bool { return len(l.Shape) == 1 }

// flat returns the weight's shape as a matrix: out, and in times the kernel's area.
func (l Layer) flat() (out, in int) {
	out, in = l.Shape[0], 1
	for _, d := range l.Shape[1:] {
		in *= d
	}
	return out, in
}

// layerName is the name in files of the layer at a module path. The reverse is ambiguous: "_" may stand for itself.
func layerName(p checkpoint.Part, path string) string {
	prefix := "lora_unet_"
	if p == checkpoint.Text {
		prefix = "lora_te_"
	}
	return prefix + strings.ReplaceAll(path, ".", "_")
}

// partOf is the part of the layer that files call name.
func partOf(name string) checkpoint.Part {
	if strings.HasPrefix(name, "lora_te_") {
		return checkpoint.Text
	}
	return checkpoint.UNet
}

// Layers lists every layer of the text encoder and the UNet that some preset adapts, in the order of evaluation.
func Layers(c sd.Config) []Layer {
	return append(LayersOf(checkpoint.Text, c.Text.Shapes()), LayersOf(checkpoint.UNet, c.UNet.Shapes())...)
}

// LayersOf is Layers of one part, told by the names and shapes of its weights.
func LayersOf(part checkpoint.Part, weights []sd.Shape) []Layer {
	biased := map[string]bool{}
	for _, w := range weights {
		if path, ok := strings.CutSuffix(w.Name, ".bias"); ok {
			biased[path] = true
		}
	}
	var layers []Layer
	for _, w := range weights {
		path, ok := strings.CutSuffix(w.Name, ".weight")
		if !ok {
			continue
		}
		l := Layer{Part: part, Path: path, Name: layerName(part, path), Shape: w.Dims, Bias: biased[path]}
		if class(l) != "" {
			layers = append(layers, l)
		}
	}
	enumerate(layers)
	return layers
}

// class names the group of layers that presets choose by; "" is for what no preset adapts, such as embeddings.
func class(l Layer) string {
	for _, c := range classes {
		if c.part == l.Part && c.path.MatchString(l.Path) {
			return c.name
		}
	}
	return ""
}

var classes = []struct {
	name string
	part checkpoint.Part
	path *regexp.Regexp
}{
	{"attention", checkpoint.UNet, regexp.MustCompile(`\.attentions\.\d+\..*\.attn\d\.`)},
	{"transformer", checkpoint.UNet, regexp.MustCompile(`\.attentions\.\d+\.`)},
	{"resnet", checkpoint.UNet, regexp.MustCompile(`\.resnets\.\d+\.`)},
	{"sampler", checkpoint.UNet, regexp.MustCompile(`\.(down|up)samplers\.\d+\.`)},
	{"edge", checkpoint.UNet, regexp.MustCompile(`^conv_(in|out)$`)},
	{"time", checkpoint.UNet, regexp.MustCompile(`^time_embedding\.linear_[12]$`)},
	{"te-attention", checkpoint.Text, regexp.MustCompile(`\.self_attn\.(q|k|v|out)_proj$`)},
	{"te-mlp", checkpoint.Text, regexp.MustCompile(`\.mlp\.fc[12]$`)},
}

// presets maps each preset to the classes it adapts; "spatial" lets it adapt convolutions larger than 1×1.
var presets = map[string][]string{
	"full":                  {"attention", "transformer", "resnet", "sampler", "edge", "time", "te-attention", "te-mlp", "spatial"},
	"lycoris-0.1.2":         {"attention", "transformer", "resnet", "sampler", "te-attention", "te-mlp", "spatial"},
	"full-lin":              {"attention", "transformer", "resnet", "time", "te-attention", "te-mlp"},
	"attn-mlp":              {"attention", "transformer", "te-attention", "te-mlp"},
	"attn-only":             {"attention", "te-attention"},
	"unet-only":             {"attention", "transformer", "resnet", "sampler", "edge", "time", "spatial"},
	"unet-transformer-only": {"attention", "transformer"},
	"unet-convblock-only":   {"resnet", "sampler", "edge", "spatial"},
	"te-only":               {"te-attention", "te-mlp"},
	"ia3":                   {"ia3"},
}

// Presets lists the names Spec.Preset may have. They are those of LyCORIS, and: "lycoris-0.1.2", the layers that version adapted;
// "te-only"; "attn-only" means the attention layers, where LyCORIS with a diffusers UNet finds none.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// ia3Layers are the layers (IA)³ adapts, in either network.
var ia3Layers = regexp.MustCompile(`\.(to_k|to_v|ff\.net\.2|k_proj|v_proj|mlp\.fc2)$`)

// Select lists the layers that s adapts, in the order of layers.
func (s Spec) Select(layers []Layer) []Layer {
	chosen := presets[s.preset()]
	var selected []Layer
	for _, l := range layers {
		switch {
		case l.norm() && !s.TrainNorm:
			continue
		case slices.Contains(chosen, "ia3"):
			if l.norm() || !ia3Layers.MatchString(l.Path) {
				continue
			}
		case !slices.Contains(chosen, class(l)), l.spatial() && !slices.Contains(chosen, "spatial"):
			continue
		}
		if _, ok := s.forLayer(l); ok {
			selected = append(selected, l)
		}
	}
	return selected
}

// ia3InputLayers are those whose factors belong to the input channels.
var ia3InputLayers = regexp.MustCompile(`\.(ff\.net\.2|mlp\.fc2)$`)
