package train

import (
	"fmt"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// Lion steps by the sign of a momentum (Chen et al. 2023; lion-pytorch). Its LR is about a tenth of Adam's.
type Lion struct {
	Beta1, Beta2 float64 // momentum as used and as kept, 0…1; 0.9 and 0.99
	WeightDecay  float64 // share of LR·parameter taken off each step
}

// Start returns the momentum of every parameter.
func (o Lion) Start(params []*Node) []*Node { return zeros(params, 1) }

// Step implements Optimizer.
func (o Lion) Step(params, grads, state, rates []*Node, _ *Node) (newParams, newState []*Node) {
	for i, p := range params {
		lr := rateAt(rates, i)
		p = Mul(p, OneMinus(MulScalar(lr, o.WeightDecay)))
		newParams = append(newParams, Sub(p, Mul(lr, Sign(blend(state[i], grads[i], o.Beta1)))))
		newState = append(newState, blend(state[i], grads[i], o.Beta2))
	}
	return newParams, newState
}

// Class implements Optimizer.
func (o Lion) Class() string {
	return fmt.Sprintf("lion_pytorch.lion_pytorch.Lion(weight_decay=%g,betas=(%g, %g))", o.WeightDecay, o.Beta1, o.Beta2)
}
