package chart

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// key is one entry of a legend.
type key struct {
	name   string
	colour color.Color
	filled bool // a box instead of a stroke
}

// Measures of the legend.
const (
	keyMark = vg.Length(16) // length of the stroke before a name
	keyGap  = vg.Length(14) // between entries
	keyLine = vg.Length(13) // from row to row
)

// rows breaks the entries into rows of at most the width.
func (f *figure) rows(width vg.Length) [][]key {
	var out [][]key
	used := width
	for _, k := range f.keys {
		w := keyMark + 4 + f.Legend.TextStyle.Width(k.name) + keyGap
		if used+w > width+keyGap || out == nil {
			out, used = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], k)
		used += w
	}
	return out
}

// drawKeys draws the legend, row by row from the upper left corner of c.
func (f *figure) drawKeys(c draw.Canvas, rows [][]key) {
	text := f.Legend.TextStyle
	text.YAlign = draw.YCenter
	y := c.Max.Y - keyLine/2
	for _, row := range rows {
		x := c.Min.X
		for _, k := range row {
			if k.filled {
				c.FillPolygon(k.colour, []vg.Point{{X: x, Y: y - 4}, {X: x + keyMark, Y: y - 4}, {X: x + keyMark, Y: y + 4}, {X: x, Y: y + 4}})
			} else {
				c.StrokeLine2(draw.LineStyle{Color: k.colour, Width: 1.8}, x, y, x+keyMark, y)
			}
			c.FillText(text, vg.Point{X: x + keyMark + 4, Y: y}, k.name)
			x += keyMark + 4 + text.Width(k.name) + keyGap
		}
		y -= keyLine
	}
}
