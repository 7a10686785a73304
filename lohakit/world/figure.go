package world

import (
	"image/color"
	"math"
)

// drawFigures draws the figures and what they hold over the background.
func (s Scene) drawFigures(p *pen) {
	rng := s.rng(2)
	unit, top := 0.235, 0.40
	switch s.Framing {
	case "portrait":
		unit, top = 0.29, 0.43
	case "cowboy shot":
		unit, top = 0.185, 0.33
	}
	if len(s.Figures) == 2 {
		unit *= 0.78
		top += 0.06
	}
	for i, f := range s.Figures {
		x := 0.5
		if len(s.Figures) == 2 {
			x = 0.275 + 0.45*float64(i)
		}
		x += 0.03 * (2*rng.Float64() - 1)
		y := top + 0.015*(2*rng.Float64()-1)
		tilt := 0.03 * (2*rng.Float64() - 1)
		if f.Gesture == "head tilt" {
			tilt = math.Copysign(0.2, tilt)
		}
		g := figure{pen: p, Figure: f, x: x, y: y, unit: unit * (1 + 0.04*(2*rng.Float64()-1)), tilt: tilt}
		if i == 0 && len(s.Objects) > 0 {
			g.object = s.Objects[0]
		}
		g.draw()
	}
}

// figure draws one character. Body and head have frames of their own; the head turns by tilt.
type figure struct {
	*pen
	Figure
	object     Object
	x, y, unit float64
	tilt       float64
}

func (g *figure) head() { g.frame(g.x, g.y, g.unit*g.look.head, g.tilt) }
func (g *figure) body() { g.frame(g.x, g.y, g.unit, 0) }

func (g *figure) draw() {
	hair := hairColors[g.Hair]
	if g.object.Kind == "umbrella" {
		g.body()
		g.umbrella(clothColors[g.object.Color])
	}
	g.head()
	g.backHair(hair)
	g.body()
	g.torso(clothColors[g.Outfit.Color])
	g.head()
	g.face()
	g.frontHair(hair)
	g.ornament()
	g.body()
	g.raisedArms()
	g.held()
}

func (g *figure) backHair(c color.RGBA) {
	back := g.shadow(c)
	switch g.HairStyle {
	case "long hair":
		g.smooth(0, -1.15, 0.95, -0.75, 1.22, 0.1, 1.3, 1.2, 1.25, 2.3, 0, 2.45, -1.25, 2.3, -1.3, 1.2, -1.22, 0.1, -0.95, -0.75).paint(back)
	case "twintails":
		for _, k := range []float64{-1, 1} {
			g.smooth(k*0.8, -0.5, k*1.4, -0.45, k*1.85, 0.3, k*1.8, 1.2, k*1.4, 1.75, k*1.3, 1.0, k*1.15, 0.3).paint(c)
		}
		g.smooth(0, -1.1, 0.9, -0.75, 1.05, 0.1, 0.8, 0.75, -0.8, 0.75, -1.05, 0.1, -0.9, -0.75).paint(back)
	case "side ponytail":
		g.smooth(0.7, -0.7, 1.35, -0.75, 1.9, 0, 1.95, 1.0, 1.6, 1.9, 1.45, 1.1, 1.2, 0.3).paint(c)
		g.smooth(0, -1.1, 0.9, -0.75, 1.05, 0.1, 0.8, 0.75, -0.8, 0.75, -1.05, 0.1, -0.9, -0.75).paint(back)
	case "bob cut":
		g.smooth(0, -1.15, 0.95, -0.8, 1.2, 0, 1.28, 0.6, 1.24, 1.02, 0.6, 1.06, -0.6, 1.06, -1.24, 1.02, -1.28, 0.6, -1.2, 0, -0.95, -0.8).paint(back)
	default: // braid and short hair
		g.smooth(0, -1.12, 0.92, -0.78, 1.1, 0, 1.05, 0.5, 0.6, 0.7, -0.6, 0.7, -1.05, 0.5, -1.1, 0, -0.92, -0.78).paint(back)
	}
}

func (g *figure) face() {
	g.poly(-0.2, 0.7, 0.2, 0.7, 0.24, 1.3, 0, 1.5, -0.24, 1.3).paint(g.skinShadow())
	g.smooth(0, -0.85, 0.7, -0.55, 0.9, 0.1, 0.72, 0.62, 0.28, 0.95, 0, 1.02, -0.28, 0.95, -0.72, 0.62, -0.9, 0.1, -0.7, -0.55).paint(skin)
	if g.look.shade > 0 { // the fringe's shadow on the forehead
		g.smooth(-0.86, -0.2, -0.6, 0.02, -0.3, -0.18, -0.1, 0.04, 0.16, -0.2, 0.42, 0.04, 0.64, -0.16, 0.86, -0.1, 0.7, -0.6, -0.7, -0.6).fill(
			g.skinShadow())
	}
	for _, k := range []float64{-1, 1} {
		g.eye(k*0.41, 0.27, k)
		g.oval(k*0.58, 0.63, 0.15, 0.08).fill(rgb(255, 184, 176))
	}
	g.mouth()
}

func (g *figure) eye(x, y, side float64) {
	c := eyeColors[g.Eyes]
	w, h := 0.21*g.look.eye, 0.29*g.look.eye
	lash := dark(c, 0.75)
	if g.Expression == "closed eyes" {
		g.arc(x-w*1.1, y, x, y+h*1.1, x+w*1.1, y).stroke(lash, 0.1)
		return
	}
	g.oval(x, y, w*1.12, h*1.08).fill(white)
	g.oval(x, y, w, h).fill(c)
	if g.look.rings {
		g.oval(x, y, w*0.62, h*0.62).fill(light(c, 0.6))
		g.oval(x, y, w*0.3, h*0.3).fill(dark(c, 0.7))
	} else {
		g.oval(x, y-h*0.1, w*0.5, h*0.5).fill(dark(c, 0.7))
	}
	g.oval(x, y+h*0.62, w*0.5, h*0.22).fill(light(c, 0.45))
	g.arc(x-w*1.15, y-h*0.6, x, y-h*1.45, x+w*1.15, y-h*0.6).stroke(lash, 0.09)
	g.oval(x-w*0.3, y-h*0.4, w*0.34, h*0.28).fill(white)
	if g.Expression == "frown" {
		g.arc(x+side*w*1.2, y-h*1.35, x, y-h*1.6, x-side*w, y-h*1.9).stroke(lash, 0.07)
	}
}

func (g *figure) mouth() {
	red := rgb(190, 60, 70)
	switch g.Expression {
	case "open mouth":
		g.smooth(-0.2, 0.64, 0, 0.66, 0.2, 0.64, 0.13, 0.85, 0, 0.9, -0.13, 0.85).fill(red)
	case "frown":
		g.arc(-0.17, 0.82, 0, 0.62, 0.17, 0.82).stroke(red, 0.08)
	default:
		g.arc(-0.18, 0.68, 0, 0.88, 0.18, 0.68).stroke(red, 0.08)
	}
}

func (g *figure) frontHair(c color.RGBA) {
	switch g.HairStyle {
	case "bob cut": // a straight fringe and straight sides
		g.poly(-1.12, 0.75, -1.14, 0, -0.98, -0.62, -0.5, -1.02, 0, -1.14, 0.5, -1.02, 0.98, -0.62, 1.14, 0, 1.12, 0.75, 0.78, 0.75, 0.8, -0.1,
			-0.8, -0.1, -0.78, 0.75).paint(c)
	case "short hair": // a ragged fringe, ends that stand off
		g.poly(-1.25, 0.3, -1.06, 0.0, -1.28, -0.3, -0.95, -0.55, -0.9, -0.95, -0.5, -0.98, -0.2, -1.3, 0.1, -1.06, 0.5, -1.22, 0.66, -0.9, 1.0, -0.8,
			0.96, -0.5, 1.3, -0.25, 1.06, 0.05, 1.22, 0.35, 0.86, 0.3, 0.75, -0.2, 0.5, 0.02, 0.3, -0.3, 0.0, 0.0, -0.2, -0.3, -0.5, 0.02, -0.75, -0.2,
			-0.86, 0.3).paint(c)
	default:
		g.smooth(-1.0, 0.45, -1.06, -0.1, -0.85, -0.75, -0.4, -1.08, 0.1, -1.14, 0.6, -1.0, 0.95, -0.6, 1.06, -0.1, 1.0, 0.45, 0.84, 0.1,
			0.6, -0.3, 0.42, -0.1, 0.2, -0.42, -0.1, -0.1, -0.35, -0.38, -0.62, -0.12, -0.84, 0.1).paint(c)
	}
	if g.HairStyle == "long hair" { // strands before the shoulders
		for _, k := range []float64{-1, 1} {
			g.smooth(k*0.9, -0.2, k*1.1, 0.2, k*1.15, 1.2, k*0.95, 2.0, k*0.8, 1.1, k*0.84, 0.4).paint(c)
		}
	}
	if g.HairStyle == "braid" {
		for i := range 5 {
			g.oval(1.02-0.02*float64(i*i)/2, 0.55+0.36*float64(i), 0.26-0.015*float64(i), 0.24).paint(c)
		}
		g.oval(0.86, 2.3, 0.14, 0.12).fill(rgb(220, 60, 70))
	}
	if g.look.shade > 0 {
		g.arc(-0.72, -0.5, -0.1, -0.98, 0.6, -0.62).stroke(g.glow(c), 0.12)
	}
}

func (g *figure) ornament() {
	switch g.Accessory {
	case "hair bow":
		x, y := 0.62, -0.95
		g.poly(x, y, x-0.5, y-0.35, x-0.5, y+0.3).paint(rgb(224, 40, 52))
		g.poly(x, y, x+0.5, y-0.35, x+0.5, y+0.3).paint(rgb(224, 40, 52))
		g.oval(x, y, 0.14, 0.14).paint(rgb(190, 24, 40))
	case "hair flower":
		x, y := -0.75, -0.62
		for i := range 5 {
			sin, cos := math.Sincos(float64(i) * 2 * math.Pi / 5)
			g.oval(x+0.2*cos, y+0.2*sin, 0.16, 0.16).paint(rgb(255, 250, 250))
		}
		g.oval(x, y, 0.12, 0.12).fill(rgb(250, 180, 30))
	case "glasses":
		for _, k := range []float64{-1, 1} {
			g.oval(k*0.42, 0.27, 0.35, 0.35).stroke(rgb(30, 24, 34), 0.085)
		}
		g.arc(-0.09, 0.25, 0, 0.19, 0.09, 0.25).stroke(rgb(30, 24, 34), 0.085)
	case "ahoge":
		c := hairColors[g.Hair]
		g.smooth(-0.05, -1.02, 0.1, -1.4, 0.5, -1.55, 0.72, -1.3, 0.45, -1.34, 0.25, -1.25, 0.14, -1.02).paint(c)
	case "hairband":
		g.arc(-1.02, -0.3, 0, -1.42, 1.02, -0.3).stroke(rgb(70, 96, 230), 0.17)
	case "star hair ornament":
		xy := make([]float64, 0, 20)
		for i := range 10 {
			r := 0.32 - 0.17*float64(i%2)
			sin, cos := math.Sincos(float64(i)*math.Pi/5 - math.Pi/2)
			xy = append(xy, 0.68+r*cos, -0.55+r*sin)
		}
		g.poly(xy...).paint(rgb(255, 214, 40))
	}
}
