package train

import (
	"fmt"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// SGD is gradient descent with Nesterov momentum and weight decay in the gradient (torch.optim.SGD with nesterov=True).
type SGD struct {
	Momentum    float64 // share of the velocity kept, 0…1; 0.9
	WeightDecay float64 // share of the parameter added to its gradient
}

// Start returns the velocity of every parameter.
func (o SGD) Start(params []*Node) []*Node { return zeros(params, 1) }

// Step implements Optimizer.
func (o SGD) Step(params, grads, state, rates []*Node, _ *Node) (newParams, newState []*Node) {
	for i, p := range params {
		g := Add(grads[i], MulScalar(p, o.WeightDecay))
		velocity := Add(MulScalar(state[i], o.Momentum), g)
		newParams = append(newParams, Sub(p, Mul(rateAt(rates, i), Add(g, MulScalar(velocity, o.Momentum)))))
		newState = append(newState, velocity)
	}
	return newParams, newState
}

// Class implements Optimizer.
func (o SGD) Class() string {
	return fmt.Sprintf("torch.optim.sgd.SGD(momentum=%g,nesterov=True,weight_decay=%g)", o.Momentum, o.WeightDecay)
}
