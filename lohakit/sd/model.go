// Package sd is Stable Diffusion 1.x as graphs over named weights: the CLIP tokenizer and text encoder, the UNet, the autoencoder and
// the noise schedule. Every size is read from the checkpoint, so that the miniature models and the one of 860 million
// parameters run the same code. The graph functions (UNet, TextEncoder, Encode, Decode) are for programs that train or sample;
// Model opens and saves files and runs the smaller networks directly.
package sd

import (
	"maps"
	"sync"
)

// Model is a Stable Diffusion 1.x model of any size: its configuration and the weights of its three networks, under their
// diffusers names, in float32. The weights may be replaced between calls; a Model must not be copied.
type Model struct {
	Config   Config
	UNet     *Params
	Text     *Params
	VAE      *Params
	Metadata map[string]string // of the file it came from; Save writes it again
	Path     string            // the file or folder it came from; "" for one that was made
	VAEPath  string            // that of its autoencoder, if it is another

	mu       sync.Mutex
	programs map[string]program
}

// New returns an untrained model of size c. The same configuration and seed give the same weights on every machine.
func New(c Config, seed uint64) (*Model, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	return &Model{Config: c, UNet: InitUNet(c.UNet, seed), Text: InitText(c.Text, seed), VAE: InitVAE(c.VAE, seed)}, nil
}

// Shared returns the model with the same weights in lists of their own: replacing one there leaves m as it is.
func (m *Model) Shared() *Model {
	return &Model{Config: m.Config, UNet: m.UNet.shared(), Text: m.Text.shared(), VAE: m.VAE.shared(), Metadata: maps.Clone(m.Metadata),
		Path: m.Path, VAEPath: m.VAEPath}
}
