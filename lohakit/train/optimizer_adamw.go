package train

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// AdamW is Adam with decoupled weight decay, states in float32 (Loshchilov & Hutter 2019; torch.optim.AdamW).
type AdamW struct {
	Beta1, Beta2 float64 // decay of the two moments, 0…1; the card's 0.9 and 0.99
	Eps          float64 // added to the root of the second moment; 1e-8
	WeightDecay  float64 // share of LR·parameter taken off each step; the card's 0.1
}

// Start returns the two moments of every parameter.
func (o AdamW) Start(params []*Node) []*Node { return zeros(params, 2) }

// Step implements Optimizer.
func (o AdamW) Step(params, grads, state, rates []*Node, step *Node) (newParams, newState []*Node) {
	for i, p := range params {
		m := blend(state[2*i], grads[i], o.Beta1)
		v := blend(state[2*i+1], Square(grads[i]), o.Beta2)
		newParams = append(newParams, o.move(p, m, v, rateAt(rates, i), step))
		newState = append(newState, m, v)
	}
	return newParams, newState
}

// move applies decay and the bias-corrected step.
func (o AdamW) move(p, m, v, lr, step *Node) *Node {
	if o.WeightDecay != 0 {
		p = Mul(p, OneMinus(MulScalar(lr, o.WeightDecay)))
	}
	denominator := AddScalar(Div(Sqrt(v), Sqrt(correction(o.Beta2, step))), o.Eps)
	return Sub(p, Mul(Div(lr, correction(o.Beta1, step)), Div(m, denominator)))
}

// correction is 1-βᵗ. Written with expm1, because 1-0.999 in float32 has already lost four digits.
func correction(beta float64, step *Node) *Node {
	return Neg(Expm1(MulScalar(step, math.Log(beta))))
}

// Class implements Optimizer.
func (o AdamW) Class() string { return "torch.optim.adamw.AdamW" + o.settings() }

func (o AdamW) settings() string {
	return fmt.Sprintf("(weight_decay=%g,betas=(%g, %g))", o.WeightDecay, o.Beta1, o.Beta2)
}
