package sd

import (
	"fmt"
	"slices"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/xla"
)

// EncodeText returns the text encoder's states [len(prompts), 75·n+2, Width] of prompts laid out by Chunk, all with the same number n of
// chunks. See TextEncoder for clipSkip and Context for the join.
func (m *Model) EncodeText(prompts [][]int32, clipSkip int) (*tensors.Tensor, error) {
	if len(prompts) == 0 {
		return nil, fault.New(fault.Invalid, "encode text", "prompts", "there are none")
	}
	flat := make([]int32, 0, len(prompts)*len(prompts[0]))
	for _, ids := range prompts {
		if len(ids) != len(prompts[0]) || len(ids)%Window != 0 || len(ids) == 0 {
			return nil, fault.New(fault.Invalid, "encode text", "prompts", "lengths %d and %d are not the same number of chunks of %d",
				len(prompts[0]), len(ids), Window).Fix("lay every prompt out by Chunk with the same length")
		}
		for _, id := range ids {
			if id < 0 || id >= vocabulary {
				return nil, fault.New(fault.Invalid, "encode text", "prompts", "%d is not a token", id)
			}
		}
		flat = append(flat, ids...)
	}
	ids := tensors.FromFlatDataAndDimensions(flat, len(prompts), len(prompts[0]))
	return m.run(fmt.Sprintf("text encoder, clip skip %d", clipSkip), m.Text, func(w Weights, in []*Node) *Node {
		return Context(m.Config.Text, w, in[0], clipSkip)
	}, ids)
}

// Encode returns the latents of images [B, 3, H, W] in −1 … 1, as the UNet takes them. H and W must be multiples of the autoencoder's
// Factor. noise [B, Latent, H/Factor, W/Factor], standard normal, makes them a random draw; nil gives the mean.
func (m *Model) Encode(images, noise *tensors.Tensor) (*tensors.Tensor, error) {
	d, factor := images.Shape().Dimensions, m.Config.VAE.Factor()
	if len(d) != 4 || d[1] != 3 || d[2]%factor != 0 || d[3]%factor != 0 {
		return nil, fault.New(fault.Invalid, "encode images", "", "shape %v is not [batch, 3, height, width] with sides in steps of %d", d, factor)
	}
	if noise == nil {
		return m.run("encode to mean", m.VAE, func(w Weights, in []*Node) *Node {
			return Encode(m.Config.VAE, w, in[0], nil)
		}, images)
	}
	return m.run("encode to draw", m.VAE, func(w Weights, in []*Node) *Node {
		return Encode(m.Config.VAE, w, in[0], in[1])
	}, images, noise)
}

// Decode returns the images [B, 3, Factor·h, Factor·w] of latents [B, Latent, h, w], about −1 … 1 and not clipped. The memory it takes
// grows with h·w squared; see DecodeTiled.
func (m *Model) Decode(latents *tensors.Tensor) (*tensors.Tensor, error) {
	if d := latents.Shape().Dimensions; len(d) != 4 || d[1] != m.Config.VAE.Latent {
		return nil, fault.New(fault.Invalid, "decode latents", "", "shape %v is not [batch, %d, height, width]", d, m.Config.VAE.Latent)
	}
	return m.run("decode", m.VAE, func(w Weights, in []*Node) *Node { return Decode(m.Config.VAE, w, in[0]) }, latents)
}

// run calls the graph over the weights p and the inputs, compiling it when name or a shape is new, or the weights have other names.
func (m *Model) run(name string, p *Params, graph func(w Weights, in []*Node) *Node, in ...any) (*tensors.Tensor, error) {
	names := p.Names()
	m.mu.Lock()
	known, ok := m.programs[name]
	if !ok || !slices.Equal(known.names, names) {
		if m.programs == nil {
			m.programs = map[string]program{}
		}
		known = program{names, xla.Compile(name, func(nodes []*Node) []*Node {
			return []*Node{graph(Bind(names, nodes), nodes[len(names):])}
		})}
		m.programs[name] = known
	}
	m.mu.Unlock()
	out, err := known.Run(p.Inputs(), in)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// program is compiled for weights of those names, in that order.
type program struct {
	names []string
	*xla.Program
}
