package adapter

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// loconForm is ΔW = s·up·down, with down in the shape of the layer. In Tucker form a core mid [r,r,k,k] stands between up [out,r,1,1]
// and down [r,in,1,1].
type loconForm struct{}

func (loconForm) plan(ls layerSpec, l Layer) []PlannedTensor {
	r := ls.dim
	ones := make([]int, len(l.Shape)-2)
	for i := range ones {
		ones[i] = 1
	}
	up := PlannedTensor{Suffix: "lora_up.weight", Shape: append([]int{l.Shape[0], r}, ones...), draw: zeros}
	if !ls.tucker {
		_, in := l.flat()
		return []PlannedTensor{up, {Suffix: "lora_down.weight", Shape: append([]int{r}, l.Shape[1:]...), draw: kaiming(in)}}
	}
	core := append([]int{r, r}, l.Shape[2:]...)
	return []PlannedTensor{up,
		{Suffix: "lora_down.weight", Shape: append([]int{r, l.Shape[1]}, ones...), draw: kaiming(l.Shape[1])},
		{Suffix: "lora_mid.weight", Shape: core, draw: kaiming(product(core[1:]))},
	}
}

func (loconForm) delta(c call) *Node {
	if c.target != "weight" {
		return nil
	}
	up, down := c.own("lora_up.weight"), c.own("lora_down.weight")
	dim := down.Shape().Dim(0)
	up = Reshape(up, up.Shape().Dim(0), -1)
	down = Reshape(down, dim, -1)
	product := func() *Node {
		if c.has["lora_mid.weight"] == nil {
			return MatMul(up, down)
		}
		right := Einsum("mnkl,nq->mqkl", c.own("lora_mid.weight"), down)
		return DotGeneral(up, []int{1}, nil, right, []int{0}, nil)
	}()
	return Reshape(MulScalar(product, c.scale(dim)), c.base.Shape().Dimensions...)
}
