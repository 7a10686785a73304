package chart

import (
	"image"
	"math"
	"slices"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Bars draws one group of bars per label, one bar of each group per series (their X is not used). NaN draws no bar.
// A series with another number of values than there are labels is a fault of kind Invalid.
func Bars(l Look, labels []string, series ...Series) (image.Image, error) {
	w, _, err := l.size()
	if err != nil {
		return nil, err
	}
	if len(labels) == 0 || len(series) == 0 {
		return nil, l.empty()
	}
	if err := l.linear("bars have no foot"); err != nil {
		return nil, err
	}
	p := l.plot()
	g := grid()
	g.Vertical.Width = 0
	p.Add(g)
	room := pixels(max(w-90, w/4)) / vg.Length(len(labels))
	each := room * 0.8 / vg.Length(len(series))
	for i, s := range series {
		if len(s.Y) != len(labels) {
			return nil, fault.New(fault.Invalid, "draw chart", l.Title, "series %q has %d values for %d labels", s.Name, len(s.Y), len(labels)).
				Fix("give one value for each label, NaN where there is none")
		}
		values := make(plotter.Values, len(s.Y))
		for j, v := range s.Y {
			if finite(v) {
				values[j] = v
			}
		}
		b, err := plotter.NewBarChart(values, each)
		if err != nil {
			return nil, fault.New(fault.Other, "draw chart", l.Title, "%w", err)
		}
		b.Color, b.LineStyle.Width = colour(i, len(series)), 0
		b.Offset = (vg.Length(i) - vg.Length(len(series)-1)/2) * each
		p.Add(b)
		if s.Name != "" {
			p.keys = append(p.keys, key{s.Name, b.Color, true})
		}
	}
	p.NominalX(labels...)
	p.X.Tick.Marker = plot.ConstantTicks(thinLabels(labels, len(labels), w/12, false))
	if style := &p.X.Tick.Label; crowded(labels, style.Font.Size, room) {
		style.Rotation, style.XAlign, style.YAlign = math.Pi/4, text.XRight, text.YTop
	}
	p.X.Padding, p.Y.Padding = 4, 0
	p.X.Min, p.X.Max = -0.5, float64(len(labels))-0.5
	widen(&p.Y, false)
	p.Y.Max += 0.05 * (p.Y.Max - p.Y.Min)
	return l.render(p)
}

// linear is a fault if the look has a logarithmic axis, where something about the chart is so.
func (l Look) linear(so string) error {
	if l.LogX || l.LogY {
		return fault.New(fault.Invalid, "draw chart", l.Title, "on a logarithmic axis %s", so).Fix("use Line, or a linear axis")
	}
	return nil
}

// crowded reports whether labels of that font size are too wide to stand side by side; letters are half as wide as they are high.
func crowded(labels []string, size, room vg.Length) bool {
	return slices.ContainsFunc(labels, func(l string) bool { return vg.Length(utf8.RuneCountInString(l))*size/2 > room })
}
