package sd

import "fmt"

// Shape is the name of a tensor, as diffusers names it, and its dimensions.
type Shape struct {
	Name string
	Dims []int
}

// Shapes lists every tensor of a UNet of size c, in the order of evaluation.
func (c UNetConfig) Shapes() []Shape {
	var s layers
	first, temb := c.Channels[0], 4*c.Channels[0]
	s.conv("conv_in", c.In, first, 3)
	s.linear("time_embedding.linear_1", first, temb, true)
	s.linear("time_embedding.linear_2", temb, temb, true)

	ch := first
	skips := []int{ch}
	for level, out := range c.Channels {
		block := fmt.Sprintf("down_blocks.%d.", level)
		for i := range c.Layers {
			s.resnet(fmt.Sprintf("%sresnets.%d.", block, i), ch, out, temb)
			ch = out
			if c.Attention[level] {
				s.transformer(fmt.Sprintf("%sattentions.%d.", block, i), ch, c.CrossDim)
			}
			skips = append(skips, ch)
		}
		if level < len(c.Channels)-1 {
			s.conv(block+"downsamplers.0.conv", ch, ch, 3)
			skips = append(skips, ch)
		}
	}

	s.resnet("mid_block.resnets.0.", ch, ch, temb)
	s.transformer("mid_block.attentions.0.", ch, c.CrossDim)
	s.resnet("mid_block.resnets.1.", ch, ch, temb)

	for level := len(c.Channels) - 1; level >= 0; level-- {
		block := fmt.Sprintf("up_blocks.%d.", len(c.Channels)-1-level)
		out := c.Channels[level]
		for i := range c.Layers + 1 {
			s.resnet(fmt.Sprintf("%sresnets.%d.", block, i), ch+skips[len(skips)-1], out, temb)
			skips = skips[:len(skips)-1]
			ch = out
			if c.Attention[level] {
				s.transformer(fmt.Sprintf("%sattentions.%d.", block, i), ch, c.CrossDim)
			}
		}
		if level > 0 {
			s.conv(block+"upsamplers.0.conv", ch, ch, 3)
		}
	}
	s.norm("conv_norm_out", ch)
	s.conv("conv_out", ch, c.Out, 3)
	return s
}

// layers collects the tensors of layers.
type layers []Shape

func (s *layers) add(name string, dims ...int) { *s = append(*s, Shape{name, dims}) }

func (s *layers) conv(name string, in, out, kernel int) {
	s.add(name+".weight", out, in, kernel, kernel)
	s.add(name+".bias", out)
}

func (s *layers) linear(name string, in, out int, bias bool) {
	s.add(name+".weight", out, in)
	if bias {
		s.add(name+".bias", out)
	}
}

func (s *layers) norm(name string, n int) {
	s.add(name+".weight", n)
	s.add(name+".bias", n)
}

func (s *layers) resnet(name string, in, out, temb int) {
	s.norm(name+"norm1", in)
	s.conv(name+"conv1", in, out, 3)
	s.linear(name+"time_emb_proj", temb, out, true)
	s.norm(name+"norm2", out)
	s.conv(name+"conv2", out, out, 3)
	if in != out {
		s.conv(name+"conv_shortcut", in, out, 1)
	}
}

func (s *layers) transformer(name string, n, cross int) {
	s.norm(name+"norm", n)
	s.conv(name+"proj_in", n, n, 1)
	block := name + "transformer_blocks.0."
	for i, context := range []int{n, cross} {
		attn := fmt.Sprintf("%sattn%d.", block, i+1)
		s.norm(fmt.Sprintf("%snorm%d", block, i+1), n)
		s.linear(attn+"to_q", n, n, false)
		s.linear(attn+"to_k", context, n, false)
		s.linear(attn+"to_v", context, n, false)
		s.linear(attn+"to_out.0", n, n, true)
	}
	s.norm(block+"norm3", n)
	s.linear(block+"ff.net.0.proj", n, 8*n, true)
	s.linear(block+"ff.net.2", 4*n, n, true)
	s.conv(name+"proj_out", n, n, 1)
}
