package chart

import (
	"image"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Line draws each series as a line; a run of one point is a dot. Series whose X and Y differ in length, and charts with
// nothing to draw, are faults of kind Invalid.
func Line(l Look, series ...Series) (image.Image, error) {
	p := l.plot()
	p.Add(grid())
	drawn := 0
	for i, s := range series {
		n, err := l.add(p, s, colour(i, len(series)), 1.5)
		if err != nil {
			return nil, err
		}
		drawn += n
	}
	if drawn == 0 {
		return nil, l.empty()
	}
	widen(&p.X, l.LogX)
	widen(&p.Y, l.LogY)
	return l.render(p)
}

// Loss draws a training loss per step: the raw values thin and pale, and over them the running mean the eye is meant to follow.
// smooth in (0, 1) is the weight the mean keeps per step; 0 is 0.98, about the last 50 steps. The mean is corrected for its start,
// so that it begins at the first value. A series that is Measured, as a validation is, has no mean: its values are what the eye is to follow.
func Loss(l Look, smooth float64, runs ...Series) (image.Image, error) {
	if smooth == 0 {
		smooth = 0.98
	}
	if !(smooth > 0 && smooth < 1) {
		return nil, fault.New(fault.Invalid, "draw chart", l.Title, "smoothing weight %g", smooth).Fix("use a value between 0 and 1, such as 0.98")
	}
	if l.X == "" {
		l.X = "step"
	}
	if l.Y == "" {
		l.Y = "loss"
	}
	p := l.plot()
	p.Add(grid())
	drawn := 0
	for i, r := range runs {
		if r.Measured {
			continue
		}
		n, err := l.add(p, Series{X: r.X, Y: r.Y}, pale(colour(i, len(runs))), 0.7)
		if err != nil {
			return nil, err
		}
		drawn += n
	}
	for i, r := range runs {
		if !r.Measured {
			r.Y = Smooth(r.Y, smooth)
		}
		n, err := l.add(p, r, colour(i, len(runs)), 1.8)
		if err != nil {
			return nil, err
		}
		drawn += n
	}
	if drawn == 0 {
		return nil, l.empty()
	}
	widen(&p.X, l.LogX)
	widen(&p.Y, l.LogY)
	return l.render(p)
}

// Smooth returns the exponential running mean of y with weight in (0, 1) kept per step, each value divided by the weight gathered so
// far (Kingma and Ba's bias correction). NaN stays NaN at its place and does not enter the mean.
func Smooth(y []float64, weight float64) []float64 {
	out := make([]float64, len(y))
	var mean, mass float64
	for i, v := range y {
		if !finite(v) {
			out[i] = math.NaN()
			continue
		}
		mean = weight*mean + (1-weight)*v
		mass = weight*mass + 1 - weight
		out[i] = mean / mass
	}
	return out
}

// Spectrum draws singular values, largest first, against their index from 1 on a logarithmic axis; zeros end a line.
func Spectrum(l Look, series ...Series) (image.Image, error) {
	l.LogY = true
	if l.X == "" {
		l.X = "index"
	}
	if l.Y == "" {
		l.Y = "singular value"
	}
	counted := make([]Series, len(series))
	for i, s := range series {
		if s.X == nil {
			s.X = make([]float64, len(s.Y))
			for j := range s.X {
				s.X[j] = float64(j + 1)
			}
		}
		counted[i] = s
	}
	return Line(l, counted...)
}

// add puts s into p as one line per gapless run and returns how many points were drawn.
func (l Look) add(p *figure, s Series, c color.Color, width float64) (int, error) {
	if s.X != nil && len(s.X) != len(s.Y) {
		return 0, fault.New(fault.Invalid, "draw chart", l.Title, "series %q has %d x and %d y values", s.Name, len(s.X), len(s.Y)).
			Fix("give as many of one as of the other, or leave X nil")
	}
	drawn, stroke := 0, false
	var run plotter.XYs
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		if len(run) == 1 {
			dot, err := plotter.NewScatter(run)
			if err != nil {
				return fault.New(fault.Other, "draw chart", l.Title, "%w", err)
			}
			dot.GlyphStyle = draw.GlyphStyle{Color: c, Radius: 2.5, Shape: draw.CircleGlyph{}}
			p.Add(dot)
		} else {
			for _, piece := range pieces(thinned(run)) {
				line, err := plotter.NewLine(piece)
				if err != nil {
					return fault.New(fault.Other, "draw chart", l.Title, "%w", err)
				}
				line.Color, line.Width = c, vg.Points(width)
				p.Add(line)
			}
			stroke = true
		}
		drawn += len(run)
		run = nil
		return nil
	}
	for i, y := range s.Y {
		x := float64(i)
		if s.X != nil {
			x = s.X[i]
		}
		if !finite(x) || !finite(y) || (l.LogX && x < 1e-100) || (l.LogY && y < 1e-100) {
			if err := flush(); err != nil {
				return 0, err
			}
			continue
		}
		run = append(run, plotter.XY{X: x, Y: y})
	}
	if err := flush(); err != nil {
		return 0, err
	}
	if drawn > 0 && s.Name != "" {
		p.keys = append(p.keys, key{s.Name, c, !stroke})
	}
	return drawn, nil
}

// maxLine is how many points of a line are drawn as they are.
const maxLine = 10_000

// thinned is the line through the extremes of groups of neighbours, far smaller than a pixel, if it has very many points.
func thinned(points plotter.XYs) plotter.XYs {
	if len(points) <= maxLine {
		return points
	}
	var out plotter.XYs
	for group := range slices.Chunk(points, len(points)*6/maxLine+1) {
		keep := []int{0, len(group) - 1, 0, 0, 0, 0}
		for i, p := range group {
			for k, less := range []bool{p.X < group[keep[2]].X, p.X > group[keep[3]].X, p.Y < group[keep[4]].Y, p.Y > group[keep[5]].Y} {
				if less {
					keep[2+k] = i
				}
			}
		}
		slices.Sort(keep)
		for _, i := range slices.Compact(keep) {
			out = append(out, group[i])
		}
	}
	return out
}

// onePiece is how many points of a line are stroked at once: the time for a stroke grows with the square of them.
const onePiece = 100

// pieces divides a line of two points or more. Neighbouring pieces share a stretch, so that no corner is missing.
func pieces(points plotter.XYs) (out []plotter.XYs) {
	for len(points) > onePiece {
		out = append(out, points[:onePiece])
		points = points[onePiece-2:]
	}
	return append(out, points)
}

func (l Look) empty() error {
	return fault.New(fault.Invalid, "draw chart", l.Title, "no finite point to draw").Fix("give at least one number (above 0 on a logarithmic axis)")
}

// finite reports whether v can be drawn: past 1e100 the plot's own arithmetic overflows.
func finite(v float64) bool { return math.Abs(v) <= 1e100 }

// widen gives an axis whose data is one value a range, and keeps the highest line off the frame.
func widen(a *plot.Axis, log bool) {
	if log {
		if a.Max/a.Min < 1.05 {
			a.Min, a.Max = a.Min/2, a.Max*2
		}
		return
	}
	if a.Max-a.Min <= 1e-12*math.Max(math.Abs(a.Max), math.Abs(a.Min)) {
		pad := math.Max(math.Abs(a.Max)*0.1, 1e-9)
		a.Min, a.Max = a.Min-pad, a.Max+pad
	}
}
