package world

import (
	"image/color"
	"math"
)

// umbrella is opened behind the head; held draws its pole.
func (g *figure) umbrella(c color.RGBA) {
	g.smooth(-2.3, -0.1, -2.0, -1.0, -1.2, -1.6, -0.3, -1.75, 0.6, -1.6, 1.4, -0.9, 1.65, -0.05, 0.9, -0.2, 0.3, 0.1, -0.4, -0.1, -1.0, 0.15,
		-1.6, -0.1).paint(c)
	for _, x := range []float64{-1.3, 0.5} {
		g.arc(-0.4, -1.7, x, -1.2, x, -0.1).ink(dark(c, 0.4), 0.7)
	}
}

// held draws the object before the figure, moved up as far as it takes to keep it in the image.
func (g *figure) held() {
	c := clothColors[g.object.Color]
	low := func(depth float64) { g.frame(g.x, math.Min(g.y, 1-depth*g.unit), g.unit, 0) }
	switch g.object.Kind {
	case "umbrella":
		low(2.6)
		g.arc(-1.15, -0.1, -1.2, 1.5, -1.25, 3.2).stroke(rgb(90, 70, 60), 0.13)
		g.smooth(-0.7, 1.4, -1.0, 1.5, -1.3, 2.0, -1.4, 2.4, -1.0, 2.5, -0.8, 2.2).paint(g.sleeve())
		g.oval(-1.22, 2.2, 0.24, 0.22).paint(skin)
	case "balloon":
		g.frame(math.Max(g.x, 2.2*g.unit), math.Max(g.y, 1.6*g.unit), g.unit, 0)
		g.arc(-1.6, -0.2, -1.5, 1.0, -1.1, 2.6).ink(rgb(90, 80, 90), 0.7)
		g.smooth(-1.6, -1.5, -1.1, -1.2, -1.1, -0.6, -1.6, -0.05, -2.1, -0.6, -2.1, -1.2).paint(c)
		g.oval(-1.8, -1.05, 0.14, 0.2).fill(light(c, 0.6))
	case "book":
		low(2.9)
		g.smooth(-0.75, 1.4, -1.1, 1.6, -1.3, 2.4, -1.1, 2.9, -0.6, 2.9, -0.8, 2.2).paint(g.sleeve())
		g.poly(-1.4, 1.6, -0.3, 1.75, -0.3, 2.9, -1.4, 2.75).paint(c)
		g.poly(-1.18, 1.9, -0.52, 2.0, -0.52, 2.25, -1.18, 2.15).fill(light(c, 0.75))
		g.oval(-0.4, 2.55, 0.22, 0.2).paint(skin)
	case "cat":
		low(2.55)
		g.poly(-1.75, 2.0, -1.72, 1.35, -1.3, 1.7).paint(c)
		g.poly(-0.55, 2.0, -0.58, 1.35, -1.0, 1.7).paint(c)
		g.smooth(-1.15, 1.6, -0.6, 1.8, -0.5, 2.2, -0.75, 2.55, -1.15, 2.65, -1.55, 2.55, -1.8, 2.2, -1.7, 1.8).paint(c)
		for _, x := range []float64{-1.4, -0.9} {
			g.oval(x, 2.08, 0.11, 0.14).fill(rgb(240, 190, 30))
			g.oval(x, 2.08, 0.045, 0.12).fill(ink)
		}
		g.oval(-1.15, 2.3, 0.08, 0.06).fill(rgb(240, 130, 140))
	}
}
