// Package chart draws the kit's plots in one house look over gonum.org/v1/plot: lines, a training loss raw and smoothed, singular
// value spectra, heat maps and bars. Every function takes a Look and numbers and returns a picture; none touches a file or a display.
package chart

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Look is what a chart shows around its data.
type Look struct {
	Title  string // above the data; "" leaves the space to the data
	X, Y   string // axis labels, with the unit
	Width  int    // pixels, 64 to 8192; 0 is 720
	Height int    // pixels, 64 to 8192; 0 is 400
	LogX   bool   // logarithmic x axis: points below 1e-100 are left out
	LogY   bool   // logarithmic y axis: points below 1e-100 are left out
}

// Series is one named sequence of points.
type Series struct {
	Name string    // in the legend; "" keeps it out of the legend
	X    []float64 // nil counts 0, 1, 2 …
	Y    []float64 // NaN, infinities and what exceeds ±1e100 are gaps

	Measured bool // Loss draws the values themselves, without a running mean
}

// dpi makes one pixel three quarters of a point, the usual screen measure.
const dpi = 96

var (
	ink  = color.RGBA{0x33, 0x33, 0x33, 0xff}
	rule = color.RGBA{0xe6, 0xe6, 0xe6, 0xff}
)

// PNG returns the picture's PNG bytes.
func PNG(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fault.New(fault.Other, "encode PNG", "", "%w", err)
	}
	return b.Bytes(), nil
}

// size returns the look's width and height in pixels with the defaults filled in.
func (l Look) size() (w, h int, err error) {
	w, h = l.Width, l.Height
	if w == 0 {
		w = 720
	}
	if h == 0 {
		h = 400
	}
	if w < 64 || h < 64 || w > 8192 || h > 8192 {
		return 0, 0, fault.New(fault.Invalid, "draw chart", l.Title, "%d × %d pixels", w, h).Fix("use 64 to 8192 a side")
	}
	return w, h, nil
}

// canvas returns an empty picture of the look's size and the drawing surface over it.
func (l Look) canvas() (*vgimg.Canvas, draw.Canvas, error) {
	w, h, err := l.size()
	if err != nil {
		return nil, draw.Canvas{}, err
	}
	c := vgimg.NewWith(vgimg.UseWH(pixels(w), pixels(h)), vgimg.UseDPI(dpi), vgimg.UseBackgroundColor(color.White))
	return c, draw.New(c), nil
}

func pixels(n int) vg.Length { return vg.Length(n) * vg.Inch / dpi }

// figure is a plot with its legend above the data.
type figure struct {
	*plot.Plot
	keys []key
}

// plot returns an empty plot in the house look.
func (l Look) plot() *figure {
	p := &figure{Plot: plot.New()}
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = l.Title, l.X, l.Y
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	set := func(f *font.Font, size vg.Length) {
		*f = sans
		f.Size = size
	}
	set(&p.Title.TextStyle.Font, 11)
	set(&p.Legend.TextStyle.Font, 9)
	p.Title.TextStyle.Color, p.Legend.TextStyle.Color = ink, ink
	p.Title.Padding = 6
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		set(&a.Label.TextStyle.Font, 10)
		set(&a.Tick.Label.Font, 9)
		a.Label.TextStyle.Color, a.Tick.Label.Color = ink, ink
		a.Color, a.Tick.Color = ink, ink
		a.Padding, a.Label.Padding, a.Tick.Length = 0, 3, 4
		a.LineStyle.Width, a.Tick.LineStyle.Width = 0.6, 0.6
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(linearTicks), plot.TickerFunc(linearTicks)
	if l.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	}
	if l.LogY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(logTicks)
	}
	return p
}

// render draws p on a canvas of the look's size, a small margin kept for labels that reach over the edge.
func (l Look) render(p *figure) (image.Image, error) {
	img, c, err := l.canvas()
	if err != nil {
		return nil, err
	}
	p.draw(draw.Crop(c, 6, -12, 6, -6))
	return img.Image(), nil
}

// draw draws title, legend and data below one another, and returns the area of the data.
func (f *figure) draw(c draw.Canvas) draw.Canvas {
	if f.Title.Text != "" {
		text := f.Title.TextStyle
		text.XAlign, text.YAlign = draw.XLeft, draw.YTop
		c.FillText(text, vg.Point{X: c.Min.X, Y: c.Max.Y}, f.Title.Text)
		c = draw.Crop(c, 0, 0, 0, -text.Height(f.Title.Text)-7)
		f.Title.Text = ""
	}
	if rows := f.rows(c.Max.X - c.Min.X); rows != nil {
		f.drawKeys(c, rows)
		c = draw.Crop(c, 0, 0, 0, -keyLine*vg.Length(len(rows))-6)
	}
	f.Draw(c)
	return f.DataCanvas(c)
}

// linearTicks labels four to nine multiples of 1, 2 or 5 times a power of ten.
func linearTicks(lo, hi float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/4)))
	switch n := (hi - lo) / 4 / step; {
	case n >= 5:
		step *= 5
	case n >= 2:
		step *= 2
	}
	var out []plot.Tick
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+1e-9*step && len(out) < 20; i++ {
		out = append(out, plot.Tick{Value: i * step, Label: shortNumber(roundTo(i*step, step))})
	}
	return out
}

// logTicks labels the decades between min and max, and 2 and 5 as well where fewer than three decades fit.
func logTicks(min, max float64) []plot.Tick {
	lo, hi := math.Floor(math.Log10(min)), math.Ceil(math.Log10(max))
	every := math.Ceil((hi - lo) / 10)
	var out []plot.Tick
	for e := lo; e <= hi; e++ {
		for m := 1.0; m < 10; m++ {
			v := m * math.Pow(10, e)
			if v < min*(1-1e-12) || v > max*(1+1e-12) {
				continue
			}
			t := plot.Tick{Value: v}
			if (m == 1 && math.Mod(e-lo, every) == 0) || ((m == 2 || m == 5) && hi-lo < 3) {
				t.Label = shortNumber(v)
			}
			out = append(out, t)
		}
	}
	return out
}
