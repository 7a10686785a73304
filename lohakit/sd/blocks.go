package sd

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/lohakit/xla"
)

// under returns the weights whose names begin with prefix, for at and layers to name by the rest.
func (w Weights) under(prefix string) Weights {
	w.prefix += prefix
	return w
}

// at is the weight of that name, under the prefix.
func (w Weights) at(name string) *Node { return w.Get(w.prefix + name) }

// conv is the convolution layer called name with that stride, padded by pad on all sides (or as xla.Conv says), with a bias.
func conv(w Weights, name string, x *Node, stride int, pad ...int) *Node {
	return w.biased(name, x, func(x, weight *Node) *Node { return xla.Conv(x, weight, nil, stride, pad...) })
}

// linear is the linear layer called name, with a bias.
func linear(w Weights, name string, x *Node) *Node { return w.biased(name, x, product) }

// product is a linear layer without a bias.
func product(x, weight *Node) *Node { return xla.Linear(x, weight, nil) }

// layer is the layer called name without a bias: the product of x with its weight, and what is beside it.
func (w Weights) layer(name string, x *Node, product func(x, weight *Node) *Node) *Node {
	y := w.times(name, x, product)
	if w.Beside != nil {
		if more := w.Beside(w, w.prefix+name, x, product); more != nil {
			y = Add(y, more)
		}
	}
	return y
}

// times is the product of x with the weight of the layer called name.
func (w Weights) times(name string, x *Node, product func(x, weight *Node) *Node) *Node {
	if w.Made != nil {
		if from, make := w.Made(w.prefix + name + ".weight"); make != nil {
			return xla.Recompute(append([]*Node{x}, from...), func(in []*Node) (*Node, []*Node) { return product(in[0], make(in[1:])), nil })
		}
	}
	return product(x, w.at(name+".weight"))
}

// biased is layer, plus the layer's bias.
func (w Weights) biased(name string, x *Node, product func(x, weight *Node) *Node) *Node {
	y := w.layer(name, x, product)
	return Add(y, ExpandLeftToRank(w.at(name+".bias"), y.Rank()))
}

// layerNorm is the layer normalisation called name, with PyTorch's default eps.
func layerNorm(w Weights, name string, x *Node) *Node {
	return xla.LayerNorm(x, w.at(name+".weight"), w.at(name+".bias"), 1e-5)
}

// groups is the number of groups in which n channels are normalised: what the model was told, or gcd(32, n) if that is 0.
func groups(told, n int) int {
	if told > 0 {
		return told
	}
	a, b := 32, n
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
