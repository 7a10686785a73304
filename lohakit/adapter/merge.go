package adapter

import (
	"fmt"
	"slices"
	"sync"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Changes lists the diffusers names of the weights of p, a UNet's or a text encoder's, that the adapter changes, in the order of p.
func (a *Adapter) Changes(p *sd.Params) []string {
	return slices.DeleteFunc(p.Names(), func(name string) bool {
		m, target := a.find(name)
		return m == nil || !m.changes(target)
	})
}

// changes reports whether the module has a difference for the target.
func (m *module) changes(target string) bool {
	if target == "bias" {
		return slices.ContainsFunc(ofBias, func(suffix string) bool { return m.has[suffix] != nil })
	}
	return target == "weight"
}

// Merge adds the adapter to the weights of m, its UNet's times unet and its text encoder's times text. It computes what Apply does, by
// the same graph. Faults are those of Match; m is then unchanged.
func (a *Adapter) Merge(m *sd.Model, unet, text float64) error {
	if err := a.Match(m); err != nil {
		return err
	}
	for _, part := range []struct {
		params   *sd.Params
		strength float64
	}{{m.UNet, unet}, {m.Text, text}} {
		if part.strength == 0 {
			continue
		}
		for _, name := range a.Changes(part.params) {
			merged, err := a.Weight(name, part.params.Get(name), part.strength)
			if err != nil {
				return err
			}
			part.params.Set(name, merged)
		}
	}
	return nil
}

// Weight is the weight of that diffusers name with the adapter at the strength, given the base model's.
func (a *Adapter) Weight(name string, base *tensors.Tensor, strength float64) (*tensors.Tensor, error) {
	return a.compute("merge", name, base, strength, func(c call, strength *Node) *Node { return c.changed(strength) })
}

// Delta is the difference the adapter makes to the weight of that diffusers name at strength 1, given the base model's. Its rank, norm and
// spectrum are those of the true difference, whatever the kind, without the rounding of adding it to the weight (DoRA, which changes the
// weight itself, has it).
func (a *Adapter) Delta(name string, base *tensors.Tensor) (*tensors.Tensor, error) {
	return a.compute("difference", name, base, 1, func(c call, strength *Node) *Node {
		if c.has["dora_scale"] != nil && c.target == "weight" {
			return Sub(c.changed(strength), c.base)
		}
		return c.delta()
	})
}

// compute runs result on the weight. what names the result, for programs are kept by it.
func (a *Adapter) compute(what, name string, base *tensors.Tensor, strength float64,
	result func(c call, strength *Node) *Node) (*tensors.Tensor, error) {
	m, target := a.find(name)
	if m == nil || !m.changes(target) {
		return nil, checkpoint.Unknown("adapt", "adapted layer", name, a.order)
	}
	layer := Layer{Name: m.name, Shape: base.Shape().Dimensions}
	if target == "weight" && !m.fits(layer) {
		return nil, fault.New(fault.Invalid, "adapt", name, "the adapter's tensors do not make its shape %v", layer.Shape)
	}
	suffixes := m.suffixes()
	in := []any{base, float32(strength)}
	for _, s := range suffixes {
		in = append(in, a.tensor(m.name+"."+s))
	}
	now := *m // what the program was made for, whatever Take makes of m
	program := a.programs.get(fmt.Sprint(what, " ", target, " ", m.form, m.alpha, m.on, m.compat, m.has), func(nodes []*Node) []*Node {
		own := func(suffix string) *Node { return InsertAxes(nodes[2+slices.Index(suffixes, suffix)], 0) }
		return []*Node{result(call{module: &now, own: own, target: target, base: nodes[0]}, nodes[1])}
	})
	out, err := program.Run(in...)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// suffixes lists the module's tensors in a fixed order.
func (m *module) suffixes() []string {
	var list []string
	for s := range m.has {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

// programs are an adapter's, by what result they compute of modules of what form, alpha and sizes.
type programs struct {
	mu  sync.Mutex
	all map[string]*xla.Program
}

// get returns the program of that key, which modules of the same form and sizes share.
func (p *programs) get(key string, fn func([]*Node) []*Node) *xla.Program {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[key] == nil {
		if p.all == nil {
			p.all = map[string]*xla.Program{}
		}
		p.all[key] = xla.Compile(key, fn)
	}
	return p.all[key]
}
