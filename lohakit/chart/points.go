package chart

import (
	"image"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Points draws a dot at each x, y with its label beside it, where it is least in the way. Points that are not finite are left out, and the
// labels of more than 500.
func Points(l Look, labels []string, x, y []float64) (image.Image, error) {
	return l.points(labels, x, y, false)
}

// Curve is Points joined by a line in their order.
func Curve(l Look, labels []string, x, y []float64) (image.Image, error) {
	return l.points(labels, x, y, true)
}

func (l Look) points(labels []string, x, y []float64, joined bool) (image.Image, error) {
	if len(labels) != len(x) || len(x) != len(y) {
		return nil, fault.New(fault.Invalid, "draw chart", l.Title, "%d labels for %d x and %d y values", len(labels), len(x), len(y)).Fix("give one of each")
	}
	p := l.plot()
	p.Add(grid())
	var dots plotter.XYs
	var names []string
	for i := range x {
		if finite(x[i]) && finite(y[i]) && (!l.LogX || x[i] >= 1e-100) && (!l.LogY || y[i] >= 1e-100) {
			dots, names = append(dots, plotter.XY{X: x[i], Y: y[i]}), append(names, labels[i])
		}
	}
	if len(dots) == 0 {
		return nil, l.empty()
	}
	if joined {
		line, err := plotter.NewLine(dots)
		if err != nil {
			return nil, fault.New(fault.Other, "draw chart", l.Title, "%w", err)
		}
		line.Color, line.Width = pale(colours[0]), vg.Points(1.5)
		p.Add(line)
	}
	scatter, err := plotter.NewScatter(dots)
	if err != nil {
		return nil, fault.New(fault.Other, "draw chart", l.Title, "%w", err)
	}
	scatter.GlyphStyle = draw.GlyphStyle{Color: colours[0], Radius: 3.5, Shape: draw.CircleGlyph{}}
	p.Add(scatter)
	pad(&p.X, l.LogX)
	pad(&p.Y, l.LogY)
	if len(dots) <= maxBeside {
		p.Add(beside{dots, names, p.X.Tick.Label, joined})
	}
	return l.render(p)
}

// maxBeside is how many labels can be told apart, and placed in a moment, at the most.
const maxBeside = 500

// pad keeps dots and their labels off the frame.
func pad(a *plot.Axis, log bool) {
	widen(a, log)
	if log {
		by := math.Pow(a.Max/a.Min, 0.08)
		a.Min, a.Max = a.Min/by, a.Max*by
		return
	}
	by := 0.08 * (a.Max - a.Min)
	a.Min, a.Max = a.Min-by, a.Max+by
}

// beside writes a label at each dot: to its right, left, above or below, where it covers least of what is drawn already.
type beside struct {
	dots  plotter.XYs
	names []string
	text  draw.TextStyle

	joined bool // a line runs through the dots
}

// Plot implements plot.Plotter.
func (b beside) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	var taken []vg.Rectangle
	for _, d := range b.dots {
		x, y := toX(d.X), toY(d.Y)
		taken = append(taken, vg.Rectangle{Min: vg.Point{X: x - 4, Y: y - 4}, Max: vg.Point{X: x + 4, Y: y + 4}})
	}
	for i := 1; b.joined && i < len(b.dots); i++ {
		x0, y0, x1, y1 := toX(b.dots[i-1].X), toY(b.dots[i-1].Y), toX(b.dots[i].X), toY(b.dots[i].Y)
		const parts = 32
		for k := vg.Length(0); k < parts; k++ {
			at := vg.Point{X: x0 + (x1-x0)*k/parts, Y: y0 + (y1-y0)*k/parts}
			taken = append(taken, vg.Rectangle{Min: vg.Point{X: at.X - 2, Y: at.Y - 2}, Max: vg.Point{X: at.X + 2, Y: at.Y + 2}})
		}
	}
	for i, d := range b.dots {
		x, y, w, h := toX(d.X), toY(d.Y), b.text.Width(b.names[i]), b.text.Height(b.names[i])
		var best vg.Rectangle
		least := vg.Length(math.Inf(1))
		places := []vg.Point{{X: x + 6, Y: y - h/2}, {X: x - 6 - w, Y: y - h/2}, {X: x - w/2, Y: y + 6}, {X: x - w/2, Y: y - 6 - h},
			{X: x + 5, Y: y + 5}, {X: x + 5, Y: y - 5 - h}, {X: x - 5 - w, Y: y + 5}, {X: x - 5 - w, Y: y - 5 - h}}
		for k := vg.Length(1); k <= 4; k++ { // further off, where dots lie on one another
			places = append(places, vg.Point{X: x + 6, Y: y - h/2 + k*h}, vg.Point{X: x + 6, Y: y - h/2 - k*h}, vg.Point{X: x - 6 - w, Y: y - h/2 + k*h},
				vg.Point{X: x - 6 - w, Y: y - h/2 - k*h})
		}
		for _, at := range places {
			r := vg.Rectangle{Min: at, Max: vg.Point{X: at.X + w, Y: at.Y + h}}
			cost := 2 * (w*h - common(r, c.Rectangle)) // outside the frame
			for _, t := range taken {
				if cost += common(r, t); cost >= least {
					break
				}
			}
			if cost < least {
				best, least = r, cost
			}
		}
		taken = append(taken, best)
		style := b.text
		style.XAlign, style.YAlign = draw.XLeft, draw.YBottom
		c.FillText(style, best.Min, b.names[i])
	}
}

// common is the area that two rectangles share.
func common(a, b vg.Rectangle) vg.Length {
	w, h := min(a.Max.X, b.Max.X)-max(a.Min.X, b.Min.X), min(a.Max.Y, b.Max.Y)-max(a.Min.Y, b.Min.Y)
	return max(w, 0) * max(h, 0)
}
