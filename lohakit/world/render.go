package world

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"

	"git.sr.ht/~sbinet/gg"
)

// Render draws the scene as a square picture of size pixels, 8 … 4096 (a size outside is moved to the nearer end); 64 is what the miniature
// models work at. The same scene and size always give the same pixels; a larger size has the same figures and more detail in the background.
func (s Scene) Render(size int) *image.RGBA {
	size = min(max(size, 8), 4096)
	s.Figures = s.Figures[:min(len(s.Figures), 2)]
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	l := s.look()
	p := &pen{dc: gg.NewContextForRGBA(img), look: l, size: float64(size)}
	p.dc.SetLineCapRound()
	p.dc.SetLineJoinRound()
	s.drawBackground(p)
	if l.blur > 0 {
		blur(img, l.blur*p.size)
	}
	s.drawFigures(p)
	finish(img, l, s.rng(3))
	return img
}

// rng returns one of the scene's independent streams of randomness: one per purpose, so that a change in one leaves the others alone.
func (s Scene) rng(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(s.Seed, stream)) }

func (s Scene) look() look {
	if s.Style == "fanart" {
		return hands[s.rng(4).IntN(len(hands))]
	}
	if l, ok := styles[s.Style]; ok {
		return l
	}
	return styles["anime"]
}

// pen draws shapes given in a frame of their own: for a figure the centre of the head is the origin and the head's half-width 1; for the
// background the image is the unit square. y points down.
type pen struct {
	dc   *gg.Context
	look look
	size float64 // pixels

	x, y, scale float64 // the frame's origin and unit, in pixels
	sin, cos    float64 // its rotation
}

// frame sets the frame; x, y and scale are shares of the image's width, angle is in radians.
func (p *pen) frame(x, y, scale, angle float64) {
	p.x, p.y, p.scale = x*p.size, y*p.size, scale*p.size
	p.sin, p.cos = math.Sincos(angle)
}

func (p *pen) at(x, y float64) (float64, float64) {
	x, y = x*p.scale, y*p.scale
	return p.x + x*p.cos - y*p.sin, p.y + x*p.sin + y*p.cos
}

// poly begins a closed polygon through the points x0, y0, x1, y1 …
func (p *pen) poly(xy ...float64) *pen {
	for i := 0; i < len(xy); i += 2 {
		p.dc.LineTo(p.at(xy[i], xy[i+1]))
	}
	p.dc.ClosePath()
	return p
}

// smooth begins a closed curve through the points (a Catmull-Rom spline).
func (p *pen) smooth(xy ...float64) *pen {
	n := len(xy) / 2
	pt := func(i int) (float64, float64) { i = (i + n) % n; return p.at(xy[2*i], xy[2*i+1]) }
	p.dc.MoveTo(pt(0))
	for i := range n {
		x0, y0 := pt(i - 1)
		x1, y1 := pt(i)
		x2, y2 := pt(i + 1)
		x3, y3 := pt(i + 2)
		p.dc.CubicTo(x1+(x2-x0)/6, y1+(y2-y0)/6, x2-(x3-x1)/6, y2-(y3-y1)/6, x2, y2)
	}
	p.dc.ClosePath()
	return p
}

// arc begins an open curve through three points' control polygon.
func (p *pen) arc(x0, y0, x1, y1, x2, y2 float64) *pen {
	p.dc.MoveTo(p.at(x0, y0))
	cx, cy := p.at(x1, y1)
	ex, ey := p.at(x2, y2)
	p.dc.QuadraticTo(cx, cy, ex, ey)
	return p
}

// oval begins an ellipse, axes along the frame's.
func (p *pen) oval(x, y, rx, ry float64) *pen {
	const k = 0.5522847498 // cubic approximation of a quarter circle
	to := func(x1, y1, x2, y2, x3, y3 float64) {
		x1, y1 = p.at(x1, y1)
		x2, y2 = p.at(x2, y2)
		x3, y3 = p.at(x3, y3)
		p.dc.CubicTo(x1, y1, x2, y2, x3, y3)
	}
	p.dc.MoveTo(p.at(x+rx, y))
	to(x+rx, y+k*ry, x+k*rx, y+ry, x, y+ry)
	to(x-k*rx, y+ry, x-rx, y+k*ry, x-rx, y)
	to(x-rx, y-k*ry, x-k*rx, y-ry, x, y-ry)
	to(x+k*rx, y-ry, x+rx, y-k*ry, x+rx, y)
	p.dc.ClosePath()
	return p
}

// fill ends the shape: its inside only.
func (p *pen) fill(c color.RGBA) {
	p.dc.SetColor(c)
	p.dc.Fill()
}

// paint ends the shape: inside and outline, as the style has it.
func (p *pen) paint(c color.RGBA) {
	p.dc.SetColor(c)
	if p.look.line.A == 0 {
		p.dc.Fill()
		return
	}
	p.dc.FillPreserve()
	p.ink(mix(p.look.line, dark(c, 0.4), p.look.tinted), 1)
}

// stroke ends the shape: a line of the given width, in units of the frame.
func (p *pen) stroke(c color.RGBA, width float64) {
	p.dc.SetColor(c)
	p.dc.SetLineWidth(width * p.scale)
	p.dc.Stroke()
}

// ink strokes with the style's line width times k.
func (p *pen) ink(c color.RGBA, k float64) {
	p.dc.SetColor(c)
	p.dc.SetLineWidth(math.Max(p.look.lineWidth, 0.008) * k * p.size)
	p.dc.Stroke()
}

// shadow and glow are a colour in the style's shadow and highlight.
func (p *pen) shadow(c color.RGBA) color.RGBA { return dark(c, 0.35*p.look.shade) }
func (p *pen) glow(c color.RGBA) color.RGBA   { return light(c, 0.6*p.look.shade) }
func (p *pen) skinShadow() color.RGBA         { return mix(skin, rgb(206, 116, 120), 0.6*p.look.shade) }
