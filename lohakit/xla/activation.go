package xla

import (
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// SiLU is x·σ(x).
func SiLU(x *Node) *Node { return Mul(x, Sigmoid(x)) }

// GELU is the exact Gaussian error linear unit, x·Φ(x) = x·(1+erf(x/√2))/2.
func GELU(x *Node) *Node { return Mul(x, MulScalar(OnePlus(Erf(MulScalar(x, math.Sqrt2/2))), 0.5)) }

// QuickGELU is CLIP's approximation of GELU, x·σ(1.702x).
func QuickGELU(x *Node) *Node { return Mul(x, Sigmoid(MulScalar(x, 1.702))) }
