package spectrum

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// kinds of layers in the order in which they are shown, by what their paths hold.
var kinds = []struct {
	name string
	path *regexp.Regexp
}{
	{"text attention", regexp.MustCompile(`\.self_attn\.`)},
	{"text MLP", regexp.MustCompile(`\.mlp\.`)},
	{"self-attention", regexp.MustCompile(`\.attn1\.`)},
	{"cross-attention", regexp.MustCompile(`\.attn2\.`)},
	{"feed-forward", regexp.MustCompile(`\.ff\.`)},
	{"projection", regexp.MustCompile(`\.proj_(in|out)$`)},
	{"convolution 3×3", regexp.MustCompile(`(\.conv[12]|samplers\.\d+\.conv|^conv_(in|out))$`)},
	{"shortcut 1×1", regexp.MustCompile(`\.conv_shortcut$`)},
	{"time", regexp.MustCompile(`time_emb`)},
}

// KindOf is the kind of layer at a diffusers path, such as "cross-attention"; "other" if it is of none.
func KindOf(path string) string {
	for _, k := range kinds {
		if k.path.MatchString(path) {
			return k.name
		}
	}
	return "other"
}

// Group is what the layers of one kind have in common.
type Group struct {
	Kind      string
	Layers    int
	Energy    float64 // of all
	Effective float64 // mean of the effective ranks
	Stable    float64 // mean of the stable ranks
	Ranks     [3]int  // median of the ranks that hold 90, 95 and 99 % of a layer's energy
	Within    float64 // share of the group's energy inside the leading ranks of its layers, as many as ByKind was asked for
	Low, Full int     // the smallest and the largest number of singular values a layer has
	Least     float64 // the smallest share of a layer inside the ranks
}

// ByKind aggregates spectra by the kind of their layers, and all together in the last group, "all". ranks is how many the share Within counts:
// 64 for the model card's claim. Effective and Ranks need all values, Within only the leading ones.
func ByKind(ranks int, spectra ...*Spectrum) []Group {
	var out []Group
	names := []string{}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	for _, name := range append(names, "other", "all") {
		var of []*Spectrum
		for _, s := range spectra {
			if s.Energy > 0 && (name == "all" || KindOf(s.Name) == name) {
				of = append(of, s)
			}
		}
		if len(of) > 0 {
			out = append(out, group(name, ranks, of))
		}
	}
	return out
}

func group(name string, ranks int, of []*Spectrum) Group {
	g := Group{Kind: name, Layers: len(of), Least: 1, Low: of[0].Full()}
	n, held := float64(len(of)), 0.0
	var at [3][]int
	for _, s := range of {
		share := s.Share(ranks)
		g.Energy += s.Energy
		g.Effective += s.Effective() / n
		g.Stable += s.Stable() / n
		held += share * s.Energy
		g.Least = min(g.Least, share)
		g.Low, g.Full = min(g.Low, s.Full()), max(g.Full, s.Full())
		for i, part := range []float64{0.9, 0.95, 0.99} {
			at[i] = append(at[i], s.RankAt(part))
		}
	}
	g.Within = held / g.Energy
	for i := range at {
		slices.Sort(at[i])
		g.Ranks[i] = at[i][len(at[i])/2]
	}
	return g
}

// String is the group in one line.
func (g Group) String() string {
	full := fmt.Sprint(g.Full)
	if g.Low != g.Full {
		full = fmt.Sprintf("%d–%d", g.Low, g.Full)
	}
	return strings.TrimSpace(fmt.Sprintf("%-16s %4d layers, effective rank %6.1f of %s, 90/95/99 %% in %d/%d/%d, %.4f of the energy within", g.Kind, g.Layers,
		g.Effective, full, g.Ranks[0], g.Ranks[1], g.Ranks[2], g.Within))
}

// MeanByKind is one spectrum for each kind of layer: the mean of its layers' shares of energy at each rank, as singular values whose
// energy adds up to 1.
func MeanByKind(spectra ...*Spectrum) []*Spectrum {
	var out []*Spectrum
	for _, g := range ByKind(1, spectra...) {
		if g.Kind == "all" {
			continue
		}
		mean := &Spectrum{Name: g.Kind, Rows: g.Full, Cols: g.Full, Energy: 1}
		for _, s := range spectra {
			if s.Energy == 0 || KindOf(s.Name) != g.Kind {
				continue
			}
			for i, v := range s.Values {
				if i == len(mean.Values) {
					mean.Values = append(mean.Values, 0)
				}
				mean.Values[i] += v * v / s.Energy / float64(g.Layers)
			}
		}
		for i, v := range mean.Values {
			mean.Values[i] = math.Sqrt(v)
		}
		out = append(out, mean)
	}
	return out
}
