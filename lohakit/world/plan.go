package world

import "github.com/lohakit/notebook/lohakit/sd"

// Plan is what must be chosen before the first base model is trained; models/choices.md compares what could have been.
type Plan struct {
	Size     int     // pixels of a picture's side, a multiple of Patch
	Patch    int     // pixels of the side of a square that the autoencoder makes one place of the latents from
	Latents  int     // channels of the latents, at most 3·Patch²
	Channels []int   // of the UNet's four levels, each a multiple of 8
	Batch    int     // pictures in a step
	MinSNR   float64 // γ of the losses' weights min(SNR,γ)/(SNR+1) (Hang et al. 2023); 0: all timesteps count alike
	Average  float64 // share of the running average of the weights that one step keeps, below 1; 0: the last weights count
}

// Chosen is the plan of the shipped base models.
var Chosen = Plan{Size: Size, Patch: 4, Latents: 16, Channels: []int{32, 64, 96, 96}, Batch: 16, Average: 0.9995}

// Size is the side of the shipped base models' pictures, in pixels.
const Size = 64

// UNet returns the sizes of the plan's UNet: Stable Diffusion 1.x's, narrow.
func (p Plan) UNet() sd.UNetConfig {
	return sd.UNetConfig{In: p.Latents, Out: p.Latents, Channels: p.Channels, Layers: 2, Attention: []bool{true, true, true, false},
		CrossDim: 96, Heads: 4, Groups: 8}
}

// side is how many places the latents have in a row.
func (p Plan) side() int { return p.Size / p.Patch }
