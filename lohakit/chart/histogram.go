package chart

import (
	"image"

	"gonum.org/v1/plot/plotter"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Histogram draws counts of equal bins from lo to hi as a filled outline.
func Histogram(l Look, lo, hi float64, counts []int) (image.Image, error) {
	if len(counts) == 0 || !finite(lo) || !finite(hi) || hi < lo {
		return nil, l.empty()
	}
	if err := l.linear("bins have no foot"); err != nil {
		return nil, err
	}
	if hi == lo {
		lo, hi = lo-0.5, hi+0.5
	}
	p := l.plot()
	p.Add(grid())
	h := plotter.Histogram{FillColor: pale(colours[0]), Width: (hi - lo) / float64(len(counts))}
	h.Color, h.LineStyle.Width = colours[0], 0.8
	for i, n := range counts {
		if n < 0 {
			return nil, fault.New(fault.Invalid, "draw chart", l.Title, "bin %d holds %d", i, n).Fix("count from 0")
		}
		h.Bins = append(h.Bins, plotter.HistogramBin{Min: lo + float64(i)*h.Width, Max: lo + float64(i+1)*h.Width, Weight: float64(n)})
	}
	p.Add(&h)
	p.Y.Min = 0
	widen(&p.Y, false)
	return l.render(p)
}
