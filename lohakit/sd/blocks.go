package sd

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/lohakit/xla"
)

// under returns the weights whose names begin with prefix, by the rest of their names.
func (w Weights) under(prefix string) Weights {
	return func(name string) *Node { return w(prefix + name) }
}

// conv is the convolution layer called name with stride 1, padded by pad on all sides, with a bias.
func conv(w Weights, name string, x *Node, pad int) *Node {
	return xla.Conv(x, w(name+".weight"), w(name+".bias"), 1, pad)
}

// linear is the linear layer called name, with a bias.
func linear(w Weights, name string, x *Node) *Node {
	return xla.Linear(x, w(name+".weight"), w(name+".bias"))
}

// layerNorm is the layer normalisation called name, with PyTorch's default eps.
func layerNorm(w Weights, name string, x *Node) *Node {
	return xla.LayerNorm(x, w(name+".weight"), w(name+".bias"), 1e-5)
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
