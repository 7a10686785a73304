package spectrum

import (
	"path"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Differences visits weight differences one layer at a time, so that only one is in memory: next is called with each matrix, in the
// order of the model, until it returns an error, which is passed on.
type Differences func(next func(Matrix) error) error

// OfAdapter is what adapter a adds to the layers of m at strength 1, for the layers that match: a layer's diffusers path
// ("mid_block.attentions.0.proj_in") or its name in files ("lora_unet_…"), or a glob over either; "" is all. No match is a fault of
// kind NotExist that names the nearest layers.
func OfAdapter(a *adapter.Adapter, m *sd.Model, match string) Differences {
	return func(next func(Matrix) error) error {
		layers, err := matching(adapter.Layers(m.Config), match, a.Names())
		if err != nil {
			return err
		}
		for _, l := range layers {
			base := part(m, l.Part).Get(l.Path + ".weight")
			delta, err := a.Delta(l.Path+".weight", base)
			if err != nil {
				return err
			}
			err = visit(l, delta, nil, func(m Matrix) error {
				if err := factor(a, &m); err != nil {
					return err
				}
				return next(m)
			})
			if err != nil {
				return err
			}
			delta.MustFinalizeAll()
		}
		return nil
	}
}

// OfModels is what tuned's linear layers and convolutions differ from source's, for the layers that match as in OfAdapter. Models whose
// layers have other shapes are a fault of kind Invalid.
func OfModels(tuned, source *sd.Model, match string) Differences {
	return func(next func(Matrix) error) error {
		all := adapter.Layers(source.Config)
		names := make([]string, len(all))
		for i, l := range all {
			names[i] = l.Name
		}
		layers, err := matching(all, match, names)
		if err != nil {
			return err
		}
		for _, l := range layers {
			name := l.Path + ".weight"
			t := part(tuned, l.Part).Get(name)
			if t == nil || !slices.Equal(t.Shape().Dimensions, l.Shape) {
				return fault.New(fault.Invalid, "compare models", name, "the two do not have it in the same shape").Fix("compare models of one size")
			}
			if err := visit(l, t, part(source, l.Part).Get(name), next); err != nil {
				return err
			}
		}
		return nil
	}
}

func part(m *sd.Model, p checkpoint.Part) *sd.Params {
	if p == checkpoint.Text {
		return m.Text
	}
	return m.UNet
}

// matching is the matrices among layers that match and are among the names in files.
func matching(layers []adapter.Layer, match string, among []string) ([]adapter.Layer, error) {
	if _, err := path.Match(match, ""); err != nil {
		return nil, fault.New(fault.Invalid, "choose layers", match, "it is no glob: %w", err)
	}
	var out []adapter.Layer
	var known []string
	for _, l := range layers {
		if len(l.Shape) < 2 || !slices.Contains(among, l.Name) {
			continue
		}
		known = append(known, l.Path)
		byPath, _ := path.Match(match, l.Path)
		byName, _ := path.Match(match, l.Name)
		if match == "" || byPath || byName {
			out = append(out, l)
		}
	}
	if len(out) == 0 {
		return nil, checkpoint.Unknown("choose layers", "layer", strings.TrimSuffix(match, ".weight"), known)
	}
	return out, nil
}

// visit hands t − base, or t where base is nil, to next.
func visit(l adapter.Layer, t, base *tensors.Tensor, next func(Matrix) error) error {
	values, err := floats(l.Path, t)
	if err != nil {
		return err
	}
	if base != nil {
		from, err := floats(l.Path, base)
		if err != nil {
			return err
		}
		for i := range values {
			values[i] -= from[i]
		}
	}
	m, err := NewMatrix(l.Path, values, l.Shape...)
	if err != nil {
		return err
	}
	m.Key = l.Name
	return next(m)
}

func floats(name string, t *tensors.Tensor) ([]float32, error) {
	values, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fault.New(fault.Other, "read weight", name, "%w", err)
	}
	return values, nil
}

// All decomposes every difference.
func All(d Differences) ([]*Spectrum, error) {
	var out []*Spectrum
	err := d(func(m Matrix) error {
		s, err := Of(m)
		out = append(out, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Sum is the weighted sum of differences layer by layer, such as of several adapters for one model: what they do together. Layers that
// only some have are taken from those. Everything is in memory at once.
func Sum(weights []float64, of ...Differences) Differences {
	return func(next func(Matrix) error) error {
		if len(weights) != len(of) {
			return fault.New(fault.Invalid, "add differences", "", "%d weights for %d differences", len(weights), len(of))
		}
		total := map[string]Matrix{}
		var order []string
		for i, d := range of {
			err := d(func(m Matrix) error {
				sum, ok := total[m.Name]
				if !ok {
					order = append(order, m.Name)
					sum = m
					sum.Data, sum.left, sum.right = make([]float32, len(m.Data)), nil, nil
				}
				if len(sum.Data) != len(m.Data) {
					return fault.New(fault.Invalid, "add differences", m.Name, "shapes %v and %v", sum.Shape, m.Shape).Fix("use adapters for models of one size")
				}
				for j, v := range m.Data {
					sum.Data[j] += float32(weights[i] * float64(v))
				}
				total[m.Name] = sum
				return nil
			})
			if err != nil {
				return err
			}
		}
		for _, name := range order {
			if err := next(total[name]); err != nil {
				return err
			}
		}
		return nil
	}
}
