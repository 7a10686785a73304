package sd

import (
	"fmt"
	"slices"

	"github.com/lohakit/notebook/lohakit/fault"
)

// UNetConfig is the size of a UNet of the Stable Diffusion 1.x topology. Everything but Heads and Groups can be read from the shapes
// of its weights: see UNetConfigOf.
type UNetConfig struct {
	In        int    // latent channels in; 4 in SD 1.x
	Out       int    // latent channels out; 4
	Channels  []int  // channels of each level, from full resolution down; 320, 640, 1280, 1280
	Layers    int    // residual blocks of each level on the way down, one more on the way up; 2
	Attention []bool // whether a level has transformers; true, true, true, false
	CrossDim  int    // width of the text encoder's states; 768
	Heads     int    // attention heads, the same number at every level; 8
	Groups    int    // groups of every group normalisation; 0 means gcd(32, channels), which is SD 1.x's 32
}

// SD1 is the UNet of Stable Diffusion 1.x: 859,520,964 parameters.
func SD1() UNetConfig {
	return UNetConfig{In: 4, Out: 4, Channels: []int{320, 640, 1280, 1280}, Layers: 2,
		Attention: []bool{true, true, true, false}, CrossDim: 768, Heads: 8}
}

// Levels is the number of resolutions; the latents are halved Levels−1 times.
func (c UNetConfig) Levels() int { return len(c.Channels) }

// Check returns a fault that names the first field whose value makes no UNet.
func (c UNetConfig) Check() error {
	bad := func(field, format string, args ...any) error {
		return fault.New(fault.Invalid, "size UNet", field, format, args...)
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"In", c.In}, {"Out", c.Out}, {"Layers", c.Layers}, {"CrossDim", c.CrossDim}, {"Heads", c.Heads}} {
		if f.value < 1 {
			return bad(f.name, "%d is not positive", f.value)
		}
	}
	if len(c.Channels) == 0 || len(c.Channels) != len(c.Attention) {
		return bad("Channels", "%d levels, but Attention has %d", len(c.Channels), len(c.Attention))
	}
	if c.Groups < 0 {
		return bad("Groups", "%d is negative", c.Groups)
	}
	for level, n := range c.Channels {
		attends := c.Attention[level] || level == len(c.Channels)-1
		switch {
		case n < 1 || n%2 != 0:
			return bad("Channels", "%d at level %d is not a positive even number", n, level)
		case attends && n%c.Heads != 0:
			return bad("Heads", "%d heads do not divide the %d channels of level %d", c.Heads, n, level)
		case c.Groups > 0 && n%c.Groups != 0:
			return bad("Groups", "%d groups do not divide the %d channels of level %d", c.Groups, n, level)
		}
	}
	return nil
}

// UNetConfigOf reads the sizes from the names and shapes of the weights p, as diffusers names them, and checks that each tensor of
// such a UNet is there with its shape. heads and groups cannot be read from shapes: see UNetConfig. A missing tensor is a
// fault of kind NotExist that names it, a wrong shape one of kind Unsupported.
func UNetConfigOf(p *Params, heads, groups int) (UNetConfig, error) {
	c := UNetConfig{Heads: heads, Groups: groups}
	in, out := p.Shape("conv_in.weight"), p.Shape("conv_out.weight")
	if len(in) != 4 || len(out) != 4 {
		return c, fault.New(fault.NotExist, "read UNet", "conv_in.weight, conv_out.weight", "not there, or not convolutions")
	}
	c.In, c.Out = in[1], out[0]
	for p.Has(fmt.Sprintf("down_blocks.0.resnets.%d.conv1.weight", c.Layers)) {
		c.Layers++
	}
	cross := p.Shape("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight")
	if len(cross) != 2 {
		return c, fault.New(fault.NotExist, "read UNet", "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", "no such matrix")
	}
	c.CrossDim = cross[1]
	for {
		block := fmt.Sprintf("down_blocks.%d.", len(c.Channels))
		shape := p.Shape(block + "resnets.0.conv1.weight")
		if len(shape) != 4 {
			break
		}
		c.Channels = append(c.Channels, shape[0])
		c.Attention = append(c.Attention, p.Has(block+"attentions.0.proj_in.weight"))
	}
	if err := c.Check(); err != nil {
		return c, err
	}
	for _, s := range c.Shapes() {
		if got := p.Shape(s.Name); got == nil {
			return c, fault.New(fault.NotExist, "read UNet", s.Name, "the file has no such tensor")
		} else if !slices.Equal(got, s.Dims) {
			return c, fault.New(fault.Unsupported, "read UNet", s.Name, "its shape is %v, in Stable Diffusion 1.x it is %v", got, s.Dims)
		}
	}
	return c, nil
}
