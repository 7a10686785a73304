package checkpoint

import (
	"maps"
	"os"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Model is the tensors of a Stable Diffusion 1.x model under their diffusers names, whichever way the files name them.
type Model struct {
	// Metadata is the file's; for a diffusers folder, what its JSON files say, under lohakit.heads, lohakit.latent_scale and
	// modelspec.prediction_type.
	Metadata map[string]string
	// Rest names the tensors that belong to no part, such as schedules and discriminators.
	Rest []string

	parts [3]struct {
		names   []string
		tensors map[string]Tensor
	}
	files []*File
}

// PreferEMA makes OpenModel take the UNet's moving average, where a file holds both it and the last weights.
func PreferEMA() Option { return func(o *options) { o.ema = true } }

// OpenModel opens a single-file checkpoint, the file of one part alone (a separate VAE), or a diffusers folder. Wrapping in
// "state_dict", EMA copies, text-encoder names without "text_model." or with it twice, and the VAE's older attention names are
// understood; position_ids, which old files hold and merges spoil, are left out. Models of other families
// (SD 2.x, SDXL and later) are Unsupported.
func OpenModel(path string, opts ...Option) (*Model, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	m := &Model{Metadata: map[string]string{}}
	for p := range m.parts {
		m.parts[p].tensors = map[string]Tensor{}
	}
	err := m.open(path, o, opts)
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Model) open(path string, o options, opts []Option) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return m.openFolder(path, opts)
	}
	f, err := Open(path, opts...)
	if err != nil {
		return err
	}
	m.files = append(m.files, f)
	maps.Copy(m.Metadata, f.Metadata)
	if err := m.add(f, o); err != nil {
		return err
	}
	if len(m.parts[UNet].names)+len(m.parts[Text].names)+len(m.parts[VAE].names) == 0 {
		return fault.New(fault.Unsupported, "open model", path, "none of its %d tensors belongs to Stable Diffusion 1.x", len(f.names)).
			Fix("choose a checkpoint")
	}
	return nil
}

// add sorts a file's tensors into parts.
func (m *Model) add(f *File, o options) error {
	plain := make(map[string]string, len(f.names)) // the name without wrapping, to the name in the file
	list := make([]string, 0, len(f.names))
	for _, name := range f.names {
		key := strings.TrimPrefix(name, "state_dict.")
		key = completePrefix(key)
		plain[key] = name
		list = append(list, key)
	}
	if family := familyOf(f, list); family != "" {
		return fault.New(fault.Unsupported, "open model", f.Path, "it is %s; only Stable Diffusion 1.x is supported", family).
			Fix("choose a model that descends from Stable Diffusion 1.4 or 1.5")
	}
	names := NamesOf(list)
	for _, key := range list {
		source := plain[key]
		if o.ema {
			if ema, ok := plain[emaName(key)]; ok {
				source = ema
			}
		}
		part, name, ok := names.Diffusers(key)
		if !ok {
			part, name, ok = ownName(key, names)
		}
		switch {
		case !ok && strings.HasPrefix(key, "model_ema."):
		case !ok:
			m.Rest = append(m.Rest, key)
		case part == Text && strings.HasSuffix(name, ".position_ids"):
		default:
			m.put(part, name, f.tensors[source])
		}
	}
	return nil
}

// put stores t under its diffusers name and shape.
func (m *Model) put(part Part, name string, t Tensor) {
	t.Name = name
	if part == VAE && strings.Contains(name, ".attentions.") && len(t.Shape) == 4 { // single files hold 1×1 convolutions
		t.Shape = t.Shape[:2:2]
	}
	p := &m.parts[part]
	if _, ok := p.tensors[name]; !ok {
		p.names = append(p.names, name)
	}
	p.tensors[name] = t
}

// completePrefix adds the prefix to the names in a file that holds one part alone.
func completePrefix(key string) string {
	first, _, _ := strings.Cut(key, ".")
	switch first {
	case "input_blocks", "output_blocks", "middle_block", "time_embed", "out":
		return prefixes[UNet] + key
	case "encoder", "decoder":
		_, rest, _ := strings.Cut(key, ".")
		second, _, _ := strings.Cut(rest, ".")
		switch second {
		case "down", "up", "mid", "conv_in", "conv_out", "norm_out":
			return prefixes[VAE] + key
		}
	case "quant_conv", "post_quant_conv", "patch", "unpatch":
		return prefixes[VAE] + key
	}
	return key
}

// oldAttention is how diffusers named the VAE's attention before 0.16.
var oldAttention = strings.NewReplacer(".query.", ".to_q.", ".key.", ".to_k.", ".value.", ".to_v.", ".proj_attn.", ".to_out.0.")

// ownName recognises a name that is in the diffusers scheme already. Where parts share names the longest rule decides.
func ownName(key string, names *Names) (Part, string, bool) {
	key = fixText(key)
	for _, p := range Parts {
		name := key
		if p == VAE {
			name = oldAttention.Replace(key)
		}
		if _, ok := names.LDM(p, name); ok {
			return p, name, true
		}
	}
	return 0, "", false
}

// emaName is the name of the moving average of a UNet tensor: the same without dots, which module names could not contain.
func emaName(key string) string {
	rest, ok := strings.CutPrefix(key, "model.")
	if !ok {
		return ""
	}
	return "model_ema." + strings.ReplaceAll(rest, ".", "")
}

// familyOf names the family when it is another than SD 1.x, or what else the file is.
func familyOf(f *File, names []string) string {
	has := func(prefix string) bool {
		for _, name := range names {
			if strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return false
	}
	switch {
	case has("conditioner.embedders.") || has("model.diffusion_model.label_emb.") || has("add_embedding."):
		return "an SDXL model"
	case has("model.diffusion_model.joint_blocks.") || has("model.diffusion_model.double_blocks.") || has("transformer_blocks."):
		return "a diffusion transformer (SD 3, Flux or the like)"
	case has("cond_stage_model.model."):
		return "a Stable Diffusion 2.x model"
	case has("lora_unet_") || has("lora_te_"):
		return "an adapter, not a model (open it with adapter.Load)"
	}
	for _, name := range []string{"model.diffusion_model.middle_block.1.proj_in.weight", "mid_block.attentions.0.proj_in.weight"} {
		if t, ok := f.tensors[name]; ok && len(t.Shape) == 2 { // a linear projection where SD 1.x has a 1×1 convolution
			return "a Stable Diffusion 2.x model"
		}
	}
	return ""
}

// Names returns the diffusers names of a part's tensors, in the order of the file; none if the part is absent.
func (m *Model) Names(p Part) []string { return append([]string(nil), m.parts[p].names...) }

// Tensor returns a tensor of a part as a view that lasts until Close.
func (m *Model) Tensor(p Part, name string) (Tensor, error) {
	t, ok := m.parts[p].tensors[name]
	if !ok {
		return Tensor{}, Unknown("read model", p.String()+" tensor", name, m.parts[p].names)
	}
	return t, nil
}

// Release is File.Release for a tensor of the model.
func (m *Model) Release(t Tensor) {
	for _, f := range m.files {
		f.Release(t)
	}
}

// Close unmaps the files.
func (m *Model) Close() error {
	var first error
	for _, f := range m.files {
		if err := f.Close(); err != nil && first == nil {
			first = err
		}
	}
	m.files = nil
	return first
}

// Single returns tensors as a single-file checkpoint names and shapes them, ready for Write; parts holds each part's tensors
// under diffusers names.
func Single(parts map[Part][]Tensor) ([]Tensor, error) {
	var unet, vae []string
	for _, t := range parts[UNet] {
		unet = append(unet, t.Name)
	}
	for _, t := range parts[VAE] {
		vae = append(vae, t.Name)
	}
	names := NamesOf(append(unet, vae...))
	var out []Tensor
	for _, p := range Parts {
		for _, t := range parts[p] {
			name, ok := names.LDM(p, t.Name)
			if !ok {
				return nil, fault.New(fault.Invalid, "name tensors", t.Name, "not a tensor of a %s in Stable Diffusion 1.x", p)
			}
			if p == VAE && strings.Contains(t.Name, ".attentions.") && strings.HasSuffix(t.Name, ".weight") && len(t.Shape) == 2 {
				t.Shape = []int{t.Shape[0], t.Shape[1], 1, 1}
			}
			t.Name = name
			out = append(out, t)
		}
	}
	return out, nil
}
