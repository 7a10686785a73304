package spectrum

import (
	"fmt"
	"image"
	"math"
	"path"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Tensor is what Inspect says of one tensor.
type Tensor struct {
	Name      string
	Shape     []int
	DType     string
	Min, Max  float64 // of the finite values; NaN if there are none
	Mean, Std float64 // of the finite values
	Norm      float64 // Frobenius norm of the finite values
	Largest   float64 // largest absolute value
	NaN, Inf  int     // how many
	Zero      int     // how many are 0
	Histogram []int   // of the finite values, in equal bins from Min to Max

	cells [][]float32 // what Picture draws; the values themselves are not kept: those of a whole model would be a second one
}

// bins is the number of bins of a histogram.
const bins = 48

// Inspect describes values of any shape.
func Inspect(name, dtype string, values []float32, shape ...int) Tensor {
	t := Tensor{Name: name, Shape: shape, DType: dtype, Min: math.Inf(1), Max: math.Inf(-1), Histogram: make([]int, bins), cells: cells(values, shape)}
	n, sum, square := 0, 0.0, 0.0
	for _, f := range values {
		v := float64(f)
		switch {
		case math.IsNaN(v):
			t.NaN++
			continue
		case math.IsInf(v, 0):
			t.Inf++
			continue
		case v == 0:
			t.Zero++
		}
		n, sum, square = n+1, sum+v, square+v*v
		t.Min, t.Max = math.Min(t.Min, v), math.Max(t.Max, v)
	}
	if n == 0 {
		t.Min, t.Max, t.Mean, t.Std = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		return t
	}
	t.Mean, t.Norm = sum/float64(n), math.Sqrt(square)
	t.Std = math.Sqrt(math.Max(square/float64(n)-t.Mean*t.Mean, 0))
	t.Largest = math.Max(math.Abs(t.Min), math.Abs(t.Max))
	for _, f := range values {
		if v := float64(f); !math.IsNaN(v) && !math.IsInf(v, 0) {
			bin := 0
			if t.Max > t.Min {
				bin = min(int((v-t.Min)/(t.Max-t.Min)*bins), bins-1)
			}
			t.Histogram[bin]++
		}
	}
	return t
}

// InspectTensor describes a float32 tensor of a model or adapter.
func InspectTensor(name string, x *tensors.Tensor) (Tensor, error) {
	if x == nil {
		return Tensor{}, fault.New(fault.NotExist, "inspect", name, "there is no such tensor")
	}
	values, err := floats(name, x)
	if err != nil {
		return Tensor{}, err
	}
	return Inspect(name, "F32", values, x.Shape().Dimensions...), nil
}

// InspectAll describes every tensor whose name the glob matches ("mid_block.*.bias"); "" is all. No match is a fault of kind NotExist that
// names the nearest.
func InspectAll(p *sd.Params, match string) ([]Tensor, error) {
	names, err := matching(p.Names(), match)
	if err != nil {
		return nil, err
	}
	var out []Tensor
	for _, name := range names {
		t, err := InspectTensor(name, p.Get(name))
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// InspectFile is InspectAll of an open file of any kind, by the names in it. Tensors that hold no real numbers have only a shape and a type.
func InspectFile(f *checkpoint.File, match string) ([]Tensor, error) {
	names, err := matching(f.Names(), match)
	if err != nil {
		return nil, err
	}
	var out []Tensor
	for _, name := range names {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		var values []float32
		if t.DType.Float() {
			if values, err = t.Floats(); err != nil {
				return nil, err
			}
		}
		f.Release(t)
		out = append(out, Inspect(name, t.DType.String(), values, t.Shape...))
	}
	return out, nil
}

// matching is the names that a glob matches.
func matching(names []string, match string) ([]string, error) {
	if _, err := path.Match(match, ""); err != nil {
		return nil, fault.New(fault.Invalid, "inspect", match, "it is no glob: %w", err)
	}
	var out []string
	for _, name := range names {
		if ok, _ := path.Match(match, name); ok || match == "" {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, checkpoint.Unknown("inspect", "tensor", match, names)
	}
	return out, nil
}

// InspectDifferences describes every difference: what changed between two models, or what an adapter adds.
func InspectDifferences(d Differences, report Progress) ([]Tensor, error) {
	out := make([]Tensor, len(d))
	err := d.each(report, func(i int, m Matrix) error {
		out[i] = Inspect(m.Name, "F32", m.Values(), m.Shape...)
		return nil
	})
	return out, err
}

// String is one line: name, shape, type, and the figures that tell at a glance whether it is sound.
func (t Tensor) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%v norm %.4g, mean %.3g, std %.3g, %.4g … %.4g", t.Name, t.DType, t.Shape, t.Norm, t.Mean, t.Std, t.Min, t.Max)
	for _, c := range []struct {
		n    int
		what string
	}{{t.NaN, "NaN"}, {t.Inf, "infinite"}, {t.Zero, "zero"}} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %d %s", c.n, c.what)
		}
	}
	return b.String()
}

// PlotHistogram draws how the values are distributed.
func (t Tensor) PlotHistogram(l chart.Look) (image.Image, error) {
	if l.Title == "" {
		l.Title = t.Name
	}
	l.X, l.Y = "value", "elements"
	return chart.Histogram(l, t.Min, t.Max, t.Histogram)
}

// maxPicture bounds the cells of a picture in either direction; larger matrices are averaged.
const maxPicture = 256

// cells are the values as a matrix, its first axis down: of large ones the means of |values| over squares. nil of no values.
func cells(values []float32, shape []int) [][]float32 {
	rows, cols := 1, len(values)
	if len(shape) > 1 && shape[0] > 0 {
		rows, cols = shape[0], len(values)/shape[0]
	}
	if rows*cols == 0 || rows*cols != len(values) {
		return nil
	}
	down, across := (rows+maxPicture-1)/maxPicture, (cols+maxPicture-1)/maxPicture
	z := make([][]float32, (rows+down-1)/down)
	for i := range z {
		z[i] = make([]float32, (cols+across-1)/across)
		for j := range z[i] {
			sum, n := 0.0, 0
			for r := i * down; r < min((i+1)*down, rows); r++ {
				for c := j * across; c < min((j+1)*across, cols); c++ {
					v := float64(values[r*cols+c])
					if down*across > 1 {
						v = math.Abs(v)
					}
					sum, n = sum+v, n+1
				}
			}
			z[i][j] = float32(sum / float64(n))
		}
	}
	return z
}

// Picture draws the tensor as a matrix, its first axis down: large ones as means of |values| over squares, small ones as they are.
func (t Tensor) Picture(l chart.Look) (image.Image, error) {
	if t.cells == nil {
		return nil, fault.New(fault.Invalid, "draw tensor", t.Name, "it has no elements")
	}
	if l.Title == "" {
		l.Title = t.Name
	}
	z := make([][]float64, len(t.cells))
	for i, row := range t.cells {
		z[i] = doubles(row)
	}
	return chart.Heat(l, nil, nil, z)
}
