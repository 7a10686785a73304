package main

import (
	"fmt"
	"maps"
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/bench/numerics/stock"
	"github.com/lohakit/notebook/lohakit/xla"
)

// operation is one operation: written with GoMLX's own gradients, in the layout of checkpoints, and as lohakit has it.
type operation struct {
	name            string
	plain, ours     func(in []*Node) *Node
	plainIn, oursIn [][]int // dimensions of the inputs and, last, of the output
}

// operations prints forward plus backward of each operation, before and after.
func operations() error {
	mended := maps.Clone(VJPRegistration)
	fmt.Printf("%-34s %-42s %-42s\n", "forward and backward", "GoMLX's gradients", "lohakit's")
	for _, op := range list() {
		maps.Copy(VJPRegistration, stock.Products)
		before, err := cheapest(op.name, op.plain, op.plainIn)
		maps.Copy(VJPRegistration, mended)
		if err != nil {
			return err
		}
		after, err := cheapest(op.name, op.ours, op.oursIn)
		if err != nil {
			return err
		}
		fmt.Printf("%-34s %s   %s  %6.1f times\n", op.name, before, after, float64(before.cpu)/float64(after.cpu))
	}
	return nil
}

func cheapest(name string, fn func(in []*Node) *Node, dims [][]int) (cost, error) {
	in := make([]any, len(dims))
	for i, d := range dims {
		in[i] = ramp(d...)
	}
	program := backward(name, fn)
	if _, err := measure(program, 1, in...); err != nil { // compiles
		return never, err
	}
	return measure(program, 8, in...)
}

func list() []operation {
	matmul := func(in []*Node) *Node { return MatMul(in[0], in[1]) }
	linear := func(in []*Node) *Node { return Einsum("bnc,oc->bno", in[0], in[1]) }
	square := []int{512, 512}
	ops := []operation{
		{"product 512×512×512", matmul, matmul, [][]int{square, square, square}, [][]int{square, square, square}},
		{"linear [8, 256, 32] to 256", linear, func(in []*Node) *Node { return xla.Linear(in[0], in[1], nil) },
			[][]int{{8, 256, 32}, {256, 32}, {8, 256, 256}}, [][]int{{8, 256, 32}, {256, 32}, {8, 256, 256}}},
	}
	for _, s := range []struct{ batch, tokens, heads, width int }{{1, 512, 4, 128}, {8, 256, 4, 32}, {8, 64, 4, 64}} {
		d := []int{s.batch, s.tokens, s.width}
		ops = append(ops, operation{fmt.Sprintf("attention %v, %d heads", d, s.heads),
			func(in []*Node) *Node { return plainAttention(in, s.heads) },
			func(in []*Node) *Node { return xla.Attention(in[0], in[1], in[2], s.heads, nil) },
			[][]int{d, d, d, d}, [][]int{d, d, d, d}})
	}
	for _, s := range []struct{ batch, side, in, out, stride int }{{8, 16, 32, 32, 1}, {8, 8, 64, 64, 1}, {8, 4, 128, 128, 1}, {8, 2, 128, 128, 1},
		{8, 2, 256, 128, 1}, {8, 4, 128, 128, 2}} {
		to := s.side / s.stride
		w := []int{s.out, s.in, 3, 3}
		ops = append(ops, operation{fmt.Sprintf("conv 3×3 of %d×%d, %d to %d, by %d", s.side, s.side, s.in, s.out, s.stride),
			func(in []*Node) *Node {
				return Convolve(in[0], in[1]).AxesConfig(channelsFirst).Strides(s.stride).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
			},
			func(in []*Node) *Node { return xla.Conv(in[0], in[1], nil, s.stride, 1) },
			[][]int{{s.batch, s.in, s.side, s.side}, w, {s.batch, s.out, to, to}},
			[][]int{{s.batch, s.side, s.side, s.in}, w, {s.batch, to, to, s.out}}})
	}
	return append(ops, operation{"group norm [8, 16, 16, 32]",
		func(in []*Node) *Node { return plainGroupNorm(in[0], in[1], in[2]) },
		func(in []*Node) *Node { return xla.GroupNorm(in[0], 32, in[1], in[2], 1e-5) },
		[][]int{{8, 32, 16, 16}, {32}, {32}, {8, 32, 16, 16}}, [][]int{{8, 16, 16, 32}, {32}, {32}, {8, 16, 16, 32}}},
		operation{"layer norm [8, 256, 32]",
			func(in []*Node) *Node {
				return Add(Mul(plainNorm(in[0]), InsertAxes(in[1], 0, 0)), InsertAxes(in[2], 0, 0))
			},
			func(in []*Node) *Node { return xla.LayerNorm(in[0], in[1], in[2], 1e-5) },
			[][]int{{8, 256, 32}, {32}, {32}, {8, 256, 32}}, [][]int{{8, 256, 32}, {32}, {32}, {8, 256, 32}}})
}

var channelsFirst = ConvolveAxesConfig{
	InputBatch: 0, InputChannels: 1, InputSpatial: []int{2, 3},
	KernelOutputChannels: 0, KernelInputChannels: 1, KernelSpatial: []int{2, 3},
	OutputBatch: 0, OutputChannels: 1, OutputSpatial: []int{2, 3},
}

func plainAttention(in []*Node, heads int) *Node {
	d := in[0].Shape().Dimensions
	split := func(x *Node) *Node { return Reshape(x, d[0], d[1], heads, d[2]/heads) }
	logits := MulScalar(Einsum("bnhc,bmhc->bhnm", split(in[0]), split(in[1])), 1/math.Sqrt(float64(d[2]/heads)))
	return Reshape(Einsum("bhnm,bmhc->bnhc", Softmax(logits, -1), split(in[2])), d...)
}

func plainNorm(x *Node) *Node {
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	return Div(centred, Sqrt(AddScalar(ReduceAndKeep(Square(centred), ReduceMean, -1), 1e-5)))
}

func plainGroupNorm(x, gamma, beta *Node) *Node {
	d := x.Shape().Dimensions
	y := Reshape(plainNorm(Reshape(x, d[0], 32, -1)), d...)
	return Add(Mul(y, Reshape(gamma, 1, -1, 1, 1)), Reshape(beta, 1, -1, 1, 1))
}
