package lohakit

import (
	"fmt"
	"strings"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/spectrum"
)

// Tensors is what was found out about tensors: shapes, norms, histograms, and what does not belong in them.
type Tensors []spectrum.Tensor

// Inspect describes the model's tensors whose names match a glob, such as "mid_block.*.bias": of the UNet, the text encoder and the
// autoencoder; "" is all. Adapters that are applied do not count. No match is an error that lists the nearest.
func (m *Model) Inspect(match string) (Tensors, error) {
	all := sd.NewParams()
	for _, p := range []*sd.Params{m.Text, m.UNet, m.VAE} {
		for _, name := range p.Names() {
			all.Set(name, p.Get(name))
		}
	}
	return spectrum.InspectAll(all, match)
}

// Inspect describes the tensors that are trained, as they are now, by their names in files: "lora_unet_*.hada_w1_a".
func (r *Run) Inspect(match string) (Tensors, error) {
	return spectrum.InspectAll(r.Adapter.Params, match)
}

// Inspect describes the difference of each layer that matches; see Layers.
func (d Difference) Inspect(match string) (Tensors, error) {
	some, err := d.Match(match)
	if err != nil {
		return nil, err
	}
	l := newLive()
	defer l.end("")
	return spectrum.InspectDifferences(some, working(l, "inspecting"))
}

// InspectFile describes the tensors of any safetensors or .ckpt file by their names in it, whatever it is of.
func InspectFile(path, match string, options ...checkpoint.Option) (Tensors, error) {
	f, err := checkpoint.Open(path, options...)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return spectrum.InspectFile(f, match)
}

// only is the one tensor that a picture is of.
func (t Tensors) only(verb string) (spectrum.Tensor, error) {
	if len(t) != 1 {
		return spectrum.Tensor{}, fault.New(fault.Invalid, verb, "", "there are %d tensors", len(t)).Fix("inspect one, or index: tensors[:1]")
	}
	return t[0], nil
}

// Picture draws the one tensor as a matrix, its first axis down.
func (t Tensors) Picture() (Picture, error) {
	x, err := t.only("draw tensor")
	if err != nil {
		return Picture{}, err
	}
	img, err := x.Picture(chart.Look{})
	return Picture{img, x.String()}, err
}

// Histogram draws how the one tensor's values are distributed.
func (t Tensors) Histogram() (Picture, error) {
	x, err := t.only("draw histogram")
	if err != nil {
		return Picture{}, err
	}
	img, err := x.PlotHistogram(chart.Look{Height: 280})
	return Picture{img, x.String()}, err
}

// shown is how many tensors a cell shows; the rest are counted.
const shown = 200

// MIMEBundle is a table with a histogram in each row; of a single tensor also its histogram and its picture.
func (t Tensors) MIMEBundle() map[string]any {
	var text strings.Builder
	rows := table{head: []string{"tensor", "shape", "type", "norm", "mean", "std", "min", "max", "NaN", "inf", "zero", "values"}}
	for _, x := range t[:min(len(t), shown)] {
		fmt.Fprintln(&text, x)
		rows.add(x.Name, fmt.Sprint(x.Shape), x.DType, short(x.Norm), short(x.Mean), short(x.Std), short(x.Min), short(x.Max),
			alarm(x.NaN), alarm(x.Inf), x.Zero, markup(sparkline(x.Histogram)))
	}
	html := rows.html()
	if n := len(t) - shown; n > 0 {
		fmt.Fprintf(&text, "and %d more\n", n)
		html += fmt.Sprintf("<p>and %d more</p>", n)
	}
	if len(t) == 1 {
		if p, err := t.Histogram(); err == nil {
			html += embed(p, p.Caption)
		}
		if p, err := t.Picture(); err == nil {
			html += embed(p, p.Caption)
		}
	}
	return map[string]any{"text/plain": text.String(), "text/html": html}
}

func short(v float64) string { return fmt.Sprintf("%.4g", v) }

// alarm is a number of elements that should be none.
func alarm(n int) any {
	if n == 0 {
		return 0
	}
	return markup(fmt.Sprintf(`<b style="color:#d55e00">%d</b>`, n))
}

// sparkline is a histogram in the height of a line of text.
func sparkline(counts []int) string {
	most := 1
	for _, n := range counts {
		most = max(most, n)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%d" height="18" role="img" aria-label="histogram">`, 2*len(counts))
	for i, n := range counts {
		h := 18 * float64(n) / float64(most)
		fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="2" height="%.1f" fill="#0072b2"/>`, 2*i, 18-h, h)
	}
	b.WriteString("</svg>")
	return b.String()
}
