package adapter

import (
	"maps"
	"slices"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Take gives every layer that both have the tensors and the alpha of from, as the trainers do with network_weights. lacking are the layers
// that only a has, and that stay as they are; extra those that only from has. A layer of another kind or of other sizes is a fault of kind
// Invalid, and then a is unchanged.
func (a *Adapter) Take(from *Adapter) (lacking, extra []string, err error) {
	for _, name := range from.order {
		if m, own := from.modules[name], a.modules[name]; own == nil {
			extra = append(extra, name)
		} else if err := own.takes(m); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range a.order {
		m, own := from.modules[name], a.modules[name]
		if m == nil {
			lacking = append(lacking, name)
			continue
		}
		own.alpha, own.on = m.alpha, m.on
		if own.has[scalar] != nil { // what the file holds is multiplied with it already
			a.Params.Set(name+"."+scalar, tensors.FromValue([]float32{1}))
		}
		for suffix := range m.has {
			into, key := a.Params, name+"."+suffix
			if a.fixed.Has(key) {
				into = a.fixed
			}
			into.Set(key, from.tensor(key))
		}
	}
	return lacking, extra, nil
}

// takes returns a fault if the module cannot have the tensors of another.
func (m *module) takes(from *module) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "begin with another adapter", m.name, format, args...).
			Fix("take dims and kinds from its file too (DimFromWeights), or set Kind, Dim and Alpha to the file's")
	}
	if m.form != from.form {
		return bad("it is a %s, there a %s", m.kind(), from.kind())
	}
	for suffix, shape := range from.has {
		if own := m.has[suffix]; own == nil {
			return bad("there it has a %s, which the Spec leaves out", suffix)
		} else if !slices.Equal(own, shape) {
			return bad("its %s has the shape %v, there %v", suffix, own, shape)
		}
	}
	return nil
}

// Only leaves out the layers for which keep is false.
func (a *Adapter) Only(keep func(layer string) bool) {
	params, fixed := a.Params, a.fixed
	a.Params, a.fixed, a.modules = sd.NewParams(), sd.NewParams(), maps.Clone(a.modules)
	a.order = slices.DeleteFunc(slices.Clone(a.order), func(name string) bool { return !keep(name) })
	maps.DeleteFunc(a.modules, func(name string, _ *module) bool { return !keep(name) })
	for _, name := range a.order {
		for _, suffix := range a.modules[name].suffixes() {
			if key := name + "." + suffix; params.Has(key) {
				a.Params.Set(key, params.Get(key))
			} else {
				a.fixed.Set(key, fixed.Get(key))
			}
		}
	}
}
