package chart

import (
	"image"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Points draws a dot at each x, y with its label beside it. Points that are not finite are left out.
func Points(l Look, labels []string, x, y []float64) (image.Image, error) {
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
	scatter, err := plotter.NewScatter(dots)
	if err != nil {
		return nil, fault.New(fault.Other, "draw chart", l.Title, "%w", err)
	}
	scatter.GlyphStyle = draw.GlyphStyle{Color: colours[0], Radius: 3, Shape: draw.CircleGlyph{}}
	text, err := plotter.NewLabels(plotter.XYLabels{XYs: dots, Labels: names})
	if err != nil {
		return nil, fault.New(fault.Other, "draw chart", l.Title, "%w", err)
	}
	text.Offset = vg.Point{X: 5, Y: -3}
	for i := range text.TextStyle {
		text.TextStyle[i].Font, text.TextStyle[i].Color = p.X.Tick.Label.Font, ink
	}
	p.Add(scatter, text)
	widen(&p.X, l.LogX)
	widen(&p.Y, l.LogY)
	return l.render(p)
}
