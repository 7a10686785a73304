package sd

import (
	"fmt"
	"slices"

	"github.com/lohakit/notebook/lohakit/fault"
)

// LatentScale makes the latents of SD 1.x's autoencoder have standard deviation 1 on its training images.
const LatentScale = 0.18215

// VAEConfig is the size of an autoencoder. Everything but Groups and Scale can be read from the shapes of its weights.
type VAEConfig struct {
	Channels []int   // channels of each level, from full resolution down; 128, 256, 512, 512. Empty for the patch autoencoder
	Layers   int     // residual blocks of each level of the encoder, one more in the decoder; 2
	Latent   int     // channels of the latents; 4
	Groups   int     // groups of every group normalisation; 0 means gcd(32, channels), which is SD 1.x's 32
	Scale    float64 // the UNet's latents are the encoder's output times Scale; LatentScale

	// Patch, when not 0, makes this the linear autoencoder of the miniature models: each square of Patch×Patch pixels becomes one
	// latent pixel by one matrix, and comes back by another.
	Patch int
}

// SD1VAE is the autoencoder of Stable Diffusion 1.x: 83,653,863 parameters.
func SD1VAE() VAEConfig {
	return VAEConfig{Channels: []int{128, 256, 512, 512}, Layers: 2, Latent: 4, Scale: LatentScale}
}

// Factor is how many pixels a latent pixel spans in either direction; 8 in SD 1.x.
func (c VAEConfig) Factor() int {
	if c.Patch != 0 {
		return c.Patch
	}
	return 1 << (len(c.Channels) - 1)
}

// Check returns a fault that names the first field whose value makes no autoencoder.
func (c VAEConfig) Check() error {
	bad := func(field, format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "size autoencoder", field, format, args...)
	}
	switch {
	case c.Latent < 1:
		return bad("Latent", "%d is not positive", c.Latent)
	case !(c.Scale > 0 && c.Scale < 1e6):
		return bad("Scale", "%v is not between 0 and a million", c.Scale).Fix("use %v, SD 1.x's", LatentScale)
	case c.Patch < 0 || c.Patch > 64:
		return bad("Patch", "%d is outside 0 … 64", c.Patch)
	case c.Patch > 0 && len(c.Channels) > 0:
		return bad("Patch", "%d, but there are %d convolutional levels too", c.Patch, len(c.Channels)).Fix("leave Channels or Patch empty")
	case c.Patch > 0 && c.Latent > 3*c.Patch*c.Patch:
		return bad("Latent", "%d channels for the %d values of a patch", c.Latent, 3*c.Patch*c.Patch)
	case c.Patch > 0:
		return nil
	case len(c.Channels) == 0 || len(c.Channels) > 8:
		return bad("Channels", "%d levels instead of 1 to 8", len(c.Channels))
	case c.Layers < 1:
		return bad("Layers", "%d is not positive", c.Layers)
	case c.Groups < 0:
		return bad("Groups", "%d is negative", c.Groups)
	}
	for level, n := range c.Channels {
		if n < 1 || n%groups(c.Groups, n) != 0 {
			return bad("Channels", "%d at level %d is not a positive multiple of the %d groups", n, level, c.Groups)
		}
	}
	return nil
}

// Shapes lists every tensor of an autoencoder of size c, in the order of evaluation.
func (c VAEConfig) Shapes() []Shape {
	var s layers
	if c.Patch != 0 {
		s.conv("patch", 3, c.Latent, c.Patch)
		s.add("unpatch.weight", c.Latent, 3, c.Patch, c.Patch)
		s.add("unpatch.bias", 3)
		return s
	}
	top, last := c.Channels[0], len(c.Channels)-1
	ch := top
	s.conv("encoder.conv_in", 3, ch, 3)
	for level, out := range c.Channels {
		block := fmt.Sprintf("encoder.down_blocks.%d.", level)
		for i := range c.Layers {
			s.vaeResnet(fmt.Sprintf("%sresnets.%d.", block, i), ch, out)
			ch = out
		}
		if level < last {
			s.conv(block+"downsamplers.0.conv", ch, ch, 3)
		}
	}
	s.vaeMiddle("encoder.mid_block.", ch)
	s.norm("encoder.conv_norm_out", ch)
	s.conv("encoder.conv_out", ch, 2*c.Latent, 3)
	s.conv("quant_conv", 2*c.Latent, 2*c.Latent, 1)

	s.conv("post_quant_conv", c.Latent, c.Latent, 1)
	s.conv("decoder.conv_in", c.Latent, ch, 3)
	s.vaeMiddle("decoder.mid_block.", ch)
	for level := range c.Channels {
		block := fmt.Sprintf("decoder.up_blocks.%d.", level)
		out := c.Channels[last-level]
		for i := range c.Layers + 1 {
			s.vaeResnet(fmt.Sprintf("%sresnets.%d.", block, i), ch, out)
			ch = out
		}
		if level < last {
			s.conv(block+"upsamplers.0.conv", ch, ch, 3)
		}
	}
	s.norm("decoder.conv_norm_out", ch)
	s.conv("decoder.conv_out", top, 3, 3)
	return s
}

func (s *layers) vaeResnet(name string, in, out int) {
	s.norm(name+"norm1", in)
	s.conv(name+"conv1", in, out, 3)
	s.norm(name+"norm2", out)
	s.conv(name+"conv2", out, out, 3)
	if in != out {
		s.conv(name+"conv_shortcut", in, out, 1)
	}
}

func (s *layers) vaeMiddle(name string, n int) {
	s.vaeResnet(name+"resnets.0.", n, n)
	s.norm(name+"attentions.0.group_norm", n)
	for _, projection := range []string{"to_q", "to_k", "to_v", "to_out.0"} {
		s.linear(name+"attentions.0."+projection, n, n, true)
	}
	s.vaeResnet(name+"resnets.1.", n, n)
}

// VAEConfigOf reads the sizes from the names and shapes of the weights p, as diffusers names them, and checks that each tensor of such
// an autoencoder is there with its shape. groups and scale cannot be read from shapes: see VAEConfig. A missing tensor is a fault of
// kind NotExist that names it, a wrong shape one of kind Unsupported.
func VAEConfigOf(p *Params, groups int, scale float64) (VAEConfig, error) {
	c := VAEConfig{Groups: groups, Scale: scale}
	if patch := p.Shape("patch.weight"); len(patch) == 4 {
		c.Latent, c.Patch = patch[0], patch[3]
	} else {
		last := p.Shape("post_quant_conv.weight")
		if len(last) != 4 {
			return c, fault.New(fault.NotExist, "read autoencoder", "post_quant_conv.weight", "no such convolution")
		}
		c.Latent = last[0]
		for {
			conv1 := p.Shape(fmt.Sprintf("encoder.down_blocks.%d.resnets.0.conv1.weight", len(c.Channels)))
			if len(conv1) != 4 {
				break
			}
			c.Channels = append(c.Channels, conv1[0])
		}
		for p.Has(fmt.Sprintf("encoder.down_blocks.0.resnets.%d.conv1.weight", c.Layers)) {
			c.Layers++
		}
		c.Channels = slices.Clip(c.Channels)
	}
	if err := c.Check(); err != nil {
		return c, err
	}
	return c, checkShapes("read autoencoder", p, c.Shapes())
}
