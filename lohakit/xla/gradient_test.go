package xla_test

import (
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/xla"
)

// op is one operation under test: its name, the dimensions of its inputs, and its graph.
type op struct {
	name string
	dims [][]int
	fn   func(in []*Node) *Node
}

// ops are all operations with a gradient of their own, and the shapes that take different paths through it.
var ops = []op{
	{"matmul", [][]int{{3, 4}, {4, 5}}, func(in []*Node) *Node { return MatMul(in[0], in[1]) }},
	{"matrix by vector", [][]int{{3, 4}, {4}}, func(in []*Node) *Node { return MatMul(in[0], in[1]) }},
	{"vector by vector", [][]int{{4}, {4}}, func(in []*Node) *Node { return Dot(in[0], in[1]) }},
	{"einsum batch", [][]int{{2, 3, 4}, {2, 5, 4}}, func(in []*Node) *Node { return Einsum("bik,bjk->bij", in[0], in[1]) }},
	{"einsum batch last", [][]int{{3, 4, 2}, {5, 2, 4}}, func(in []*Node) *Node { return Einsum("ikb,jbk->bij", in[0], in[1]) }},
	{"einsum two contracted", [][]int{{3, 4, 5}, {5, 2, 4}}, func(in []*Node) *Node { return Einsum("ikl,ljk->ij", in[0], in[1]) }},
	{"einsum outer", [][]int{{3}, {4}}, func(in []*Node) *Node { return Einsum("i,j->ij", in[0], in[1]) }},
	{"linear", [][]int{{2, 3, 4}, {5, 4}, {5}}, func(in []*Node) *Node { return xla.Linear(in[0], in[1], in[2]) }},
	{"conv 3x3", [][]int{{2, 6, 4, 3}, {5, 3, 3, 3}, {5}}, func(in []*Node) *Node { return xla.Conv(in[0], in[1], in[2], 1, 1) }},
	{"conv 3x3 stride 2", [][]int{{2, 6, 4, 3}, {5, 3, 3, 3}, {5}}, func(in []*Node) *Node { return xla.Conv(in[0], in[1], in[2], 2, 1) }},
	{"conv 3x3 stride 2 odd", [][]int{{1, 5, 7, 2}, {3, 2, 3, 3}}, func(in []*Node) *Node { return xla.Conv(in[0], in[1], nil, 2, 1) }},
	{"conv 3x3 stride 2 right pad", [][]int{{1, 6, 4, 2}, {3, 2, 3, 3}}, func(in []*Node) *Node {
		return xla.Conv(in[0], in[1], nil, 2, 0, 1, 0, 1)
	}},
	{"conv 3x3 on 2x2", [][]int{{2, 2, 2, 3}, {5, 3, 3, 3}, {5}}, func(in []*Node) *Node { return xla.Conv(in[0], in[1], in[2], 1, 1) }},
	{"conv 3x3 on 2x2 stride 2", [][]int{{2, 4, 3, 3}, {5, 3, 3, 3}, {5}}, func(in []*Node) *Node { return xla.Conv(in[0], in[1], in[2], 2, 1) }},
	{"conv 3x3 unused edge", [][]int{{2, 8, 9, 2}, {2, 2, 3, 3}}, func(in []*Node) *Node { return xla.Conv(in[0], in[1], nil, 3, 0) }},
	{"conv 1x1", [][]int{{2, 4, 4, 3}, {5, 3, 1, 1}, {5}}, func(in []*Node) *Node { return xla.Conv(in[0], in[1], in[2], 1, 0) }},
	{"conv 4x4 patches", [][]int{{2, 8, 8, 3}, {5, 3, 4, 4}, {5}}, func(in []*Node) *Node { return xla.Conv(in[0], in[1], in[2], 4, 0) }},
	{"upsample", [][]int{{2, 2, 4, 3}}, func(in []*Node) *Node { return xla.Upsample2x(in[0]) }},
	{"group norm", [][]int{{2, 3, 2, 6}, {6}, {6}}, func(in []*Node) *Node { return xla.GroupNorm(in[0], 3, in[1], in[2], 1e-5) }},
	{"layer norm", [][]int{{2, 3, 5}, {5}, {5}}, func(in []*Node) *Node { return xla.LayerNorm(in[0], in[1], in[2], 1e-5) }},
	{"attention", [][]int{{2, 3, 4}, {2, 5, 4}, {2, 5, 4}}, func(in []*Node) *Node { return xla.Attention(in[0], in[1], in[2], 2, nil) }},
	{"attention masked", [][]int{{1, 3, 4}, {1, 3, 4}, {1, 3, 4}}, func(in []*Node) *Node {
		mask := Const(in[0].Graph(), [][]float32{{0, -1e9, -1e9}, {0, 0, -1e9}, {0, 0, 0}})
		return xla.Attention(in[0], in[1], in[2], 1, mask)
	}},
	{"silu", [][]int{{7}}, func(in []*Node) *Node { return xla.SiLU(in[0]) }},
	{"gelu", [][]int{{7}}, func(in []*Node) *Node { return xla.GELU(in[0]) }},
	{"quick gelu", [][]int{{7}}, func(in []*Node) *Node { return xla.QuickGELU(in[0]) }},
}

// TestGradients compares the gradient of a random projection of each operation's output, in a random direction of each input, with
// the central difference. The arithmetic is float32, so the step is large and the tolerance 1% of the gradient's length.
func TestGradients(t *testing.T) {
	for _, op := range ops {
		t.Run(op.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			in := make([]any, len(op.dims))
			for i, dims := range op.dims {
				in[i] = normal(rng, dims...)
			}
			program := xla.Compile(op.name, func(in []*Node) []*Node {
				out := op.fn(in[:len(op.dims)])
				loss := ReduceAllSum(Mul(out, weave(out)))
				return append([]*Node{loss}, Gradient(loss, in[:len(op.dims)]...)...)
			})
			outputs := run(t, program, in...)
			for i, dims := range op.dims {
				direction := normal(rng, dims...)
				slope := dot(outputs[1+i], direction)
				const h = 1e-2
				at := func(h float32) float64 {
					moved := append([]any{}, in...)
					moved[i] = along(in[i].(*tensors.Tensor), direction, h)
					return float64(tensors.ToScalar[float32](run(t, program, moved...)[0]))
				}
				difference := (at(h) - at(-h)) / (2 * h)
				scale := length(outputs[1+i]) * length(direction)
				if math.Abs(slope-difference) > 0.01*scale+1e-3 {
					t.Errorf("input %d: gradient %.5f, central difference %.5f", i, slope, difference)
				}
			}
		})
	}
}

// weave is a fixed projection: sin(1), sin(2), … in the shape of x.
func weave(x *Node) *Node {
	return Sin(AddScalar(Reshape(IotaFull(x.Graph(), x.Shape().Clone()), x.Shape().Dimensions...), 1))
}

func run(t *testing.T, program *xla.Program, in ...any) []*tensors.Tensor {
	t.Helper()
	out, err := program.Run(in...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func normal(rng *rand.Rand, dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(rng.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(data, dims...)
}

func along(x, direction *tensors.Tensor, h float32) *tensors.Tensor {
	a, b := tensors.MustCopyFlatData[float32](x), tensors.MustCopyFlatData[float32](direction)
	for i := range a {
		a[i] += h * b[i]
	}
	return tensors.FromFlatDataAndDimensions(a, x.Shape().Dimensions...)
}

func dot(x, y *tensors.Tensor) float64 {
	a, b := tensors.MustCopyFlatData[float32](x), tensors.MustCopyFlatData[float32](y)
	sum := 0.0
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func length(x *tensors.Tensor) float64 { return math.Sqrt(dot(x, x)) }
