// Package adapter holds small trainable differences to a Stable Diffusion 1.x model: LoHa, LoRA and LoCon, LoKr, (IA)³, full
// differences and DoRA, as LyCORIS defines them, in the files it and kohya's trainer write. An adapter works by wrapping the base
// model's weights: whoever asks for a weight gets the changed one.
package adapter

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Adapter is a set of adapted layers and their parameters. It must not be copied; see Clone.
type Adapter struct {
	Spec     Spec              // what it was made from; of a loaded adapter, as much as its file tells
	Params   *sd.Params        // the trainable tensors by their names in files, "lora_unet_….hada_w1_a", float32
	Metadata map[string]string // of the file it was loaded from; never nil

	// Embeddings are the words it brings: taught together with it, or bundled in its file. Prompts may name them where the adapter is applied;
	// Save bundles them.
	Embeddings []sd.Embedding

	// Precision is the type Save writes tensors in: F16, BF16 or F32. Zero means F16; Load sets it to the file's, F32 for a file of several.
	Precision checkpoint.DType

	modules map[string]*module // by the layer's name in files
	fixed   *sd.Params         // tensors that the file holds but nothing trains: see CompatLyCORIS012
	order   []string           // names of modules

	programs *programs // shared with clones: no value is in them
}

// module is one adapted layer. Its kind and form are told by which tensors it has.
type module struct {
	name   string
	path   string // the layer's module path, of those that PEFT named
	form   form
	has    map[string][]int // shapes of its tensors by suffix
	alpha  float64          // as stored; 0 in kinds that have none
	on     bool             // IA3: the factors belong to input channels
	compat string           // LoHa: Spec.Compat
}

// New returns an adapter for the layers of m that spec selects. The same spec, model shapes and seed give the same parameters on
// every machine. Its effect is nothing until it is trained.
func New(m *sd.Model, spec Spec, seed uint64) (*Adapter, error) {
	return build(Layers(m.Config), spec, seed, func(l Layer) (*tensors.Tensor, error) {
		p := m.UNet
		if l.Part == checkpoint.Text {
			p = m.Text
		}
		return p.Get(l.Path + ".weight"), nil
	})
}

// build makes the adapter; weight is asked for the base weights that a kind starts from.
func build(layers []Layer, spec Spec, seed uint64, weight func(Layer) (*tensors.Tensor, error)) (*Adapter, error) {
	plan, err := Plan(layers, spec)
	if err != nil {
		return nil, err
	}
	a := newAdapter()
	a.Spec = spec
	for _, p := range plan {
		m := a.module(p.Layer.Name, p.form)
		m.alpha, m.on, m.compat = p.alpha, p.onInput, spec.Compat
		for _, t := range p.Tensors {
			values, err := t.start(p.Layer, seed, weight)
			if err != nil {
				return nil, err
			}
			m.has[t.Suffix] = t.Shape
			into := a.Params
			if spec.Compat == CompatLyCORIS012 && t.Suffix == "hada_t2" {
				into = a.fixed
			}
			into.Set(p.Layer.Name+"."+t.Suffix, tensors.FromFlatDataAndDimensions(values, t.Shape...))
		}
	}
	return a, nil
}

// Empty returns an adapter without layers, for embeddings that are trained alone. Save refuses it: it would hold nothing.
func Empty(spec Spec) *Adapter {
	a := newAdapter()
	a.Spec = spec
	return a
}

func newAdapter() *Adapter {
	return &Adapter{Params: sd.NewParams(), Metadata: map[string]string{}, modules: map[string]*module{}, fixed: sd.NewParams(), programs: &programs{}}
}

// module returns the module called name, making it if need be.
func (a *Adapter) module(name string, f form) *module {
	m := a.modules[name]
	if m == nil {
		m = &module{name: name, form: f, has: map[string][]int{}}
		a.modules[name] = m
		a.order = append(a.order, name)
	}
	return m
}

// Names lists the adapted layers by their names in files, text encoder first.
func (a *Adapter) Names() []string { return slices.Clone(a.order) }

// String describes the adapter in one line, and says so if its larger convolutions were never trained to do what they do.
func (a *Adapter) String() string {
	dims, alpha := strconv.Itoa(a.Spec.Dim), a.Spec.Alpha
	switch {
	case a.Spec.Dim == 0: // of a file that has only larger convolutions
		dims, alpha = strconv.Itoa(a.Spec.ConvDim), a.Spec.ConvAlpha
	case a.Spec.ConvDim > 0:
		dims += "/" + strconv.Itoa(a.Spec.ConvDim)
	}
	text := fmt.Sprintf("%s %s, alpha %s, %d parameters in %d layers", a.Spec.Kind, dims, number(alpha), a.Size(), len(a.order))
	for _, e := range a.Embeddings {
		text += "; brings " + e.String()
	}
	if r, err := a.DetectUntrainedCores(); err == nil && r.Suspect {
		text += "; LyCORIS before October 2023 trained it with hada_t1 for both products: Repair makes it do everywhere what it was trained to do"
	}
	return text
}

// Size is the number of trainable parameters.
func (a *Adapter) Size() int { return a.Params.Size() }

// Clone returns the adapter as it is now. Its tensors are a's, in lists of its own: training and Repair replace tensors and never change them.
func (a *Adapter) Clone() *Adapter {
	b := newAdapter()
	b.Spec, b.Precision, b.Embeddings, b.order = a.Spec, a.Precision, slices.Clone(a.Embeddings), slices.Clone(a.order)
	b.programs = a.programs
	maps.Copy(b.Metadata, a.Metadata)
	for name, m := range a.modules {
		own := *m
		own.has = maps.Clone(m.has)
		b.modules[name] = &own
	}
	for to, from := range map[*sd.Params]*sd.Params{b.Params: a.Params, b.fixed: a.fixed} {
		for _, name := range from.Names() {
			to.Set(name, from.Get(name))
		}
	}
	return b
}

// tensor returns a parameter or a fixed tensor.
func (a *Adapter) tensor(name string) *tensors.Tensor {
	if t := a.Params.Get(name); t != nil {
		return t
	}
	return a.fixed.Get(name)
}

// values reads a tensor to the host, as Save writes it.
func (a *Adapter) values(name string) (v []float32, err error) {
	t := a.tensor(name)
	layer, suffix, _ := strings.Cut(name, ".")
	factor := float32(1)
	tryErr := xla.Try("read adapter", func() {
		v = tensors.MustCopyFlatData[float32](t)
		if suffix == a.modules[layer].head() {
			factor = tensors.MustCopyFlatData[float32](a.tensor(layer + "." + scalar))[0]
		}
	})
	if tryErr != nil {
		return nil, tryErr
	}
	for i := range v {
		v[i] *= factor
	}
	return v, nil
}
