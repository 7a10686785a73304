package dataset

import (
	"math"
	"math/rand/v2"
)

// recolor turns the hue by up to ±16 degrees, or bends gamma by 0.95…1.05, or mostly neither: either with probability 0.165, as kohya's
// trainer does.
func (p pixels) recolor(r *rand.Rand) {
	if r.Float64() >= 0.33 {
		return
	}
	if r.Float64() < 0.5 {
		p.turnHue((2*r.Float64() - 1) * 16)
	} else {
		p.bendGamma(0.95 + 0.1*r.Float64())
	}
}

// turnHue turns the hue by degrees, keeping saturation and value.
func (p pixels) turnHue(degrees float64) {
	for i := 0; i < len(p.data); i += 4 {
		rgb := p.data[i : i+3]
		least, most := float64(min(rgb[0], rgb[1], rgb[2])), float64(max(rgb[0], rgb[1], rgb[2]))
		chroma := most - least
		if chroma == 0 {
			continue
		}
		r, g, b := float64(rgb[0]), float64(rgb[1]), float64(rgb[2])
		var sector float64 // of the hue, each 60 degrees wide
		switch most {
		case r:
			sector = (g - b) / chroma
		case g:
			sector = (b-r)/chroma + 2
		default:
			sector = (r-g)/chroma + 4
		}
		for c, offset := range [3]float64{5, 3, 1} { // the channels' places on the circle
			at := math.Mod(sector+degrees/60+offset+12, 6)
			rgb[c] = uint8(most - chroma*max(0, min(at, 4-at, 1)) + 0.5)
		}
	}
}

// bendGamma raises the samples, 0…255, to a power. Below 1 that also darkens, by up to a quarter, which is how the trainer does it.
func (p pixels) bendGamma(gamma float64) {
	var table [256]uint8
	for i := range table {
		table[i] = uint8(min(math.Pow(float64(i), gamma), 255))
	}
	for i := range p.data {
		if i%4 != 3 {
			p.data[i] = table[p.data[i]]
		}
	}
}
