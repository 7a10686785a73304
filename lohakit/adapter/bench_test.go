package adapter

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// BenchmarkLoHaBackward is a gradient step through 16 linear layers of 2048² with LoHa of dim 8, with hadamard's own gradient and as
// GoMLX would differentiate the product. Peak memory is the process's, so run each alone: -bench 'Backward/ours', -bench
// 'Backward/plain'.
func BenchmarkLoHaBackward(b *testing.B) {
	const depth, width = 16, 2048
	var layers []Layer
	base := sd.NewParams()
	for i := range depth {
		path := fmt.Sprintf("mid_block.attentions.%d.attn1.to_q", i)
		layers = append(layers, Layer{Part: checkpoint.UNet, Path: path, Name: layerName(checkpoint.UNet, path), Shape: []int{width, width}})
		base.Set(path+".weight", tensors.FromFlatDataAndDimensions(make([]float32, width*width), width, width))
	}
	a, err := build(layers, Spec{Kind: LoHa, Dim: 8}, 1, nil)
	if err != nil {
		b.Fatal(err)
	}
	scramble(b, a)
	x := normalTensor(1, 64, width)
	for name, product := range map[string]func(w1, w2 lowRank) *Node{
		"ours":  func(w1, w2 lowRank) *Node { return hadamard(w1.product, w2.product) },
		"plain": func(w1, w2 lowRank) *Node { return Mul(w1.product(nil), w2.product(nil)) },
	} {
		b.Run(name, func(b *testing.B) {
			program := xla.Compile(name, func(in []*Node) []*Node {
				weights, own := base.Bind(in), a.Params.Bind(in[base.Len():])
				y := in[base.Len()+a.Params.Len()]
				for _, l := range layers {
					factor := func(a, b string) lowRank {
						return lowRank{a: InsertAxes(own.Get(l.Name+a), 0), b: InsertAxes(own.Get(l.Name+b), 0)}
					}
					delta := product(factor(".hada_w1_a", ".hada_w1_b"), factor(".hada_w2_a", ".hada_w2_b"))
					y = Tanh(xla.Linear(y, Add(weights.Get(l.Path+".weight"), Squeeze(delta, 0)), nil))
				}
				loss := ReduceAllMean(Square(y))
				return append([]*Node{loss}, Gradient(loss, in[base.Len():base.Len()+a.Params.Len()]...)...)
			})
			for b.Loop() {
				out, err := program.Run(base.Inputs(), a.Params.Inputs(), x)
				if err != nil {
					b.Fatal(err)
				}
				tensors.ToScalar[float32](out[0]) // waits for the device
			}
			status, err := os.ReadFile("/proc/self/status")
			if m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status); err == nil && m != nil {
				peak, _ := strconv.ParseFloat(string(m[1]), 64)
				b.ReportMetric(peak/1e6, "GB-peak")
			}
		})
	}
}
