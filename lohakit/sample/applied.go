package sample

import (
	"fmt"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Applied is an adapter at a weight.
type Applied struct {
	Adapter *adapter.Adapter
	Text    float64 // weight on the text encoder; 1 is as trained, 0 is off
	UNet    float64 // weight on the UNet
}

// At applies a to both networks at one weight.
func At(a *adapter.Adapter, weight float64) Applied { return Applied{a, weight, weight} }

// engine is a model with adapters applied: the changed weights are computed once, and the networks run as they do without.
type engine struct {
	model      *sd.Model
	unet, text network
	words      *sd.Lexicon
	known      map[string]states // of texts at a clip skip
	made       []*tensors.Tensor // changed weights
}

// network is weights and what their programs depend on.
type network struct {
	*sd.Params
	names []string
	key   string
}

func newNetwork(config any, p *sd.Params) network {
	names := p.Names()
	return network{p, names, fmt.Sprintf("%+v %v", config, names)}
}

// newEngine applies adapters that match m.
func newEngine(m *sd.Model, adapters []Applied, words []sd.Embedding) (*engine, error) {
	e := &engine{model: m, known: map[string]states{}, words: sd.NewLexicon(words...)}
	unet, text := m.UNet, m.Text
	for _, a := range adapters {
		var err error
		if unet, err = e.apply(a.Adapter, unet, a.UNet); err != nil {
			e.free()
			return nil, err
		}
		if text, err = e.apply(a.Adapter, text, a.Text); err != nil {
			e.free()
			return nil, err
		}
	}
	if len(words) > 0 {
		rows, err := stack(words)
		if err != nil {
			e.free()
			return nil, err
		}
		e.made = append(e.made, rows)
		text = replaced(text, []string{sd.ExtraRows}, []*tensors.Tensor{rows})
	}
	e.unet, e.text = newNetwork(m.Config.UNet, unet), newNetwork(fmt.Sprintf("%+v %d", m.Config.Text, e.words.Rows()), text)
	return e, nil
}

// stack puts the vectors of embeddings one below the other.
func stack(words []sd.Embedding) (*tensors.Tensor, error) {
	var rows []float32
	for _, e := range words {
		values, err := tensors.CopyFlatData[float32](e.Rows)
		if err != nil {
			return nil, fault.New(fault.Other, "read embedding", e.Name, "%w", err)
		}
		rows = append(rows, values...)
	}
	width := words[0].Rows.Shape().Dim(1)
	return tensors.FromFlatDataAndDimensions(rows, len(rows)/width, width), nil
}

// free gives back the memory of the changed weights; e must not be used afterwards.
func (e *engine) free() {
	for _, t := range e.made {
		t.MustFinalizeAll()
	}
	e.made = nil
}

// apply returns base with a's changes at a weight, all computed in one program.
func (e *engine) apply(a *adapter.Adapter, base *sd.Params, weight float64) (*sd.Params, error) {
	names := a.Changes(base)
	if weight == 0 || len(names) == 0 {
		return base, nil
	}
	weights := make([]any, len(names))
	shapes := make([][]int, len(names))
	for i, name := range names {
		weights[i], shapes[i] = base.Get(name), base.Shape(name)
	}
	layout := a.Layout()
	program := compiled(fmt.Sprint("apply ", layout.Key, names, shapes), "apply adapter", func(in []*Node) []*Node {
		rest := in[len(names):]
		changed := layout.Apply(sd.Bind(names, in), sd.Bind(layout.Params, rest), rest[len(layout.Params)])
		out := make([]*Node, len(names))
		for i, name := range names {
			out[i] = changed.Get(name)
		}
		return out
	})
	own := make([]*tensors.Tensor, len(layout.Params))
	for i, name := range layout.Params {
		own[i] = a.Params.Get(name)
	}
	out, err := program.Run(weights, own, float32(weight))
	if err != nil {
		return nil, err
	}
	e.made = append(e.made, out...)
	return replaced(base, names, out), nil
}

// replaced is base with some tensors replaced or added.
func replaced(base *sd.Params, names []string, by []*tensors.Tensor) *sd.Params {
	p := sd.NewParams()
	for _, name := range base.Names() {
		p.Set(name, base.Get(name))
	}
	for i, name := range names {
		p.Set(name, by[i])
	}
	return p
}
