package lohakit

import (
	"fmt"
	"strings"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/spectrum"
)

// Spectra are the singular values of layers: all of them, or the leading ones of Leading.
type Spectra struct {
	Title string
	Of    []*spectrum.Spectrum
	Ranks int // that Groups counts the energy in; 64 is the model card's claim
}

// cardRanks is in how many ranks the model card says that the information of a fine-tuning sits.
const cardRanks = 64

// Spectrum is the singular values of ΔW, what the adapter as it is now adds to a weight, for the layers whose names match, such as
// "lora_unet_mid_block_*_attn2_to_v". A name that matches nothing is an error that lists the nearest ones.
func (r *Run) Spectrum(match string) (Spectra, error) { return r.Difference().Spectrum(match) }

// Spectrum computes all singular values of the layers that match; see Layers.
func (d Difference) Spectrum(match string) (Spectra, error) {
	return d.spectra(match, func(d spectrum.Differences, report spectrum.Progress) ([]*spectrum.Spectrum, error) {
		return spectrum.All(d, report)
	})
}

// Leading computes the n leading singular values of the layers that match, in a fraction of the time for large ones. The energy outside
// them is measured all the same.
func (d Difference) Leading(match string, n int) (Spectra, error) {
	s, err := d.spectra(match, func(d spectrum.Differences, report spectrum.Progress) ([]*spectrum.Spectrum, error) {
		return spectrum.AllLeading(d, n, report)
	})
	s.Ranks = n
	return s, err
}

func (d Difference) spectra(match string, of func(spectrum.Differences, spectrum.Progress) ([]*spectrum.Spectrum, error)) (Spectra, error) {
	some, err := d.Match(match)
	if err != nil {
		return Spectra{}, err
	}
	l := newLive()
	all, err := of(some, working(l, "decomposing"))
	l.end("")
	return Spectra{d.Title, all, cardRanks}, err
}

// few is how many layers a plot tells apart by name.
const few = 12

// Plot draws the singular values: of few layers a line each, of many a heat map of layers × rank.
func (s Spectra) Plot() (Picture, error) {
	caption := fmt.Sprintf("singular values of %d layers, %s", len(s.Of), s.Title)
	if len(s.Of) > few {
		img, err := spectrum.PlotLayers(chart.Look{Title: s.Title, Width: 820}, 2*s.Ranks, s.Of...)
		return Picture{img, caption}, err
	}
	img, err := spectrum.Plot(chart.Look{Title: s.Title}, s.Of...)
	return Picture{img, caption}, err
}

// Energy draws the share of the energy in the leading ranks: a line for each of few layers, of many one for each kind of layer.
func (s Spectra) Energy() (Picture, error) {
	of := s.Of
	if len(of) > few {
		of = spectrum.MeanByKind(of...)
	}
	img, err := spectrum.PlotEnergy(chart.Look{Title: s.Title}, of...)
	return Picture{img, fmt.Sprintf("cumulative energy of %d layers, %s", len(s.Of), s.Title)}, err
}

// Groups aggregates by kind of layer, with the share of the energy inside s.Ranks ranks.
func (s Spectra) Groups() []spectrum.Group { return spectrum.ByKind(s.Ranks, s.Of...) }

// Within charts the share of the energy inside the leading s.Ranks ranks by kind of layer: the model card says of fine-tuned checkpoints
// that 64 hold almost all.
func (s Spectra) Within() (Picture, error) {
	var labels []string
	mean, least := chart.Series{Name: "together"}, chart.Series{Name: "the layer with the least"}
	for _, g := range s.Groups() {
		labels = append(labels, g.Kind)
		mean.Y, least.Y = append(mean.Y, g.Within), append(least.Y, g.Least)
	}
	look := chart.Look{Title: fmt.Sprintf("%s: share of the energy inside %d ranks", s.Title, s.Ranks), Y: "share", Width: 960}
	img, err := chart.Bars(look, labels, mean, least)
	return Picture{img, fmt.Sprintf("share of the energy inside %d ranks, %s", s.Ranks, s.Title)}, err
}

// MIMEBundle shows the plot with a table by kind of layer, and folded away one of every layer.
func (s Spectra) MIMEBundle() map[string]any {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %d ranks counted\n", s.Title, s.Ranks)
	groups := s.Groups()
	for _, g := range groups {
		fmt.Fprintln(&text, g)
	}
	bundle := map[string]any{"text/plain": text.String()}
	p, err := s.Plot()
	if err != nil {
		bundle["text/plain"] = err.Error()
		return bundle
	}
	if png, err := chart.PNG(p.Image); err == nil {
		bundle["image/png"] = png
	}
	head := []string{"layers", "of", "effective rank", "stable rank", "90 %", "95 %", "99 %", fmt.Sprintf("energy in %d", s.Ranks)}
	byKind, byLayer := table{head: append([]string{"kind"}, head...)}, table{head: append([]string{"layer"}, head[1:]...)}
	for _, g := range groups {
		byKind.add(g.Kind, g.Layers, g.Full, round(g.Effective), round(g.Stable), g.Ranks[0], g.Ranks[1], g.Ranks[2], fmt.Sprintf("%.4f", g.Within))
	}
	for _, x := range s.Of {
		byLayer.add(x.Name, x.Full(), round(x.Effective()), round(x.Stable()), x.RankAt(0.9), x.RankAt(0.95), x.RankAt(0.99), fmt.Sprintf("%.4f", x.Share(s.Ranks)))
	}
	bundle["text/html"] = embed(p, p.Caption) + byKind.html() + fold(fmt.Sprintf("all %d layers", len(s.Of)), byLayer.html())
	return bundle
}

func round(v float64) string { return fmt.Sprintf("%.1f", v) }
