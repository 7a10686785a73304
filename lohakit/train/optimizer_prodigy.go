package train

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// Prodigy is AdamW that finds its own step size d from how far the parameters have moved along the gradients (Mishchenko & Defazio 2023;
// prodigyopt). LR is a factor on d and should be 1.
type Prodigy struct {
	Beta1, Beta2    float64 // decay of the moments; 0.9 and 0.999
	Eps             float64 // 1e-8
	WeightDecay     float64 // decoupled; 0
	D0              float64 // first guess of d; 1e-6
	DCoef           float64 // factor on the estimate of d; 1
	GrowthRate      float64 // most that d grows in one step; 0 stands for no limit
	BiasCorrection  bool    // Adam's bias correction; default false
	SafeguardWarmup bool    // true: warm-up does not enter the denominator of the estimate; default false
}

// Start returns for every parameter its moments, s and starting point, then the scalars d, its greatest estimate, and the numerator.
func (o Prodigy) Start(params []*Node) (state []*Node) {
	for _, p := range params {
		state = append(state, ZerosLike(p), ZerosLike(p), ZerosLike(p), Identity(p))
	}
	d := scalar(params[0], o.D0)
	return append(state, d, d, scalar(d, 0))
}

// Step implements Optimizer.
func (o Prodigy) Step(params, grads, state, rates []*Node, step *Node) (newParams, newState []*Node) {
	scalars := state[4*len(params):]
	d, greatest, numerator := scalars[0], scalars[1], scalars[2]
	beta3 := math.Sqrt(o.Beta2)
	grown := DivScalar(d, o.D0)
	numerator = MulScalar(numerator, beta3)
	denominator := scalar(d, 0)
	for i, p := range params {
		g, start := grads[i], state[4*i+3]
		dlr := o.dlr(d, rateAt(rates, i), step)
		numerator = Add(numerator, Mul(Mul(grown, dlr), ReduceAllSum(Mul(g, Sub(start, p)))))
		weight := dlr
		if o.SafeguardWarmup {
			weight = d
		}
		m := Add(MulScalar(state[4*i], o.Beta1), Mul(d, MulScalar(g, 1-o.Beta1)))
		v := Add(MulScalar(state[4*i+1], o.Beta2), Mul(Square(d), MulScalar(Square(g), 1-o.Beta2)))
		s := Add(MulScalar(state[4*i+2], beta3), Mul(Mul(grown, weight), g))
		denominator = Add(denominator, ReduceAllSum(Abs(s)))
		newState = append(newState, m, v, s, start)
	}

	// Without any gradient so far there is no estimate, and nothing moves.
	some := GreaterThan(denominator, scalar(d, 0))
	estimate := Where(some, MulScalar(Div(numerator, denominator), o.DCoef), d)
	next := Where(Equal(d, scalar(d, o.D0)), Max(d, estimate), d)
	greatest = Max(greatest, estimate)
	next = Where(some, Min(greatest, growth(next, o.GrowthRate)), d)
	for i, p := range params {
		dlr := o.dlr(d, rateAt(rates, i), step)
		kept := Mul(p, OneMinus(MulScalar(dlr, o.WeightDecay)))
		moved := Sub(kept, Mul(dlr, Div(newState[4*i], Add(Sqrt(newState[4*i+1]), MulScalar(next, o.Eps)))))
		newParams = append(newParams, Where(some, moved, p))
	}
	return newParams, append(newState, next, greatest, numerator)
}

// dlr is the step size d·LR with its bias correction.
func (o Prodigy) dlr(d, rate, step *Node) *Node {
	dlr := Mul(d, rate)
	if o.BiasCorrection {
		dlr = Mul(dlr, Div(Sqrt(correction(o.Beta2, step)), correction(o.Beta1, step)))
	}
	return dlr
}

// growth is the most that d may become in this step.
func growth(d *Node, rate float64) *Node {
	if rate == 0 {
		return scalar(d, math.Inf(1))
	}
	return MulScalar(d, rate)
}

// Class implements Optimizer.
func (o Prodigy) Class() string {
	return fmt.Sprintf("prodigyopt.prodigy.Prodigy(weight_decay=%g,betas=(%g, %g),d_coef=%g)", o.WeightDecay, o.Beta1, o.Beta2, o.DCoef)
}
