package chart

import (
	"image/color"

	"gonum.org/v1/plot/plotter"
)

// grid is the pale rules behind the data.
func grid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical.Color, g.Horizontal.Color = rule, rule
	g.Vertical.Width, g.Horizontal.Width = 0.6, 0.6
	return g
}

// pale mixes c with three parts white.
func pale(c color.Color) color.Color {
	r, g, b, _ := c.RGBA()
	mix := func(v uint32) uint8 { return uint8((v>>8 + 2*255) / 3) }
	return color.RGBA{mix(r), mix(g), mix(b), 0xff}
}

// colours are Okabe and Ito's, which readers with any colour vision tell apart, strongest first, and two more for as many kinds.
var colours = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff},
	color.RGBA{0x33, 0x33, 0x33, 0xff}, color.RGBA{0xb8, 0xa9, 0x00, 0xff},
	color.RGBA{0x7f, 0x3c, 0x8d, 0xff}, color.RGBA{0x8c, 0x51, 0x0a, 0xff},
}

// colour is that of the i-th of n series: few are told apart, many are shades in their order.
func colour(i, n int) color.Color {
	if n <= len(colours) {
		return colours[i]
	}
	return sequential(n + n/8)[i] // without the palest
}

// viridis in nine steps (van der Walt and Smith 2015): even to the eye, in grey as well, and for any colour vision.
var viridis = []color.RGBA{{0x44, 0x01, 0x54, 0xff}, {0x47, 0x2d, 0x7b, 0xff}, {0x3b, 0x52, 0x8b, 0xff}, {0x2c, 0x72, 0x8e, 0xff}, {0x21, 0x91, 0x8c, 0xff},
	{0x28, 0xae, 0x80, 0xff}, {0x5e, 0xc9, 0x62, 0xff}, {0xad, 0xdc, 0x30, 0xff}, {0xfd, 0xe7, 0x25, 0xff}}

// redBlue is ColorBrewer's RdBu, from blue.
var redBlue = []color.RGBA{{0x05, 0x30, 0x61, 0xff}, {0x21, 0x66, 0xac, 0xff}, {0x43, 0x93, 0xc3, 0xff}, {0x92, 0xc5, 0xde, 0xff}, {0xf7, 0xf7, 0xf7, 0xff},
	{0xf4, 0xa5, 0x82, 0xff}, {0xd6, 0x60, 0x4d, 0xff}, {0xb2, 0x18, 0x2b, 0xff}, {0x67, 0x00, 0x1f, 0xff}}

// sequential is n colours from dark to light.
func sequential(n int) []color.Color { return between(viridis, n) }

// diverging is n colours from blue over white to red.
func diverging(n int) []color.Color { return between(redBlue, n) }

// between is n colours along the steps.
func between(steps []color.RGBA, n int) []color.Color {
	out := make([]color.Color, n)
	for i := range out {
		at := float64(i) / float64(max(n-1, 1)) * float64(len(steps)-1)
		k := min(int(at), len(steps)-2)
		a, b, part := steps[k], steps[k+1], at-float64(k)
		mix := func(x, y uint8) uint8 { return uint8(float64(x)*(1-part) + float64(y)*part + 0.5) }
		out[i] = color.RGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), 0xff}
	}
	return out
}
