package adapter

import (
	"encoding/json"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Load reads an adapter of any kind from a file that LyCORIS, kohya's trainer or Save wrote, or a LoRA or DoRA of diffusers or PEFT, whose
// alpha is in the header or in adapter_config.json beside the file. It knows the ways layer names have varied:
// "lora_te_text_model_text_model_…" of old files, "lora_te_encoder_…" of those written with transformers 5. A missing alpha means a
// scale of 1. Embeddings bundled with it ("bundle_emb.…") are in Embeddings. Whether the adapter fits a model is told by Match.
func Load(path string, opts ...checkpoint.Option) (*Adapter, error) {
	f, err := checkpoint.Open(path, opts...)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []checkpoint.Tensor
	for _, key := range f.Names() {
		t, err := f.Tensor(key)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return FromTensors(path, list, withPEFTConfig(path, f.Metadata))
}

// FromTensors makes an adapter of the tensors and metadata of a file, as Load does. path is what errors call it.
func FromTensors(path string, list []checkpoint.Tensor, metadata map[string]string) (*Adapter, error) {
	a := newAdapter()
	if metadata != nil {
		a.Metadata = maps.Clone(metadata)
	}
	seen := map[string]string{} // names in the file by what they mean
	for _, t := range list {
		e, bundled, err := sd.ReadBundled(path, t)
		means := e.Key()
		if bundled && err == nil {
			a.Embeddings = append(a.Embeddings, e)
		} else if err == nil {
			means, err = a.read(path, t)
		}
		if err != nil {
			return nil, err
		}
		if other, twice := seen[means]; twice {
			return nil, fault.New(fault.Corrupt, "load adapter", path, "%s and %s both mean %s", other, t.Name, means).Fix("leave one of them out")
		}
		seen[means] = t.Name
	}
	if len(a.modules) == 0 {
		return nil, fault.New(fault.Unsupported, "load adapter", path, "none of its %d tensors is one of an adapter", len(list)).
			Fix("choose a file whose tensors begin with lora_unet_ or lora_te_")
	}
	slices.SortFunc(a.order, func(x, y string) int { // "lora_te_" before "lora_unet_", as in a new adapter
		return strings.Compare(x, y)
	})
	configs := peftConfigs(metadata)
	for _, name := range a.order {
		m := a.modules[name]
		if m.path != "" {
			a.usual(m, configs)
		}
		if err := m.complete(path); err != nil {
			return nil, err
		}
	}
	a.Spec = a.specOf()
	return a, nil
}

// read takes in one tensor of the file; means is the name that it has here.
func (a *Adapter) read(path string, t checkpoint.Tensor) (means string, err error) {
	name, suffix, module, ok := splitKey(t.Name)
	if !ok {
		return "", fault.New(fault.Unsupported, "load adapter", path, "tensor %q is not one of a Stable Diffusion 1.x adapter", t.Name)
	}
	if strings.HasPrefix(name, "lora_te1_") || strings.HasPrefix(name, "lora_te2_") {
		return "", fault.New(fault.Unsupported, "load adapter", path, "it is for SDXL (it has %s)", name)
	}
	f, ok := formOf(suffix)
	if !ok {
		return "", fault.New(fault.Unsupported, "load adapter", path, "tensor %q is of a kind that is not supported", t.Name).
			Fix("supported are LoRA, LoCon, LoHa, LoKr, (IA)³, full differences and DoRA")
	}
	single := suffix == "alpha" || suffix == "on_input"
	values, err := t.Floats()
	if err != nil && single {
		values, err = whole(t, err)
	}
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(values, func(v float32) bool { return v != v || math.IsInf(float64(v), 0) }); i >= 0 {
		return "", fault.New(fault.Numeric, "load adapter", path, "tensor %s holds %v at element %d", t.Name, values[i], i).
			Fix("use an earlier save of the same training")
	}
	m := a.module(name, f)
	means = name + "." + suffix
	switch {
	case m.form == nil:
		m.form = f
	case f != nil && m.form != f:
		return "", fault.New(fault.Corrupt, "load adapter", path, "layer %s has tensors of two kinds, one of them %s", m.name, suffix)
	}
	if single {
		if len(values) != 1 {
			return "", fault.New(fault.Corrupt, "load adapter", path, "%s has %d values", t.Name, len(values))
		}
		if suffix == "alpha" {
			m.alpha = float64(values[0])
		} else {
			m.on = values[0] != 0
		}
		return means, nil
	}
	if len(t.Shape) == 0 || t.Len() == 0 {
		return "", fault.New(fault.Corrupt, "load adapter", path, "%s has the shape %v", t.Name, t.Shape)
	}
	m.path = max(m.path, module)
	m.has[suffix] = t.Shape
	a.Precision = holding(a.Precision, t.DType)
	a.Params.Set(means, tensors.FromFlatDataAndDimensions(values, t.Shape...))
	return means, nil
}

// whole reads the one integer or truth value as which some programs keep alpha and on_input; for other tensors it returns bad.
func whole(t checkpoint.Tensor, bad error) ([]float32, error) {
	if len(t.Data) != t.DType.Bits()/8 || len(t.Data) == 0 {
		return nil, bad
	}
	var v uint64
	for i, b := range t.Data {
		v |= uint64(b) << (8 * i)
	}
	switch unused := 64 - t.DType.Bits(); t.DType {
	case checkpoint.I8, checkpoint.I16, checkpoint.I32, checkpoint.I64:
		return []float32{float32(int64(v<<unused) >> unused)}, nil
	case checkpoint.Bool, checkpoint.U8, checkpoint.U16, checkpoint.U32, checkpoint.U64:
		return []float32{float32(v)}, nil
	}
	return nil, bad
}

// holding is the type that holds the values of both without loss, as far as float32 does; all is zero for none.
func holding(all, more checkpoint.DType) checkpoint.DType {
	if more == checkpoint.F64 || all != 0 && all != more {
		return checkpoint.F32
	}
	return more
}

// formOf tells the form of module that has a tensor of the suffix; nil for those that several have.
func formOf(suffix string) (form, bool) {
	switch {
	case suffix == "alpha" || suffix == "dora_scale":
		return nil, true
	case strings.HasPrefix(suffix, "hada_"):
		return lohaForm{}, true
	case suffix == "lora_up.weight" || suffix == "lora_down.weight" || suffix == "lora_mid.weight":
		return loconForm{}, true
	case strings.HasPrefix(suffix, "lokr_") && suffix != "lokr_t1":
		return lokrForm{}, true
	case suffix == "weight" || suffix == "on_input":
		return ia3Form{}, true
	case suffix == "diff" || suffix == "diff_b":
		return fullForm{}, true
	case suffix == "w_norm" || suffix == "b_norm":
		return normForm{}, true
	}
	return nil, false
}

// required lists, for each form, groups of tensors of which one must be there whole.
var required = map[form][][]string{
	lohaForm{}:  {{"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}},
	loconForm{}: {{"lora_up.weight", "lora_down.weight"}},
	lokrForm{}: {{"lokr_w1", "lokr_w2"}, {"lokr_w1", "lokr_w2_a", "lokr_w2_b"}, {"lokr_w1_a", "lokr_w1_b", "lokr_w2"},
		{"lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b"}},
	ia3Form{}:  {{"weight"}},
	fullForm{}: {{"diff"}},
	normForm{}: {{"w_norm"}},
}

// complete checks that the module has the tensors its form needs, and sets what a missing alpha means: a scale of 1.
func (m *module) complete(path string) error {
	missing := ""
	for _, group := range required[m.form] {
		missing = ""
		for _, suffix := range group {
			if m.has[suffix] == nil {
				missing = suffix
			}
		}
		if missing == "" {
			break
		}
	}
	if (m.has["hada_t1"] == nil) != (m.has["hada_t2"] == nil) {
		missing = "hada_t1 or hada_t2"
	}
	if m.form == nil {
		missing = "everything but " + strings.Join(slices.Sorted(maps.Keys(m.has)), ", ")
	}
	if missing != "" {
		return fault.New(fault.Corrupt, "load adapter", path, "layer %s lacks %s", m.name, missing)
	}
	if m.alpha == 0 {
		m.alpha = float64(m.dim())
	}
	return nil
}

// dim is the module's rank; 0 in forms that have none.
func (m *module) dim() int {
	for _, suffix := range []string{"hada_w1_b", "lora_down.weight", "lokr_w2_b", "lokr_w1_b"} {
		if shape := m.has[suffix]; shape != nil {
			return shape[0]
		}
	}
	return 0
}

var spatialName = regexp.MustCompile(`_(conv1|conv2|conv_in|conv_out|samplers_0_conv)$`)

// specOf recovers the Spec as far as tensors and metadata tell it. Where layers differ, the most common value counts.
func (a *Adapter) specOf() Spec {
	var s Spec
	votes := map[string]map[string]int{}
	vote := func(what, value string) {
		if votes[what] == nil {
			votes[what] = map[string]int{}
		}
		votes[what][value]++
	}
	for _, m := range a.modules {
		switch m.form.(type) {
		case normForm:
			s.TrainNorm = true
			continue
		}
		vote("kind", string(m.kind()))
		s.DoRA = s.DoRA || m.has["dora_scale"] != nil
		prefix := ""
		if spatialName.MatchString(m.name) {
			prefix = "conv "
			s.Tucker = s.Tucker || m.has["hada_t1"] != nil || m.has["lora_mid.weight"] != nil || m.has["lokr_t2"] != nil
		}
		vote(prefix+"dim", strconv.Itoa(m.dim()))
		vote(prefix+"alpha", number(m.alpha))
	}
	winner := func(what string) string {
		best, most := "", 0
		for _, value := range slices.Sorted(maps.Keys(votes[what])) {
			if votes[what][value] > most {
				best, most = value, votes[what][value]
			}
		}
		return best
	}
	s.Kind = Kind(winner("kind"))
	s.Dim, _ = strconv.Atoi(winner("dim"))
	s.ConvDim, _ = strconv.Atoi(winner("conv dim"))
	s.Alpha, _ = strconv.ParseFloat(winner("alpha"), 64)
	s.ConvAlpha, _ = strconv.ParseFloat(winner("conv alpha"), 64)
	var args map[string]any
	if json.Unmarshal([]byte(a.Metadata["ss_network_args"]), &args) == nil {
		if preset, ok := args["preset"].(string); ok && presets[preset] != nil {
			s.Preset = preset
		}
	}
	return s
}

// kind is the kind of the module's form.
func (m *module) kind() Kind {
	for kind, f := range forms {
		if f == m.form {
			return kind
		}
	}
	return Full
}
