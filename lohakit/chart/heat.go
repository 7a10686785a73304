package chart

import (
	"image"
	"image/color"
	stddraw "image/draw"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/lohakit/notebook/lohakit/fault"
)

// missing is the colour of a cell without a number.
var missing = color.Gray{0x78}

// shades is how many colours a heat map tells apart.
const shades = 256

// Heat draws z[row][column], row 0 at the top, with a colour bar. Labels are thinned where they would overlap; nil leaves them out.
// Values of one sign are coloured from dark to light, values of both signs from blue over white to red with white at 0. NaN is dark grey.
// Rows of different lengths, or labels that do not match them, are a fault of kind Invalid.
func Heat(l Look, rows, cols []string, z [][]float64) (image.Image, error) {
	if len(z) == 0 || len(z[0]) == 0 {
		return nil, l.empty()
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for i, row := range z {
		if len(row) != len(z[0]) {
			return nil, fault.New(fault.Invalid, "draw chart", l.Title, "row %d has %d columns, row 0 has %d", i, len(row), len(z[0])).
				Fix("fill short rows with NaN")
		}
		for _, v := range row {
			if finite(v) {
				lo, hi = math.Min(lo, v), math.Max(hi, v)
			}
		}
	}
	if (rows != nil && len(rows) != len(z)) || (cols != nil && len(cols) != len(z[0])) {
		return nil, fault.New(fault.Invalid, "draw chart", l.Title, "%d row and %d column labels for %d × %d values", len(rows), len(cols), len(z), len(z[0])).
			Fix("give one label each, or nil")
	}
	if lo > hi {
		return nil, l.empty()
	}
	both := lo < 0 && hi > 0
	if both {
		hi = math.Max(-lo, hi)
		lo = -hi
	} else if lo == hi {
		hi = lo + math.Max(1e-9, math.Abs(lo)*1e-3)
	}
	shade := sequential
	if both {
		shade = diverging
	}
	pal := shade(shades)
	img, c, err := l.canvas()
	if err != nil {
		return nil, err
	}
	l.LogX, l.LogY = false, false // the axes count rows and columns
	p := l.plot()
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -0.5, float64(len(z[0]))-0.5, -0.5, float64(len(z))-0.5
	w, h, _ := l.size()
	p.X.Tick.Marker = plot.ConstantTicks(thinLabels(cols, len(z[0]), w/60, false))
	p.Y.Tick.Marker = plot.ConstantTicks(thinLabels(rows, len(z), h/14, true))
	p.X.Tick.Length, p.Y.Tick.Length = 0, 0
	data := p.draw(draw.Crop(c, 6, -64, 6, -6))
	fillCells(img.Image(), data.Rectangle, z, pal, lo, hi)
	colourBar(c, data, pal, lo, hi, p.X.Tick.Label)
	return img.Image(), nil
}

// colourBar draws the scale to the right of the data area, as high as it.
func colourBar(c, data draw.Canvas, colours []color.Color, lo, hi float64, text draw.TextStyle) {
	x0, x1 := data.Max.X+10, data.Max.X+22
	step := (data.Max.Y - data.Min.Y) / vg.Length(len(colours))
	for i, col := range colours {
		// each band reaches under the next one, so that no seam shows between them
		y0 := data.Min.Y + vg.Length(i)*step
		y1 := min(y0+2*step, data.Max.Y)
		c.FillPolygon(col, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
	}
	text.XAlign, text.YAlign = draw.XLeft, draw.YCenter
	for i := 0; i <= 4; i++ {
		v := lo + (hi-lo)*float64(i)/4
		y := data.Min.Y + (data.Max.Y-data.Min.Y)*vg.Length(i)/4
		c.FillText(text, vg.Point{X: x1 + 4, Y: y}, shortNumber(roundTo(v, hi-lo)))
	}
}

// roundTo rounds v to four digits of the range it is shown in.
func roundTo(v, span float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(span))-3)
	return math.Round(v/unit) * unit
}

// thinLabels places at most room of the n names, evenly thinned; reversed counts from the top.
func thinLabels(names []string, n, room int, reversed bool) []plot.Tick {
	if names == nil {
		return nil
	}
	every := (n + max(room, 1) - 1) / max(room, 1)
	var out []plot.Tick
	for i := 0; i < n; i += every {
		at := float64(i)
		if reversed {
			at = float64(n - 1 - i)
		}
		out = append(out, plot.Tick{Value: at, Label: names[i]})
	}
	return out
}

// fillCells sets every pixel of area (in points from the bottom left) to its cell's colour. The plotting library's own heat map either
// blurs cells into each other or leaves seams between them.
func fillCells(img stddraw.Image, area vg.Rectangle, z [][]float64, colours []color.Color, lo, hi float64) {
	px := func(v vg.Length) int { return int(math.Round(float64(v / vg.Inch * dpi))) }
	x0, x1 := px(area.Min.X), px(area.Max.X)
	y0, y1 := img.Bounds().Max.Y-px(area.Max.Y), img.Bounds().Max.Y-px(area.Min.Y)
	for y := y0; y < y1; y++ {
		row := z[(y-y0)*len(z)/(y1-y0)]
		for x := x0; x < x1; x++ {
			v := row[(x-x0)*len(row)/(x1-x0)]
			c := color.Color(missing)
			if finite(v) {
				c = colours[min(int((v-lo)/(hi-lo)*shades), shades-1)]
			}
			img.Set(x, y, c)
		}
	}
}
