package spectrum

import (
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Difference is what a layer's weight differs by, computed when it is asked for.
type Difference struct {
	Name  string // of the layer, its diffusers path: "mid_block.attentions.0.proj_in"
	Key   string // of the layer in adapter files: "lora_unet_mid_block_attentions_0_proj_in"
	Shape []int  // of the weight: [out, in] or [out, in, kh, kw]
	read  func() (Matrix, error)
}

// Matrix reads or computes the difference.
func (d Difference) Matrix() (Matrix, error) {
	m, err := d.read()
	m.Key = d.Key
	return m, err
}

// Differences are those of a model's linear layers and convolutions, in its order, text encoder first. Few are in memory at once.
type Differences []Difference

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

// Sum is the weighted sum of differences layer by layer, such as of several adapters for one model: what they do together, or with a
// negative weight what tells them apart. Layers that only some have are taken from those. Products of small rank stay products.
func Sum(factors []float64, of ...Differences) (Differences, error) {
	if len(factors) != len(of) {
		return nil, fault.New(fault.Invalid, "add differences", "", "%d weights for %d differences", len(factors), len(of))
	}
	type term struct {
		Difference
		factor float64
	}
	var order []string
	terms := map[string][]term{}
	for i, list := range of {
		for _, d := range list {
			same := terms[d.Name]
			if same == nil {
				order = append(order, d.Name)
			} else if !slices.Equal(same[0].Shape, d.Shape) {
				return nil, fault.New(fault.Invalid, "add differences", d.Name, "shapes %v and %v", same[0].Shape, d.Shape).Fix("use adapters for models of one size")
			}
			terms[d.Name] = append(same, term{d, factors[i]})
		}
	}
	var out Differences
	for _, name := range order {
		d := terms[name][0].Difference
		d.read = func() (Matrix, error) {
			var all []Matrix
			var factors []float64
			for _, t := range terms[name] {
				m, err := t.read()
				if err != nil {
					return m, err
				}
				all, factors = append(all, m), append(factors, t.factor)
			}
			return add(factors, all)
		}
		out = append(out, d)
	}
	return out, nil
}

// add is the weighted sum of matrices of one shape.
func add(factors []float64, all []Matrix) (Matrix, error) {
	first := all[0]
	rank := 0
	for _, m := range all {
		if m.product == nil {
			rank = first.full()
			break
		}
		rank += m.product.Rank
	}
	if 2*rank <= first.full() {
		sum := &adapter.Product{Rows: first.Rows, Rank: rank, Cols: first.Cols, Left: make([]float64, first.Rows*rank)}
		at := 0
		for i, m := range all {
			for r := range first.Rows {
				for k := range m.product.Rank {
					sum.Left[r*rank+at+k] = factors[i] * m.product.Left[r*m.product.Rank+k]
				}
			}
			sum.Right = append(sum.Right, m.product.Right...)
			at += m.product.Rank
		}
		return ofProduct(first.Name, sum, first.Shape)
	}
	total := make([]float64, first.Rows*first.Cols)
	for i, m := range all {
		for j, v := range m.Values() {
			total[j] += factors[i] * float64(v)
		}
	}
	return NewMatrix(first.Name, singles(total), first.Shape...)
}

// matrices leaves out normalisations, which are no matrices.
func matrices(layers []adapter.Layer) []adapter.Layer {
	return slices.DeleteFunc(slices.Clone(layers), func(l adapter.Layer) bool { return len(l.Shape) < 2 })
}

func difference(l adapter.Layer, read func() (Matrix, error)) Difference {
	return Difference{Name: l.Path, Key: l.Name, Shape: l.Shape, read: read}
}

// Match keeps the layers that match: a diffusers path ("mid_block.attentions.0.proj_in"), a name in files ("lora_unet_…"), or a glob over
// either; "" keeps all. No match is a fault of kind NotExist that names the nearest layers.
func (d Differences) Match(match string) (Differences, error) {
	if _, err := path.Match(match, ""); err != nil {
		return nil, fault.New(fault.Invalid, "choose layers", match, "it is no glob: %w", err)
	}
	if match == "" {
		return d, nil
	}
	var out Differences
	var known []string
	for _, l := range d {
		known = append(known, l.Name)
		byPath, _ := path.Match(match, l.Name)
		byKey, _ := path.Match(match, l.Key)
		if byPath || byKey {
			out = append(out, l)
		}
	}
	if len(out) == 0 {
		return nil, checkpoint.Unknown("choose layers", "layer", strings.TrimSuffix(match, ".weight"), known)
	}
	return out, nil
}

// Progress is told after each layer how many are done; an error that it returns stops the work and is passed on. nil is none.
type Progress func(done, total int) error

// each computes the differences and calls f with each, on every core, in any order.
func (d Differences) each(report Progress, f func(i int, m Matrix) error) error {
	var mu sync.Mutex
	var wait sync.WaitGroup
	var failed error
	next, done := 0, 0
	take := func() (i int, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		i, ok = next, next < len(d) && failed == nil
		next++
		return i, ok
	}
	finish := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if done++; err == nil && failed == nil && report != nil {
			err = report(done, len(d))
		}
		if failed == nil {
			failed = err
		}
	}
	for range min(runtime.GOMAXPROCS(0), len(d)) {
		wait.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				m, err := d[i].Matrix()
				if err == nil {
					err = f(i, m)
				}
				finish(err)
			}
		})
	}
	wait.Wait()
	return failed
}

// All decomposes every difference.
func All(d Differences, report Progress) ([]*Spectrum, error) {
	return spectra(d, report, Of)
}

// AllLeading computes the n leading singular values of every difference: see Leading.
func AllLeading(d Differences, n int, report Progress) ([]*Spectrum, error) {
	return spectra(d, report, func(m Matrix) (*Spectrum, error) { return Leading(m, n) })
}

func spectra(d Differences, report Progress, of func(Matrix) (*Spectrum, error)) ([]*Spectrum, error) {
	out := make([]*Spectrum, len(d))
	err := d.each(report, func(i int, m Matrix) (err error) {
		out[i], err = of(m)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func floats(name string, t *tensors.Tensor) ([]float32, error) {
	values, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fault.New(fault.Other, "read weight", name, "%w", err)
	}
	return values, nil
}
