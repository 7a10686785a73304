package train

import (
	"math"
	"slices"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/shapes"
)

// AdamW8bit is AdamW whose two moments are kept as 8-bit codes with one float32 maximum per block (Dettmers et al. 2022; bitsandbytes).
// Tensors of fewer than MinSize elements keep float32 moments.
type AdamW8bit struct {
	AdamW
	Block   int // elements per block; 2048 (bitsandbytes up to 0.37, the experiments' 0.35.0) or 256 (today's)
	MinSize int // 4096
}

// Start returns for every stack of n tensors two pairs of codes [n, blocks, Block] uint8 and maxima [n, blocks], or, if its tensors are
// small, the two moments.
func (o AdamW8bit) Start(params []*Node) (state []*Node) {
	for _, p := range params {
		n, size := sizes(p)
		if size < o.MinSize {
			state = append(state, zeros([]*Node{p}, 2)...)
			continue
		}
		blocks := (size + o.Block - 1) / o.Block
		codes := Zeros(p.Graph(), shapes.Make(dtypes.Uint8, n, blocks, o.Block))
		maxima := Zeros(p.Graph(), shapes.Make(dtypes.Float32, n, blocks))
		state = append(state, codes, maxima, codes, maxima)
	}
	return state
}

// Step implements Optimizer.
func (o AdamW8bit) Step(params, grads, state, rates []*Node, step *Node) (newParams, newState []*Node) {
	for i, p := range params {
		n, size := sizes(p)
		if size < o.MinSize {
			moved, moments := o.AdamW.Step(params[i:i+1], grads[i:i+1], state[:2], []*Node{rateAt(rates, i)}, step)
			newParams, newState, state = append(newParams, moved...), append(newState, moments...), state[2:]
			continue
		}
		g := o.blocks(grads[i])
		m := blend(dequantize(state[0], state[1], true), g, o.Beta1)
		v := blend(dequantize(state[2], state[3], false), Square(g), o.Beta2)
		moved := Reshape(o.move(o.blocks(p), m, v, rateAt(rates, i), step), n, -1)
		newParams = append(newParams, Reshape(Slice(moved, AxisRange(), AxisRange(0, size)), p.Shape().Dimensions...))
		codes1, maxima1 := quantize(m, true)
		codes2, maxima2 := quantize(v, false)
		newState, state = append(newState, codes1, maxima1, codes2, maxima2), state[4:]
	}
	return newParams, newState
}

// blocks lays a stack of n tensors out as [n, blocks, Block], the last block of each filled up with zeros.
func (o AdamW8bit) blocks(x *Node) *Node {
	n, size := sizes(x)
	x = Reshape(x, n, size)
	if rest := size % o.Block; rest > 0 {
		x = Concatenate([]*Node{x, Zeros(x.Graph(), shapes.Make(x.DType(), n, o.Block-rest))}, 1)
	}
	return Reshape(x, n, -1, o.Block)
}

// sizes are the number of tensors in a stack, and of elements in each.
func sizes(stack *Node) (n, size int) {
	n = stack.Shape().Dim(0)
	return n, stack.Shape().Size() / n
}

// magnitudes returns the positive values of the dynamic map, smallest first, without the final 1: seven decades from 1e-7…1e-6 to 0.1…1, the
// i-th cut evenly into 2^i intervals (twice as many without a sign) of which the middles are taken.
func magnitudes(signed bool) []float64 {
	var values []float64
	for i := range 7 {
		n := cuts(i, signed)
		for j := range n {
			values = append(values, math.Pow10(i-6)*(0.1+0.9*(float64(j)+0.5)/float64(n)))
		}
	}
	return values
}

func cuts(decade int, signed bool) int {
	if signed {
		return 1 << decade
	}
	return 2 << decade
}

// codebook is what the 256 codes stand for: with a sign 127 negative values, 0, 127 positive and 1; without one 0, 254 values and 1.
func codebook(signed bool) []float32 {
	var book []float32
	values := magnitudes(signed)
	if signed {
		for _, v := range slices.Backward(values) {
			book = append(book, float32(-v))
		}
	}
	book = append(book, 0)
	for _, v := range values {
		book = append(book, float32(v))
	}
	return append(book, 1)
}

// dequantize turns codes [n, blocks, Block] and maxima [n, blocks] into values.
func dequantize(codes, maxima *Node, signed bool) *Node {
	book := Const(codes.Graph(), codebook(signed))
	values := Gather(book, ExpandAxes(ConvertDType(codes, dtypes.Int32), -1))
	return Mul(values, ExpandAxes(maxima, -1))
}

// quantize turns values [n, blocks, Block] into the nearest codes after division by each block's largest magnitude. Because the map is even inside
// a decade, the code is computed rather than searched for: find the decade, then the interval.
func quantize(values *Node, signed bool) (codes, maxima *Node) {
	maxima = ReduceMax(Abs(values), -1)
	x := Div(values, ExpandAxes(MaxScalar(maxima, 1e-38), -1))
	size := Abs(x)
	steps := magnitudes(signed)
	at := func(v float64) *Node { return scalar(values, v) }

	// In decade i, position y = size·slope - shift counts intervals from 0 to n.
	first := 1 // code of the decade's first value, 0 being zero
	var slope, shift, base, last *Node
	for i := range 7 {
		n := float64(cuts(i, signed))
		s := n / (0.9 * math.Pow10(i-6))
		t := n / 9
		if i == 0 {
			slope, shift, base, last = at(s), at(t), at(float64(first)), at(n-1)
		} else {
			border := GreaterThan(size, at((steps[first-2]+steps[first-1])/2))
			slope, shift = Where(border, at(s), slope), Where(border, at(t), shift)
			base, last = Where(border, at(float64(first)), base), Where(border, at(n-1), last)
		}
		first += cuts(i, signed)
	}
	interval := AddScalar(Ceil(Sub(Mul(size, slope), shift)), -1)
	code := Add(base, Max(ScalarZero(values.Graph(), values.DType()), Min(interval, last)))
	code = Where(GreaterThan(size, at(steps[0]/2)), code, at(0))
	top := float64(len(steps))
	positive := GreaterThan(x, at((steps[len(steps)-1]+1)/2))
	code = Where(positive, at(top+1), code)
	if signed {
		code = AddScalar(Mul(Sign(x), code), top)
	}
	return ConvertDType(code, dtypes.Uint8), maxima
}

// Class implements Optimizer.
func (o AdamW8bit) Class() string { return "bitsandbytes.optim.adamw.AdamW8bit" + o.settings() }
