package train

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// Optimizer is an update rule as graph functions over any list of float32 parameters. Each parameter is a stack of tensors, [n, …]: what a
// rule measures of a tensor, or codes, it does for each of them. All state lives in the returned nodes, so that a
// training step is one graph from batch to new state, and saving the state tensors saves the optimizer.
type Optimizer interface {
	// Start returns the state before the first step.
	Start(params []*Node) []*Node
	// Step returns the parameters and the state after one step. rates are scalar learning rates: one for each stack, or a
	// single one for all. step is a float32 scalar that counts from 1.
	Step(params, grads, state, rates []*Node, step *Node) (newParams, newState []*Node)
	// Class is what the trainers call it with its settings, for a file's ss_optimizer: "torch.optim.adamw.AdamW(weight_decay=0.1,…)".
	Class() string
}

// Rules go stack by stack. Joining all stacks into one vector would need fewer operations, but XLA then fuses the joining into every
// piece that is cut out again, and compiling takes time with the square of their number.

// rateAt is the rate of the i-th parameter.
func rateAt(rates []*Node, i int) *Node { return rates[min(i, len(rates)-1)] }

// zeros returns n zero tensors like each parameter: the state of a rule that keeps n numbers for every weight.
func zeros(params []*Node, n int) (state []*Node) {
	for _, p := range params {
		for range n {
			state = append(state, ZerosLike(p))
		}
	}
	return state
}

// scalar is a float32 constant of the graph.
func scalar(like *Node, value float64) *Node { return Const(like.Graph(), float32(value)) }

// blend returns β·old + (1-β)·new.
func blend(old, new *Node, beta float64) *Node {
	return Add(MulScalar(old, beta), MulScalar(new, 1-beta))
}

// ClipNorm scales gradients so that their joint Euclidean norm is at most limit, as torch's clip_grad_norm_ does, and returns the norm
// before clipping. A limit of 0 clips nothing.
func ClipNorm(grads []*Node, limit float64) (clipped []*Node, norm *Node) {
	sum := scalar(grads[0], 0)
	for _, g := range grads {
		sum = Add(sum, ReduceAllSum(Square(g)))
	}
	norm = Sqrt(sum)
	if limit <= 0 {
		return grads, norm
	}
	factor := MinScalar(Div(scalar(norm, limit), AddScalar(norm, 1e-6)), 1)
	clipped = make([]*Node, len(grads))
	for i, g := range grads {
		clipped[i] = Mul(g, factor)
	}
	return clipped, norm
}
