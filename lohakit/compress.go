package lohakit

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/merge"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/spectrum"
)

// Rule chooses how many ranks a layer keeps: Ranks(64), or any mode of the spectrum package.
type Rule = spectrum.Rule

// Ranks keeps n ranks of every layer.
func Ranks(n int) Rule { return Rule{Mode: spectrum.Fixed, Value: float64(n)} }

// Energy keeps as few ranks of each layer as hold a share of its energy, such as 0.95.
func Energy(share float64) Rule { return Rule{Mode: spectrum.Energy, Value: share} }

// Made is an adapter made of a difference, and what it misses of each layer.
type Made struct {
	*adapter.Adapter
	Parts  []spectrum.Part
	of     string // what the difference is of; that itself would keep its models in memory
	layers int    // of the difference
}

// Extract makes a LoCon of the difference that other programs open: linear layers and 1×1 convolutions by the first rule, larger convolutions
// by the second; without a second they are left out, which makes a LoRA. Save keeps it.
func (d Difference) Extract(linear Rule, conv ...Rule) (Made, error) {
	e := spectrum.Extraction{Linear: linear}
	if len(conv) > 0 {
		e.Conv = conv[0]
	}
	return d.ExtractBy(e)
}

// ExtractBy is Extract with every option of the reference programs: clamping, full differences, types.
func (d Difference) ExtractBy(e spectrum.Extraction) (Made, error) {
	return d.made("extracting", func(report spectrum.Progress) (*adapter.Adapter, []spectrum.Part, error) {
		return spectrum.Extract(d.Differences, e, report)
	})
}

// FitLoHa makes a LoHa of the difference, fitted by least squares; convDim 0 leaves larger convolutions out.
func (d Difference) FitLoHa(dim, convDim int) (Made, error) {
	return d.made("fitting", func(report spectrum.Progress) (*adapter.Adapter, []spectrum.Part, error) {
		return spectrum.FitLoHa(d.Differences, dim, convDim, report)
	})
}

// Resize makes an adapter for m smaller, or of another kind, into a LoCon by the rules of Extract. Its normalisations and words are kept as they
// are; differences of biases, which only full ones have, are left out.
func (m *Model) Resize(a *adapter.Adapter, linear Rule, conv ...Rule) (Made, error) {
	d, err := m.Adds(a)
	if err != nil {
		return Made{}, err
	}
	if len(conv) == 0 {
		conv = []Rule{linear}
	}
	made, err := d.Extract(linear, conv...)
	if err != nil {
		return made, err
	}
	return made.keeping(a)
}

// ResizeLoHa makes a LoHa for m smaller and keeps it one, from its own factors, with its normalisations and words as they are.
func (m *Model) ResizeLoHa(a *adapter.Adapter, dim, convDim int) (Made, error) {
	d, err := m.Adds(a)
	if err != nil {
		return Made{}, err
	}
	made, err := d.made("resizing", func(report spectrum.Progress) (*adapter.Adapter, []spectrum.Part, error) {
		return spectrum.ResizeLoHa(a, m.Model, dim, convDim, report)
	})
	if err != nil {
		return made, err
	}
	return made.keeping(a)
}

// keeping is m with what of a is no matrix, and so no part of a difference: normalisations and words.
func (m Made) keeping(a *adapter.Adapter) (Made, error) {
	rest := a.Clone()
	rest.Only(func(layer string) bool { return a.Params.Has(layer + ".w_norm") })
	rest.Embeddings, rest.Precision = nil, m.Precision
	list, err := m.Tensors()
	if err != nil {
		return m, err
	}
	norms, err := rest.Tensors()
	if err != nil {
		return m, err
	}
	if m.Adapter, err = adapter.FromTensors("resize", append(list, norms...), nil); err != nil {
		return m, err
	}
	m.Embeddings = slices.Clone(a.Embeddings)
	return m, nil
}

func (d Difference) made(what string, work func(spectrum.Progress) (*adapter.Adapter, []spectrum.Part, error)) (Made, error) {
	l := newLive()
	defer l.end("")
	a, parts, err := work(working(l, what))
	return Made{a, parts, d.Title, len(d.Differences)}, err
}

// Missed is the norm of what the adapter misses over that of the difference, the mean over layers of their squares: 0 is nothing.
func (m Made) Missed() float64 {
	sum := 0.0
	for _, p := range m.Parts {
		sum += p.Error * p.Error
	}
	return math.Sqrt(sum / float64(max(len(m.Parts), 1)))
}

// String says what was made and what it misses.
func (m Made) String() string {
	least, most := m.Parts[0].Rank, m.Parts[0].Rank
	for _, p := range m.Parts {
		least, most = min(least, p.Rank), max(most, p.Rank)
	}
	ranks := fmt.Sprintf("rank %d", most)
	if least != most {
		ranks = fmt.Sprintf("ranks %d to %d", least, most)
	}
	return fmt.Sprintf("%s of %s: %d of %d layers, %s, %s parameters, misses %.2g of the difference", m.Spec.Kind, m.of, len(m.Parts), m.layers,
		ranks, count(m.Size()), m.Missed())
}

// MIMEBundle shows what was made, with a chart of what each layer misses, and folded away a table.
func (m Made) MIMEBundle() map[string]any {
	bundle := map[string]any{"text/plain": m.String()}
	layers := table{head: []string{"layer", "rank", "energy kept", "error"}}
	errors := chart.Series{}
	for _, p := range m.Parts {
		layers.add(p.Name, p.Rank, fmt.Sprintf("%.4f", p.Share), fmt.Sprintf("%.4f", p.Error))
		errors.Y = append(errors.Y, p.Error)
	}
	html := "<code>" + m.String() + "</code><br>"
	if img, err := chart.Line(chart.Look{Title: "what each layer misses", X: "layer, in the model's order", Y: "relative error", Height: 240}, errors); err == nil {
		html += embed(img, "relative error of each layer")
	}
	bundle["text/html"] = html + fold(fmt.Sprintf("all %d layers", len(m.Parts)), layers.html())
	return bundle
}

// Compression is the error against the size of a LoCon of each rank.
type Compression struct {
	Points []spectrum.Point
	title  string
}

// Compress computes what a LoCon of each of the ranks would miss and weigh, without making them: compression after training. Without ranks
// they are 1, 2, 4 … 128.
func (d Difference) Compress(ranks ...int) (Compression, error) {
	if len(ranks) == 0 {
		ranks = []int{1, 2, 4, 8, 16, 32, 64, 128}
	}
	l := newLive()
	defer l.end("")
	points, err := spectrum.Curve(d.Differences, working(l, "compressing"), ranks...)
	return Compression{points, d.Title}, err
}

// MIMEBundle shows the curve and a table.
func (c Compression) MIMEBundle() map[string]any {
	rows := table{head: []string{"rank", "MB", "error"}}
	text := c.title + "\n"
	for _, p := range c.Points {
		rows.add(p.Rank, fmt.Sprintf("%.2f", float64(p.Bytes)/1e6), fmt.Sprintf("%.4f", p.Error))
		text += fmt.Sprintf("rank %d: %.2f MB, error %.4f\n", p.Rank, float64(p.Bytes)/1e6, p.Error)
	}
	bundle := map[string]any{"text/plain": text}
	img, err := spectrum.PlotCurve(chart.Look{Title: c.title + ": error against size", Height: 320}, c.Points...)
	if err != nil {
		return bundle
	}
	if png, err := chart.PNG(img); err == nil {
		bundle["image/png"] = png
	}
	bundle["text/html"] = embed(img, text) + rows.html()
	return bundle
}

// Weighted is an adapter at a weight.
type Weighted = merge.Weighted

// MergeAdapters makes one adapter of several, for m, that does at weight 1 what they do one after another, exactly, whatever their kinds:
// see merge.Adapters.
func (m *Model) MergeAdapters(list ...Weighted) (*adapter.Adapter, error) {
	l := newLive()
	defer l.end("")
	return merge.Adapters(m.Model, 0, working(l, "merging"), list...)
}

// Merged returns the model with its adapters merged into its weights, whatever their kinds: a base model like any other, which Save writes.
// The embeddings that the adapters bring stay words of it. m itself stays as it is.
func (m *Model) Merged() (*Model, error) {
	base := m.Shared()
	base.Path, base.VAEPath = "", ""
	maps.DeleteFunc(base.Metadata, func(key, _ string) bool { return strings.HasPrefix(key, merge.Header) })
	for _, a := range m.Adapters {
		if err := a.Adapter.Merge(base, a.UNet, a.Text); err != nil {
			return nil, err
		}
	}
	var words []sd.Embedding
	for _, a := range m.Adapters {
		words = append(words, a.Adapter.Embeddings...)
	}
	return &Model{Model: base, Name: m.Name + "-merged", Embeddings: sd.JoinEmbeddings(words, m.Embeddings)}, nil
}
