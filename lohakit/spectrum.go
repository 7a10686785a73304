package lohakit

import (
	"fmt"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/spectrum"
)

// Spectrum plots the singular values of ΔW, what the adapter as it is now adds to a weight, for the layers whose names match, such as
// "lora_unet_mid_block_*_attn2_to_v". A name that matches nothing is an error that lists the nearest ones.
func (r *Run) Spectrum(match string) (Picture, error) {
	spectra, err := spectrum.All(spectrum.OfAdapter(r.Adapter, r.base.Model, match))
	if err != nil {
		return Picture{}, err
	}
	img, err := spectrum.Plot(chart.Look{Title: fmt.Sprintf("ΔW after %d steps", r.Done()), Width: 640, Height: 360}, spectra...)
	return Picture{img, fmt.Sprintf("singular values of %d layers matching %s", len(spectra), match)}, err
}
