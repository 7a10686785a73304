package spectrum

import (
	"slices"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// OfAdapter is what adapter a adds to the layers of m at strength 1. The difference of a layer of LoRA, LoCon or LoHa is known by its factors
// and costs next to nothing, nor does m need weights for it; that of other kinds is computed.
func OfAdapter(a *adapter.Adapter, m *sd.Model) Differences {
	has := a.Names()
	var out Differences
	for _, l := range matrices(adapter.Layers(m.Config)) {
		if slices.Contains(has, l.Name) {
			out = append(out, difference(l, func() (Matrix, error) { return ofAdapter(a, m, l) }))
		}
	}
	return out
}

func ofAdapter(a *adapter.Adapter, m *sd.Model, l adapter.Layer) (Matrix, error) {
	p, err := a.Product(l.Name, l.Shape)
	if err != nil {
		return Matrix{}, err
	}
	if p != nil {
		return ofProduct(l.Path, p, l.Shape)
	}
	name := l.Path + ".weight"
	base := m.UNet
	if l.Part == checkpoint.Text {
		base = m.Text
	}
	if base == nil {
		return Matrix{}, fault.New(fault.Invalid, "decompose", name, "the difference of its kind needs the base model's weights").Fix("open the base model")
	}
	delta, err := a.Delta(name, base.Get(name))
	if err != nil {
		return Matrix{}, err
	}
	defer delta.MustFinalizeAll()
	values, err := floats(name, delta)
	if err != nil {
		return Matrix{}, err
	}
	return NewMatrix(l.Path, values, l.Shape...)
}

// weights reads a weight of a model by its diffusers name.
type weights func(p checkpoint.Part, name string) (shape []int, values func() ([]float32, error), err error)

// OfModels is what tuned's weights differ from source's by. Models whose layers have other shapes are a fault of kind Invalid.
func OfModels(tuned, source *sd.Model) (Differences, error) {
	of := func(m *sd.Model) weights {
		return func(p checkpoint.Part, name string) ([]int, func() ([]float32, error), error) {
			params := m.UNet
			if p == checkpoint.Text {
				params = m.Text
			}
			t := params.Get(name)
			if t == nil {
				return nil, nil, checkpoint.Unknown("compare models", "weight", name, params.Names())
			}
			return t.Shape().Dimensions, func() ([]float32, error) { return floats(name, t) }, nil
		}
	}
	return between(adapter.Layers(source.Config), of(tuned), of(source))
}

// OfFiles is OfModels of two open checkpoints, which are read one layer at a time: two of 4 GB need a few hundred MB. The files must stay
// open.
func OfFiles(tuned, source *checkpoint.Model) (Differences, error) {
	of := func(f *checkpoint.Model) weights {
		return func(p checkpoint.Part, name string) ([]int, func() ([]float32, error), error) {
			t, err := f.Tensor(p, name)
			return t.Shape, func() ([]float32, error) {
				defer f.Release(t)
				return t.Floats()
			}, err
		}
	}
	var layers []adapter.Layer
	for _, p := range []checkpoint.Part{checkpoint.Text, checkpoint.UNet} {
		var shapes []sd.Shape
		for _, name := range source.Names(p) {
			t, err := source.Tensor(p, name)
			if err != nil {
				return nil, err
			}
			shapes = append(shapes, sd.Shape{Name: name, Dims: t.Shape})
		}
		found := adapter.LayersOf(p, shapes)
		slices.SortStableFunc(found, func(a, b adapter.Layer) int { return slices.Compare(place(a.Path), place(b.Path)) })
		layers = append(layers, found...)
	}
	return between(layers, of(tuned), of(source))
}

// place orders paths as data flows through a UNet, and by the numbers in them.
func place(path string) []int {
	first, _, _ := strings.Cut(path, ".")
	out := []int{slices.Index([]string{"time_embedding", "conv_in", "down_blocks", "mid_block", "up_blocks", "conv_out"}, first)}
	n, in := 0, false
	for _, c := range path + "." {
		switch {
		case c >= '0' && c <= '9':
			n, in = min(10*n+int(c-'0'), 1e6), true
		case in:
			out, n, in = append(out, n), 0, false
		default:
			out = append(out, int(c))
		}
	}
	return out
}

func between(layers []adapter.Layer, tuned, source weights) (Differences, error) {
	var out Differences
	for _, l := range matrices(layers) {
		name := l.Path + ".weight"
		from, base, err := source(l.Part, name)
		if err != nil {
			return nil, err
		}
		to, changed, err := tuned(l.Part, name)
		if err != nil || !slices.Equal(from, to) {
			return nil, fault.New(fault.Invalid, "compare models", name, "the two do not have it in the same shape").Fix("compare models of one size")
		}
		out = append(out, difference(l, func() (Matrix, error) {
			values, err := changed()
			if err != nil {
				return Matrix{}, err
			}
			less, err := base()
			if err != nil {
				return Matrix{}, err
			}
			for i, v := range less {
				values[i] -= v
			}
			return NewMatrix(l.Path, values, l.Shape...)
		}))
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Invalid, "compare models", "", "they have no layers in common").Fix("compare Stable Diffusion 1.x models")
	}
	return out, nil
}

// matrices leaves out normalisations, which are no matrices.
func matrices(layers []adapter.Layer) []adapter.Layer {
	return slices.DeleteFunc(slices.Clone(layers), func(l adapter.Layer) bool { return len(l.Shape) < 2 })
}

func floats(name string, t *tensors.Tensor) ([]float32, error) {
	values, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fault.New(fault.Other, "read weight", name, "%w", err)
	}
	return values, nil
}
