package sd

import (
	"fmt"

	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/lohakit/xla"
)

// Moments is the encoder: for images x [B, 3, H, W] in −1 … 1, H and W multiples of Factor, the mean and the logarithm of the
// variance (held within −30 … 20) of the latents before scaling, both [B, Latent, H/Factor, W/Factor]. The patch autoencoder's
// variance is the smallest.
func Moments(c VAEConfig, w Weights, x *Node) (mean, logvar *Node) {
	if c.Patch != 0 {
		mean = c.patchEncode(w, x)
		return mean, AddScalar(ZerosLike(mean), minLogvar)
	}
	x = conv(w, "encoder.conv_in", xla.ChannelsLast(x), 1, 1)
	for level := range c.Channels {
		name := fmt.Sprintf("encoder.down_blocks.%d.", level)
		for i := range c.Layers {
			x = c.resnet(w, fmt.Sprintf("%sresnets.%d.", name, i), x)
		}
		if level < len(c.Channels)-1 {
			// Padded below and to the right only, as the original was trained.
			x = conv(w, name+"downsamplers.0.conv", x, 2, 0, 1, 0, 1)
		}
	}
	x = c.middle(w, "encoder.mid_block.", x)
	x = xla.SiLU(c.groupNorm(w, "encoder.conv_norm_out", x))
	x = conv(w, "encoder.conv_out", x, 1, 1)
	x = xla.ChannelsFirst(conv(w, "quant_conv", x, 1, 0))
	mean = Slice(x, AxisRange(), AxisRange(0, c.Latent))
	logvar = Slice(x, AxisRange(), AxisRange(c.Latent, 2*c.Latent))
	return mean, ClipScalar(logvar, minLogvar, maxLogvar)
}

const minLogvar, maxLogvar = -30, 20

// Encode returns the latents of images x [B, 3, H, W] in −1 … 1, scaled as the UNet takes them: [B, Latent, H/Factor, W/Factor]. noise,
// standard normal of the latents' shape, makes it a random draw, as in training; nil gives the mean.
func Encode(c VAEConfig, w Weights, x, noise *Node) *Node {
	z, logvar := Moments(c, w, x)
	if noise != nil {
		z = Add(z, Mul(Exp(MulScalar(logvar, 0.5)), noise))
	}
	return MulScalar(z, c.Scale)
}

// Decode returns the images [B, 3, Factor·h, Factor·w] of scaled latents z [B, Latent, h, w], about −1 … 1 and not clipped.
func Decode(c VAEConfig, w Weights, z *Node) *Node {
	x := MulScalar(z, 1/c.Scale)
	if c.Patch != 0 {
		return c.patchDecode(w, x)
	}
	x = conv(w, "post_quant_conv", xla.ChannelsLast(x), 1, 0)
	x = conv(w, "decoder.conv_in", x, 1, 1)
	x = c.middle(w, "decoder.mid_block.", x)
	for level := range c.Channels {
		name := fmt.Sprintf("decoder.up_blocks.%d.", level)
		for i := range c.Layers + 1 {
			x = c.resnet(w, fmt.Sprintf("%sresnets.%d.", name, i), x)
		}
		if level < len(c.Channels)-1 {
			x = conv(w, name+"upsamplers.0.conv", xla.Upsample2x(x), 1, 1)
		}
	}
	x = xla.SiLU(c.groupNorm(w, "decoder.conv_norm_out", x))
	return xla.ChannelsFirst(conv(w, "decoder.conv_out", x, 1, 1))
}

// middle is resnet, attention with one head over all positions, resnet.
func (c VAEConfig) middle(w Weights, name string, x *Node) *Node {
	x = c.resnet(w, name+"resnets.0.", x)
	x = c.attention(w, name+"attentions.0.", x)
	return c.resnet(w, name+"resnets.1.", x)
}

func (c VAEConfig) attention(w Weights, name string, x *Node) *Node {
	d := x.Shape().Dimensions
	h := Reshape(c.groupNorm(w, name+"group_norm", x), d[0], d[1]*d[2], d[3])
	h = xla.Attention(linear(w, name+"to_q", h), linear(w, name+"to_k", h), linear(w, name+"to_v", h), 1, nil)
	h = linear(w, name+"to_out.0", h)
	return Add(x, Reshape(h, d...))
}

// resnet is GN-SiLU-conv twice, added to x, which a 1×1 convolution brings to the new number of channels where it changes.
func (c VAEConfig) resnet(w Weights, name string, x *Node) *Node {
	h := xla.SiLU(c.groupNorm(w, name+"norm1", x))
	h = conv(w, name+"conv1", h, 1, 1)
	h = xla.SiLU(c.groupNorm(w, name+"norm2", h))
	h = conv(w, name+"conv2", h, 1, 1)
	if x.Shape().Dim(3) != h.Shape().Dim(3) {
		x = conv(w, name+"conv_shortcut", x, 1, 0)
	}
	return Add(x, h)
}

// vaeEps is the autoencoder's group norm epsilon.
const vaeEps = 1e-6

func (c VAEConfig) groupNorm(w Weights, name string, x *Node) *Node {
	return xla.GroupNorm(x, groups(c.Groups, x.Shape().Dim(3)), w.Get(name+".weight"), w.Get(name+".bias"), vaeEps)
}
