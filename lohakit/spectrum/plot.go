package spectrum

import (
	"fmt"
	"image"
	"math"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/fault"
)

// floor is the singular value, as a share of the largest, below which plots show rounding and stop.
const floor = 1e-7

// Plot draws the singular values of the spectra on a logarithmic axis, each named with its effective rank and its rank at 90 %. What
// all names begin with goes into the title.
func Plot(l chart.Look, spectra ...*Spectrum) (image.Image, error) {
	shared := sharedPath(namesOf(spectra))
	if shared != "" {
		l.Title = strings.TrimSpace(l.Title + "  " + strings.TrimSuffix(shared, "."))
	}
	series := make([]chart.Series, len(spectra))
	for i, s := range spectra {
		n := len(s.Values)
		for n > 1 && s.Values[n-1] < floor*s.Values[0] {
			n--
		}
		series[i] = chart.Series{Name: fmt.Sprintf("%s: effective rank %.1f, 90 %% in %d of %d", strings.TrimPrefix(s.Name, shared), s.Effective(), s.RankAt(0.9), s.Full()), Y: s.Values[:n]}
	}
	if len(series) > 0 && allZero(spectra) {
		return nil, fault.New(fault.Invalid, "plot spectrum", spectra[0].Name, "every singular value is 0: nothing was changed").Fix("train first")
	}
	return chart.Spectrum(l, series...)
}

func namesOf(spectra []*Spectrum) (names []string) {
	for _, s := range spectra {
		names = append(names, s.Name)
	}
	return names
}

// sharedPath is what several names begin with, up to a dot.
func sharedPath(names []string) string {
	if len(names) < 2 {
		return ""
	}
	shared := names[0]
	for _, n := range names[1:] {
		for !strings.HasPrefix(n, shared) {
			shared = shared[:len(shared)-1]
		}
	}
	return shared[:strings.LastIndexByte(shared, '.')+1]
}

func allZero(spectra []*Spectrum) bool {
	return !slices.ContainsFunc(spectra, func(s *Spectrum) bool { return s.Energy > 0 })
}

// enough is the share of the energy after which the chart of it ends.
const enough = 0.999

// PlotEnergy draws the share of the energy in the leading ranks, to where all hold nearly all of it. What all names begin with goes into the
// title.
func PlotEnergy(l chart.Look, spectra ...*Spectrum) (image.Image, error) {
	l.X, l.Y = "ranks", "share of the energy"
	shared := sharedPath(namesOf(spectra))
	l.Title = strings.TrimSpace(l.Title + "  " + strings.TrimSuffix(shared, "."))
	last := 1
	for _, s := range spectra {
		last = max(last, s.RankAt(enough))
	}
	last += last/8 + 1
	series := make([]chart.Series, len(spectra))
	for i, s := range spectra {
		y := append([]float64{0}, s.Cumulative()...)
		series[i] = chart.Series{Name: strings.TrimPrefix(s.Name, shared), Y: y[:min(len(y), last+1)]}
	}
	return chart.Line(l, series...)
}

// PlotLayers draws layers × ranks: the logarithm of each singular value over the layer's largest, down to 10⁻⁴, of up to the
// given number of ranks.
func PlotLayers(l chart.Look, ranks int, spectra ...*Spectrum) (image.Image, error) {
	var rows []string
	var z [][]float64
	wide := 0
	for _, s := range spectra {
		wide = max(wide, min(ranks, len(s.Values)))
	}
	for _, s := range spectra {
		row := make([]float64, wide)
		for i := range row {
			row[i] = math.NaN()
			if i < len(s.Values) && s.Values[0] > 0 {
				row[i] = math.Max(math.Log10(s.Values[i]/s.Values[0]), -4)
			}
		}
		rows, z = append(rows, s.Name), append(z, row)
	}
	cols := make([]string, wide)
	for i := range cols {
		cols[i] = fmt.Sprint(i + 1)
	}
	if l.X == "" {
		l.X = "index (colour: log10 of the singular value over the largest)"
	}
	if l.Height == 0 {
		l.Height = min(1100, max(200, 90+14*len(rows)))
	}
	return chart.Heat(l, rows, cols, z)
}

// tellable is how many lines a chart tells apart by their names.
const tellable = 12

// Rank is the effective rank of a layer.
type Rank struct {
	Layer     string
	Effective float64
}

// Ranks are the effective ranks of spectra, which take far less memory.
func Ranks(spectra ...*Spectrum) []Rank {
	out := make([]Rank, len(spectra))
	for i, s := range spectra {
		out[i] = Rank{s.Name, s.Effective()}
	}
	return out
}

// PlotSteps draws the effective rank over training steps: of each layer, or where they are many the mean over each kind of layer. history
// holds the ranks of each step.
func PlotSteps(l chart.Look, steps []int, history [][]Rank) (image.Image, error) {
	if len(steps) != len(history) {
		return nil, fault.New(fault.Invalid, "plot effective rank", l.Title, "%d steps and the ranks of %d", len(steps), len(history))
	}
	l.X, l.Y = "step", "effective rank"
	var series []chart.Series
	index := map[string]int{}
	for i, ranks := range history {
		var layers []string
		for _, r := range ranks {
			layers = append(layers, r.Layer)
		}
		shared := sharedPath(layers)
		name := func(layer string) string { return strings.TrimPrefix(layer, shared) }
		if len(ranks) > tellable {
			name = KindOf
		}
		var order []string
		sums, counts := map[string]float64{}, map[string]float64{}
		for _, r := range ranks {
			n := name(r.Layer)
			if counts[n]++; counts[n] == 1 {
				order = append(order, n)
			}
			sums[n] += r.Effective
		}
		for _, n := range order {
			k, ok := index[n]
			if !ok {
				k = len(series)
				index[n] = k
				series = append(series, chart.Series{Name: n})
			}
			series[k].X, series[k].Y = append(series[k].X, float64(steps[i])), append(series[k].Y, sums[n]/counts[n])
		}
	}
	return chart.Line(l, series...)
}
