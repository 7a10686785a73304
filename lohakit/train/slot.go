package train

import (
	"slices"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	"github.com/gomlx/gomlx/pkg/core/shapes"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// slot is a stacked tensor of trained parameters: those of several layers, of one shape.
type slot struct {
	names []string
	rate  int     // of Config.rates
	share float64 // of that rate
}

// slotsOf lists the slots of an adapter's groups, in the order that adapter.Grouped takes them, and those of its embeddings. share is a
// tensor's of its part's learning rate, the same for all layers of a group.
func slotsOf(groups []adapter.Group, a *adapter.Adapter, share func(layer, suffix string) float64) (list []slot) {
	for _, g := range groups {
		for _, suffix := range g.Suffixes {
			s := slot{share: share(g.Layers[0], suffix)}
			if g.Part == checkpoint.Text {
				s.rate = textRate
			}
			for _, layer := range g.Layers {
				s.names = append(s.names, layer+"."+suffix)
			}
			list = append(list, s)
		}
	}
	for i, e := range a.Embeddings {
		list = append(list, slot{[]string{e.Key()}, firstWord + i, 1})
	}
	return list
}

// weights are all that is trained, by name: the adapter's parameters and the vectors of its embeddings.
func weights(a *adapter.Adapter) *sd.Params {
	p := sd.NewParams()
	for _, name := range a.Params.Names() {
		p.Set(name, a.Params.Get(name))
	}
	for _, e := range a.Embeddings {
		p.Set(e.Key(), e.Rows)
	}
	return p
}

// setWeight replaces one of weights.
func setWeight(a *adapter.Adapter, name string, t *tensors.Tensor) {
	if i := slices.IndexFunc(a.Embeddings, func(e sd.Embedding) bool { return e.Key() == name }); i >= 0 {
		a.Embeddings[i].Rows = t
		return
	}
	a.Params.Set(name, t)
}

// pack stacks the adapter's parameters, a copy.
func pack(slots []slot, a *adapter.Adapter) ([]*tensors.Tensor, error) {
	p := weights(a)
	list := make([]*tensors.Tensor, len(slots))
	for i, s := range slots {
		size := p.Get(s.names[0]).Size()
		stack := tensors.FromShape(shapes.Make(dtypes.Float32, append([]int{len(s.names)}, p.Shape(s.names[0])...)...))
		err := stack.MutableFlatData(func(flat any) {
			for k, name := range s.names {
				p.Get(name).MustConstFlatData(func(from any) { copy(flat.([]float32)[k*size:], from.([]float32)) })
			}
		})
		if err != nil {
			return nil, fault.New(fault.Other, "read adapter", s.names[0], "%w", err)
		}
		list[i] = stack
	}
	return list, nil
}

// unpack puts stacked parameters back.
func unpack(slots []slot, packed []*tensors.Tensor, a *adapter.Adapter) error {
	for i, s := range slots {
		dims := packed[i].Shape().Dimensions[1:]
		err := packed[i].ConstFlatData(func(flat any) {
			all := flat.([]float32)
			size := len(all) / len(s.names)
			for k, name := range s.names {
				setWeight(a, name, tensors.FromFlatDataAndDimensions(slices.Clone(all[k*size:(k+1)*size]), dims...))
			}
		})
		if err != nil {
			return fault.New(fault.Other, "read parameters", s.names[0], "%w", err)
		}
	}
	return nil
}
