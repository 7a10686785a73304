package sd

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	"github.com/gomlx/gomlx/pkg/core/shapes"

	"github.com/lohakit/notebook/lohakit/xla"
)

// UNet predicts the noise (or v) in the latents x [B, c.In, H, W] at the timesteps t [B], 0 to 999, given the text encoder's states
// context [B, T, c.CrossDim]; the result is [B, c.Out, H, W]. H and W may be any size from 2^(levels−1) up. All arithmetic is in
// x's dtype, to which context and the weights must have been converted.
func UNet(c UNetConfig, w Weights, x, t, context *Node) *Node {
	return unet{c: c, w: w, context: context}.predict(x, t)
}

// UNetRecomputing is UNet for training in less memory: of every block only the input is kept for the backward pass, which computes the rest
// again. The result is the same, gradients differ by rounding.
func UNetRecomputing(c UNetConfig, w Weights, x, t, context *Node) *Node {
	return unet{c: c, w: w, context: context, recompute: true}.predict(x, t)
}

// predict evaluates the network.
func (u unet) predict(x, t *Node) *Node {
	c, w := u.c, u.w
	u.temb = u.timeEmbedding(t, x.DType())

	h := conv(w, "conv_in", xla.ChannelsLast(x), 1, 1)
	skips := []*Node{h}
	for level := range c.Channels {
		block := fmt.Sprintf("down_blocks.%d.", level)
		for i := range c.Layers {
			h = u.resnet(fmt.Sprintf("%sresnets.%d.", block, i), h)
			if c.Attention[level] {
				h = u.transformer(fmt.Sprintf("%sattentions.%d.", block, i), h)
			}
			skips = append(skips, h)
		}
		if level < len(c.Channels)-1 {
			h = conv(w, block+"downsamplers.0.conv", h, 2, 1)
			skips = append(skips, h)
		}
	}

	h = u.resnet("mid_block.resnets.0.", h)
	h = u.transformer("mid_block.attentions.0.", h)
	h = u.resnet("mid_block.resnets.1.", h)

	for level := len(c.Channels) - 1; level >= 0; level-- {
		block := fmt.Sprintf("up_blocks.%d.", len(c.Channels)-1-level)
		for i := range c.Layers + 1 {
			skip := skips[len(skips)-1]
			skips = skips[:len(skips)-1]
			h = u.resnet(fmt.Sprintf("%sresnets.%d.", block, i), Concatenate([]*Node{h, skip}, -1))
			if c.Attention[level] {
				h = u.transformer(fmt.Sprintf("%sattentions.%d.", block, i), h)
			}
		}
		if level > 0 {
			next := skips[len(skips)-1].Shape().Dimensions // the size before it was halved, which may have been odd
			h = Slice(xla.Upsample2x(h), AxisRange(), AxisRangeFromStart(next[1]), AxisRangeFromStart(next[2]))
			h = conv(w, block+"upsamplers.0.conv", h, 1, 1)
		}
	}
	h = xla.SiLU(u.groupNorm("conv_norm_out", h, 1e-5))
	return xla.ChannelsFirst(conv(w, "conv_out", h, 1, 1))
}

// unet holds what every block of one evaluation needs.
type unet struct {
	c       UNetConfig
	w       Weights
	context *Node
	temb    *Node // [B, 4·Channels[0]], after the activation that every resnet applies to it

	recompute bool // see UNetRecomputing
}

// block applies one block to x.
func (u unet) block(x *Node, apply func(u unet, x *Node) *Node) *Node {
	if !u.recompute {
		return apply(u, x)
	}
	return xla.Recompute([]*Node{x, u.temb, u.context}, func(in []*Node) (*Node, []*Node) {
		var weights []*Node
		w := Weights{Beside: u.w.Beside, Get: func(name string) *Node {
			node := u.w.Get(name)
			weights = append(weights, node)
			return node
		}}
		if u.w.Made != nil {
			w.Made = func(name string) (from []*Node, make func(from []*Node) *Node) {
				nodes, make := u.w.Made(name)
				weights = append(weights, nodes...)
				for _, node := range nodes {
					from = append(from, xla.After(node, in[0])) // or the backward pass would take, and so keep, what this one makes
				}
				return from, make
			}
		}
		return apply(unet{c: u.c, temb: in[1], context: in[2], w: w}, in[0]), weights
	})
}

// timeEmbedding is the two-layer network over [cos | sin] of t at frequencies from 1 down to 1/10000.
func (u unet) timeEmbedding(t *Node, dtype dtypes.DType) *Node {
	half := u.c.Channels[0] / 2
	exponent := MulScalar(Iota(t.Graph(), shapes.Make(dtypes.Float32, 1, half), 1), -math.Log(10000)/float64(half))
	angle := Mul(InsertAxes(ConvertDType(t, dtypes.Float32), -1), Exp(exponent))
	h := ConvertDType(Concatenate([]*Node{Cos(angle), Sin(angle)}, -1), dtype)
	h = xla.SiLU(linear(u.w, "time_embedding.linear_1", h))
	return xla.SiLU(linear(u.w, "time_embedding.linear_2", h))
}

// resnet is norm-SiLU-conv twice, the time embedding added per channel between, around a shortcut.
func (u unet) resnet(name string, x *Node) *Node {
	return u.block(x, func(u unet, x *Node) *Node { return u.applyResnet(name, x) })
}

func (u unet) applyResnet(name string, x *Node) *Node {
	w := u.w.under(name)
	h := conv(w, "conv1", xla.SiLU(u.groupNorm(name+"norm1", x, 1e-5)), 1, 1)
	h = Add(h, InsertAxes(linear(w, "time_emb_proj", u.temb), 1, 1))
	h = conv(w, "conv2", xla.SiLU(u.groupNorm(name+"norm2", h, 1e-5)), 1, 1)
	if x.Shape().Dim(3) != h.Shape().Dim(3) {
		x = conv(w, "conv_shortcut", x, 1, 0)
	}
	return Add(x, h)
}

// transformer is self-attention, attention to the text and a gated feed-forward layer over the pixels of x, around a shortcut.
func (u unet) transformer(name string, x *Node) *Node {
	return u.block(x, func(u unet, x *Node) *Node { return u.applyTransformer(name, x) })
}

func (u unet) applyTransformer(name string, x *Node) *Node {
	w := u.w.under(name)
	d := x.Shape().Dimensions
	h := conv(w, "proj_in", u.groupNorm(name+"norm", x, 1e-6), 1, 0)
	h = Reshape(h, d[0], d[1]*d[2], d[3])

	block := w.under("transformer_blocks.0.")
	h = Add(h, u.attention(block.under("attn1."), layerNorm(block, "norm1", h), nil))
	h = Add(h, u.attention(block.under("attn2."), layerNorm(block, "norm2", h), u.context))
	h = Add(h, feedForward(block.under("ff."), layerNorm(block, "norm3", h)))

	return Add(conv(w, "proj_out", Reshape(h, d...), 1, 0), x)
}

// attention attends from h to other, or to itself if that is nil.
func (u unet) attention(w Weights, h, other *Node) *Node {
	if other == nil {
		other = h
	}
	q := w.layer("to_q", h, product)
	k := w.layer("to_k", other, product)
	v := w.layer("to_v", other, product)
	return linear(w, "to_out.0", xla.Attention(q, k, v, u.c.Heads, nil))
}

// feedForward is GEGLU: half of a linear layer's output gates the other half.
func feedForward(w Weights, h *Node) *Node {
	h = linear(w, "net.0.proj", h)
	halves := Split(h, -1, 2)
	return linear(w, "net.2", Mul(halves[0], xla.GELU(halves[1])))
}

func (u unet) groupNorm(name string, x *Node, eps float64) *Node {
	return xla.GroupNorm(x, groups(u.c.Groups, x.Shape().Dim(3)), u.w.Get(name+".weight"), u.w.Get(name+".bias"), eps)
}
