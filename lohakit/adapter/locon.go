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
	start := zeros
	if ls.UseScalar {
		start = kaiming(r)
	}
	up := PlannedTensor{Suffix: "lora_up.weight", Shape: append([]int{l.Shape[0], r}, ones...), draw: start}
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
	layers, dim := down.Shape().Dim(0), down.Shape().Dim(1)
	up = Reshape(up, layers, -1, dim)
	down = Reshape(down, layers, dim, -1)
	if c.has["lora_mid.weight"] != nil {
		down = Einsum("zmnkl,znq->zmqkl", c.own("lora_mid.weight"), down)
	}
	return MulScalar(product2(up, down), c.scale(dim))
}
