package xla

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/shapes"
	"github.com/gomlx/gomlx/pkg/core/tensors"
)

// Attention in blocks, of which the last is smaller, agrees with attention at once in value and gradients. That one is compared with
// finite differences and, inside the networks, with the reference.
func TestAttentionInBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(dims ...int) *tensors.Tensor {
		x := tensors.FromShape(shapes.Make(dtypes.Float32, dims...))
		tensors.MustMutableFlatData(x, func(flat []float32) {
			for i := range flat {
				flat[i] = float32(rng.NormFloat64())
			}
		})
		return x
	}
	q, k, v, weigh := random(2, 7, 8), random(2, 5, 8), random(2, 5, 8), random(2, 7, 8)
	for _, masked := range []bool{false, true} {
		results := map[int][]*tensors.Tensor{}
		for _, blocks := range []int{1, 3, 5, 7} {
			program := Compile(fmt.Sprint(blocks, " blocks"), func(in []*Node) []*Node {
				var mask *Node
				if masked {
					mask = Const(in[0].Graph(), [][]float32{{0, 0, 0, 0, -1e9}, {1, 0, 0, 0, 0}, {0, -1e9, 0, 0, 0}, {0, 0, 2, 0, 0},
						{0, 0, 0, 0, 0}, {-1, 0, 0, 0, 0}, {-1e9, 0, 0, 0, -1e9}})
				}
				var out *Node
				if blocks == 1 {
					out = attendAtOnce(in[0], in[1], in[2], 2, mask)
				} else {
					out = attendInBlocks(in[0], in[1], in[2], 2, mask, blocks)
				}
				return append([]*Node{out}, Gradient(ReduceAllSum(Mul(out, in[3])), in[:3]...)...)
			})
			out, err := program.Run(q, k, v, weigh)
			if err != nil {
				t.Fatal(err)
			}
			results[blocks] = out
		}
		for _, blocks := range []int{3, 5, 7} {
			for i, name := range []string{"value", "gradient of q", "gradient of k", "gradient of v"} {
				want, got := tensors.MustCopyFlatData[float32](results[1][i]), tensors.MustCopyFlatData[float32](results[blocks][i])
				for j := range want {
					if math.Abs(float64(want[j]-got[j])) > 1e-5 {
						t.Fatalf("%d blocks, masked %v: %s at %d is %v, at once %v", blocks, masked, name, j, got[j], want[j])
					}
				}
			}
		}
	}
}

func TestQueryBlocks(t *testing.T) {
	for _, c := range []struct{ weights, queries, want int }{
		{2 * 8 * 4096 * 77, 4096, 1}, {2 * 8 * 1024 * 1024, 1024, 1}, {2 * 8 * 4096 * 4096, 4096, 16}, {8 * 8 * 4096 * 4096, 4096, 16},
		{1<<24 + 1, 1 << 20, 2}, {1 << 30, 3, 3},
	} {
		if got := queryBlocks(c.weights, c.queries); got != c.want {
			t.Errorf("%d weights of %d queries: %d blocks, want %d", c.weights, c.queries, got, c.want)
		}
	}
}
