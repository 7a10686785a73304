package adapter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/shapes"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Group is adapted layers of the same sizes. Training keeps their tensors one on the other, [layers, …], so that a few hundred layers need a
// few dozen operations: a step of a miniature compiles in a fraction of the time and runs faster.
type Group struct {
	Part     checkpoint.Part // UNet or Text
	Layers   []string        // names in files
	Suffixes []string        // of their tensors: one stacked tensor each
	joint    bool            // the differences of all layers are computed together; otherwise there is one layer
}

// jointSize is how many elements a weight may have for its difference to be computed together with others of its sizes. Larger ones are
// changed one by one, and once more for the backward pass, so that they need not be kept: those of SD 1.x take 3.4 GB.
const jointSize = 1 << 18

// Groups arranges the layers for a model's sizes, in the order of Names. Those for which apart (may be nil) differs are not in one group.
func (a *Adapter) Groups(c sd.Config, apart func(Layer) any) []Group {
	layers := map[string]Layer{}
	for _, l := range Layers(c) {
		layers[l.Name] = l
	}
	var groups []Group
	at := map[string]int{}
	for _, name := range a.order {
		m, key, joint := a.modules[name], name, false
		if l, ok := layers[name]; ok && m.joint() { // no preset adapts others, but a file may
			out, in := l.flat()
			if joint = out*in <= jointSize; joint {
				key = fmt.Sprintf("%s %T %v %v %v %d %d", l.Part, m.form, m.alpha, m.compat, m.has, out, in)
				if apart != nil {
					key += fmt.Sprint(apart(l))
				}
			}
		}
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key] = i
			groups = append(groups, Group{Part: partOf(name), Suffixes: a.trained(m), joint: joint})
		}
		groups[i].Layers = append(groups[i].Layers, name)
	}
	return groups
}

// joint reports whether the module's difference depends on nothing but its own tensors.
func (m *module) joint() bool { return jointForm(m.form) }

func jointForm(f form) bool {
	switch f.(type) {
	case lohaForm, loconForm, lokrForm:
		return true
	}
	return false
}

// trained lists the suffixes of the module's trainable tensors.
func (a *Adapter) trained(m *module) (list []string) {
	for _, s := range m.suffixes() {
		if a.Params.Has(m.name + "." + s) {
			list = append(list, s)
		}
	}
	return list
}

// Grouped is an adapter in a training graph: its tensors as Groups arranges them. It knows the chain rule's last link: the loss is
// differentiated by the differences of the layers, and those, a whole group at once, by the tensors they are made from.
type Grouped struct {
	a      *Adapter
	groups []group
	at     map[string][2]int // group and number of a layer
}

type group struct {
	Group
	own    []*Node   // a tensor for each suffix, [layers, …]
	delta  *Node     // of all layers, [layers, …]; nil until one is used
	leaves []*Node   // delta of each layer that is used
	parts  [][]*Node // of own: each layer's part that is used as it is
}

// Grouped returns the adapter with stacked tensors: those of the first group in the order of its Suffixes, then the next group's.
func (a *Adapter) Grouped(groups []Group, tensors []*Node) *Grouped {
	s := &Grouped{a: a, at: map[string][2]int{}}
	for i, st := range groups {
		n := len(st.Suffixes)
		s.groups = append(s.groups, group{Group: st, own: tensors[:n], leaves: make([]*Node, len(st.Layers)), parts: make([][]*Node, n)})
		tensors = tensors[n:]
		for k, name := range st.Layers {
			s.at[name] = [2]int{i, k}
		}
	}
	return s
}

// Apply wraps the weights of a UNet or a text encoder as Adapter.Apply does, at strength 1, with the dropout of the adapter's Spec decided by
// chance; nil is for evaluation, without dropout.
func (s *Grouped) Apply(base sd.Weights, chance Chance) sd.Weights {
	if !s.a.Spec.drops() {
		chance = nil
	}
	w := s.a.wrap(base, func(c call) *Node {
		st, k := s.find(c.name)
		if chance != nil && s.a.Spec.between() && c.between() {
			return c.base
		}
		c.own = func(suffix string) *Node { return st.of(suffix, k) }
		if st.joint {
			return c.dropping(s.a.Spec, st.deltaOf(c, k), chance)
		}
		return c.dropping(s.a.Spec, c.delta(), chance)
	})
	w.Made = func(name string) ([]*Node, func(own []*Node) *Node) {
		m, target := s.a.find(name)
		weight := base.Get(name)
		if m == nil || weight.Shape().Size() <= jointSize || weight.DType() != dtypes.Float32 || chance != nil && s.a.Spec.between() && m.between() {
			return nil, nil
		}
		st, _ := s.find(m.name)
		var suffixes []string
		var from []*Node // what changes the bias is none of it: it would have its gradient from there and from here
		for i, suffix := range st.Suffixes {
			if !slices.Contains(ofBias, suffix) {
				suffixes, from = append(suffixes, suffix), append(from, st.own[i])
			}
		}
		return from, func(own []*Node) *Node {
			c := call{module: m, target: target, base: weight, remade: true}
			c.own = func(suffix string) *Node { return own[slices.Index(suffixes, suffix)] }
			return c.dropping(s.a.Spec, c.delta(), chance)
		}
	}
	if chance == nil || !s.a.Spec.between() {
		return w
	}
	weights, factors := w.Get, map[string]*Node{} // the same node each time, as UNetRecomputing needs
	w.Get = func(name string) *Node {
		if f := factors[name]; f != nil {
			return f
		}
		for _, factor := range []string{downName, coreName, upName} {
			if layer, ok := strings.CutSuffix(name, factor); ok {
				if m, _ := s.a.find(layer + ".weight"); m != nil {
					st, k := s.find(m.name)
					x := st.of(factor[1:], k)
					if factor[1:] == m.head() {
						x = Mul(x, ExpandAxes(st.of(scalar, k), axes(2, x.Rank())...))
					}
					factors[name] = ConvertDType(Squeeze(x, 0), base.Get(layer+".weight").DType())
					return factors[name]
				}
			}
		}
		return weights(name)
	}
	w.Beside = func(w sd.Weights, name string, x *Node, product func(x, weight *Node) *Node) *Node {
		m, target := s.a.find(name + ".weight")
		if m == nil || !m.between() {
			return nil
		}
		return call{module: m, target: target}.beside(w, name, x, product, s.a.Spec, chance)
	}
	return w
}

// find returns the group of a layer, and its number there.
func (s *Grouped) find(layer string) (*group, int) {
	at := s.at[layer]
	return &s.groups[at[0]], at[1]
}

// of is a tensor of one layer, with the leading axis.
func (st *group) of(suffix string, k int) *Node {
	i := slices.Index(st.Suffixes, suffix)
	if !st.joint {
		return st.own[i]
	}
	if st.parts[i] == nil {
		st.parts[i] = make([]*Node, len(st.Layers))
	}
	if st.parts[i][k] == nil {
		st.parts[i][k] = Slice(st.own[i], AxisRange(k, k+1))
	}
	return st.parts[i][k]
}

// tensor is that of all layers.
func (st *group) tensor(suffix string) *Node { return st.own[slices.Index(st.Suffixes, suffix)] }

// deltaOf is the difference of one layer.
func (st *group) deltaOf(c call, k int) *Node {
	if c.target != "weight" {
		return nil
	}
	if st.delta == nil {
		all := c
		all.own, all.base = st.tensor, nil
		st.delta = all.difference()
	}
	if st.leaves[k] == nil {
		st.leaves[k] = Reshape(Slice(st.delta, AxisRange(k, k+1)), c.base.Shape().Dimensions...)
	}
	return st.leaves[k]
}

// Gradients differentiates a loss by all tensors, in the order that Grouped took them, and after them by others that are no part of the
// adapter.
func (s *Grouped) Gradients(loss *Node, others ...*Node) []*Node {
	// First by what the networks saw: differences, and tensors that are used as they are.
	by := slices.Clone(others)
	for i := range s.groups {
		st := &s.groups[i]
		by = append(by, used(st.leaves)...)
		for _, parts := range st.parts {
			by = append(by, used(parts)...)
		}
		if !st.joint {
			by = append(by, st.own...)
		}
	}
	found := map[*Node]*Node{}
	for i, g := range Gradient(loss, by...) {
		found[by[i]] = g
	}

	// Then the differences by their tensors: ⟨ΔW, gradient by ΔW⟩ has the right derivative.
	product := ScalarZero(loss.Graph(), loss.DType())
	for i := range s.groups {
		if st := &s.groups[i]; st.delta != nil {
			v := Reshape(st.join(st.leaves, found, st.delta), st.delta.Shape().Dimensions...)
			product = Add(product, ReduceAllSum(Mul(st.delta, StopGradient(v))))
		}
	}
	var own []*Node
	for i := range s.groups {
		own = append(own, s.groups[i].own...)
	}
	var out []*Node
	if len(own) > 0 {
		out = Gradient(product, own...)
	}
	n := 0
	for i := range s.groups {
		st := &s.groups[i]
		for j, own := range st.own {
			if g := found[own]; g != nil {
				out[n] = g
			} else if st.parts[j] != nil {
				out[n] = Reshape(st.join(st.parts[j], found, own), own.Shape().Dimensions...)
			}
			n++
		}
	}
	for _, o := range others {
		out = append(out, found[o])
	}
	return out
}

// join puts the gradients of the layers' parts one on the other, zero where a layer is not used; like has as many elements as all.
func (st *group) join(parts []*Node, found map[*Node]*Node, like *Node) *Node {
	size := like.Shape().Size() / len(st.Layers)
	var rows []*Node
	for _, p := range parts {
		if g := found[p]; p != nil && g != nil {
			rows = append(rows, Reshape(g, 1, size))
		} else {
			rows = append(rows, Zeros(like.Graph(), shapes.Make(like.DType(), 1, size)))
		}
	}
	return Concatenate(rows, 0)
}

func used(nodes []*Node) (list []*Node) {
	for _, n := range nodes {
		if n != nil {
			list = append(list, n)
		}
	}
	return list
}
