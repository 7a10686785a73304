package train

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// DAdaptAdam is Adam that finds its own step size d (Defazio & Mishchenko 2023; dadaptation 3.2). LR is a factor on d and should be 1.
type DAdaptAdam struct {
	Beta1, Beta2   float64 // decay of the moments; 0.9 and 0.999
	Eps            float64 // 1e-8
	WeightDecay    float64 // 0
	Decouple       bool    // true: decay acts on the parameter as in AdamW; false: it is added to the gradient; the experiment's tool sets true
	D0             float64 // first guess of d; 1e-6
	GrowthRate     float64 // most that d grows in one step; 0 stands for no limit
	BiasCorrection bool    // Adam's bias correction; default false
	Preprint       bool    // true: the estimator of versions 1 and 2, which the experiments of March 2023 used
}

// Start returns for every parameter its moments and s, then the scalars d and numerator.
func (o DAdaptAdam) Start(params []*Node) []*Node {
	d := scalar(params[0], o.D0)
	return append(zeros(params, 3), d, scalar(d, 0))
}

// Step implements Optimizer.
func (o DAdaptAdam) Step(params, grads, state, rates []*Node, step *Node) (newParams, newState []*Node) {
	d, weighted := state[3*len(params)], state[3*len(params)+1]
	along, across, size := scalar(d, 0), scalar(d, 0), scalar(d, 0) // sums over all parameters
	keep := math.Sqrt(o.Beta2)                                      // decay of s and of the numerator
	if o.Preprint {
		keep = o.Beta2
	}
	for i, p := range params {
		g := grads[i]
		if o.WeightDecay != 0 && !o.Decouple {
			g = Add(g, MulScalar(p, o.WeightDecay))
		}
		m, v, s := state[3*i], state[3*i+1], state[3*i+2]
		scaled := Mul(o.dlr(d, rateAt(rates, i), step), g)
		before := AddScalar(Sqrt(v), o.Eps)
		m = Add(MulScalar(m, o.Beta1), MulScalar(scaled, 1-o.Beta1))
		v = blend(v, Square(g), o.Beta2)
		after := AddScalar(Sqrt(v), o.Eps)
		if o.Preprint {
			along = Add(along, ReduceAllSum(Div(Square(scaled), after)))
			s = blend(s, scaled, keep)
			across = Add(across, ReduceAllSum(Div(Square(s), after)))
		} else {
			along = Add(along, ReduceAllSum(Mul(scaled, Div(s, before))))
			s = blend(s, scaled, keep)
		}
		size = Add(size, ReduceAllSum(Abs(s)))
		newState = append(newState, m, v, s)
	}
	weighted = blend(weighted, along, keep)
	numerator := DivScalar(weighted, 1-keep)
	if o.Preprint {
		numerator = Sub(DivScalar(across, 1-keep), weighted)
	}

	// Without any gradient so far there is no estimate, and nothing moves.
	some := GreaterThan(size, scalar(d, 0))
	estimate := Where(some, Div(numerator, size), d)
	next := Max(d, Min(estimate, growth(d, o.GrowthRate)))
	for i, p := range params {
		kept := p
		if o.WeightDecay != 0 && o.Decouple {
			kept = Mul(kept, OneMinus(MulScalar(o.dlr(d, rateAt(rates, i), step), o.WeightDecay)))
		}
		moved := Sub(kept, Div(newState[3*i], AddScalar(Sqrt(newState[3*i+1]), o.Eps)))
		newParams = append(newParams, Where(some, moved, p))
	}
	return newParams, append(newState, next, weighted)
}

// dlr is the step size d·LR with its bias correction.
func (o DAdaptAdam) dlr(d, rate, step *Node) *Node {
	dlr := Mul(d, rate)
	if o.BiasCorrection {
		dlr = Mul(dlr, Div(Sqrt(correction(o.Beta2, step)), correction(o.Beta1, step)))
	}
	return dlr
}

// Class implements Optimizer.
func (o DAdaptAdam) Class() string {
	name := "dadaptation.dadapt_adam.DAdaptAdam"
	if o.Preprint {
		name = "dadaptation.experimental.dadapt_adam_preprint.DAdaptAdamPreprint"
	}
	return fmt.Sprintf("%s(weight_decay=%g,betas=(%g, %g),decouple=%s)", name, o.WeightDecay, o.Beta1, o.Beta2, pythonBool(o.Decouple))
}
