package train

import (
	"fmt"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/shapes"
)

// Adafactor keeps, for a matrix, only the means of the squared gradient over rows and columns (Shazeer & Stern 2018; the settings and
// their defaults are those of transformers.Adafactor).
type Adafactor struct {
	RelativeStep   bool    // true: the rate is min(1e-2, 1/√step) and the given rates are not used; default true
	ScaleParameter bool    // true: the rate is multiplied by the parameter's root mean square; default true
	ClipThreshold  float64 // largest root mean square of an update; 1
	DecayRate      float64 // exponent of the second moment's decay, 1 - step^DecayRate; -0.8
	Eps1, Eps2     float64 // added to the squared gradient, and least parameter scale; 1e-30 and 1e-3
	WeightDecay    float64 // share of rate·parameter taken off each step; 0
}

// Start returns for each parameter its row and column means, or the second moment of a vector.
func (o Adafactor) Start(params []*Node) (state []*Node) {
	for _, p := range params {
		dims := p.Shape().Dimensions
		if n := len(dims); n > 2 {
			row := dims[:n-1]
			col := append(append([]int{}, dims[:n-2]...), dims[n-1])
			state = append(state, Zeros(p.Graph(), shapes.Make(p.DType(), row...)), Zeros(p.Graph(), shapes.Make(p.DType(), col...)))
			continue
		}
		state = append(state, ZerosLike(p))
	}
	return state
}

// Step implements Optimizer.
func (o Adafactor) Step(params, grads, state, rates []*Node, step *Node) (newParams, newState []*Node) {
	keep := OneMinus(Pow(step, scalar(step, o.DecayRate)))
	decay := func(old, new *Node) *Node { return Add(Mul(keep, old), Mul(OneMinus(keep), new)) }
	for i, p := range params {
		g := grads[i]
		squared := AddScalar(Square(g), o.Eps1)
		var update *Node
		if p.Rank() > 2 {
			row := decay(state[0], ReduceMean(squared, -1))
			col := decay(state[1], ReduceMean(squared, -2))
			newState, state = append(newState, row, col), state[2:]
			share := Div(row, ReduceAndKeep(row, ReduceMean, -1))
			update = Div(g, Mul(Sqrt(ExpandAxes(share, -1)), Sqrt(ExpandAxes(col, -2))))
		} else {
			second := decay(state[0], squared)
			newState, state = append(newState, second), state[1:]
			update = Div(g, Sqrt(second))
		}
		update = Div(update, MaxScalar(DivScalar(rms(update), o.ClipThreshold), 1))
		rate := rateAt(rates, i)
		if o.RelativeStep {
			rate = MinScalar(Reciprocal(Sqrt(step)), 1e-2)
		}
		if o.ScaleParameter {
			rate = Mul(rate, MaxScalar(rms(p), o.Eps2))
		}
		p = Mul(p, OneMinus(MulScalar(rate, o.WeightDecay)))
		newParams = append(newParams, Sub(p, Mul(rate, update)))
	}
	return newParams, newState
}

// rms is the root mean square of each tensor of a stack, [n, 1, …].
func rms(x *Node) *Node {
	axes := make([]int, x.Rank()-1)
	for i := range axes {
		axes[i] = i + 1
	}
	return Sqrt(ReduceAndKeep(Square(x), ReduceMean, axes...))
}

// Class implements Optimizer.
func (o Adafactor) Class() string {
	return fmt.Sprintf("transformers.optimization.Adafactor(relative_step=%s,scale_parameter=%s,weight_decay=%g)",
		pythonBool(o.RelativeStep), pythonBool(o.ScaleParameter), o.WeightDecay)
}

func pythonBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}
