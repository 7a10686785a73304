package spectrum

import (
	"math"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Mode is a way to choose a layer's rank from its singular values.
type Mode string

// The modes: the first five are LyCORIS's for extraction, Energy is this kit's, the last three are kohya's for resizing.
const (
	Fixed     Mode = "fixed"     // Value ranks
	Threshold Mode = "threshold" // values above Value
	Ratio     Mode = "ratio"     // values above Value (0 to 1) times the largest
	Quantile  Mode = "quantile"  // those whose running sum is below Value (0 to 1) of the sum of all
	Whole     Mode = "full"      // no decomposition: the difference itself
	Energy    Mode = "energy"    // as few as hold Value (0 to 1) of the energy Σσ²

	SVRatio      Mode = "sv_ratio"      // values above the largest divided by Value (above 1)
	SVCumulative Mode = "sv_cumulative" // as few as reach Value (0 to 1) of the sum of all
	SVFro        Mode = "sv_fro"        // as few as reach Value (0 to 1) of the Frobenius norm
)

// Rule chooses ranks.
type Rule struct {
	Mode  Mode
	Value float64
	More  int // ranks above what the mode chooses; the three of sd-scripts kept 1 more until 2025
	Max   int // no rank is above it; 0 sets no bound
}

// Check returns the fault in r, if there is one.
func (r Rule) Check() error {
	bad := func(what string) error {
		return fault.New(fault.Invalid, "choose ranks", string(r.Mode), "%g is not %s", r.Value, what)
	}
	share := r.Value >= 0 && r.Value <= 1
	switch r.Mode {
	case Fixed:
		if r.Value < 1 || r.Value != math.Trunc(r.Value) || r.Value > math.MaxInt32 {
			return bad("a rank of at least 1")
		}
	case Threshold:
		if !(r.Value >= 0) {
			return bad("a singular value")
		}
	case Ratio, Quantile, Energy, SVCumulative, SVFro:
		if !share {
			return bad("a share from 0 to 1")
		}
	case SVRatio:
		if !(r.Value > 1) {
			return bad("a ratio above 1")
		}
	case Whole:
	default:
		return fault.New(fault.Invalid, "choose ranks", string(r.Mode), "there is no such mode").
			Fix("use fixed, threshold, ratio, quantile, full, energy, sv_ratio, sv_cumulative or sv_fro")
	}
	if r.Max < 0 || r.More < 0 {
		return fault.New(fault.Invalid, "choose ranks", "Max and More", "%d and %d: one is negative", r.Max, r.More).Fix("use 0 or more")
	}
	return nil
}

// nothing is the largest singular value that kohya's resizing takes for nothing.
const nothing = 1e-6

// Rank is the rank r chooses for a layer, from 1 to limit, the smaller of its numbers of channels. The singular values must be all.
func (r Rule) Rank(s *Spectrum, limit int) int {
	n, values := 0, s.Values
	sum, square := 0.0, 0.0
	for _, v := range values {
		sum += v
		square += v * v
	}
	count := func(keep func(v float64) bool) {
		for n < len(values) && keep(values[n]) {
			n++
		}
	}
	running := 0.0
	switch r.Mode {
	case Fixed:
		n = int(math.Min(r.Value, math.MaxInt32))
	case Threshold:
		count(func(v float64) bool { return v > r.Value })
	case Ratio:
		count(func(v float64) bool { return v > values[0]*r.Value })
	case Quantile:
		count(func(v float64) bool { running += v; return running < r.Value*sum })
	case Energy:
		n = s.RankAt(r.Value)
	case SVRatio:
		count(func(v float64) bool { return v > values[0]/r.Value })
	case SVCumulative:
		count(func(v float64) bool { running += v; return running/sum < r.Value })
		n++
	case SVFro:
		count(func(v float64) bool { running += v * v; return running/square < r.Value*r.Value })
		n++
	}
	n += r.More
	if (r.Mode == SVRatio || r.Mode == SVCumulative || r.Mode == SVFro) && (len(values) == 0 || values[0] <= nothing) {
		n = 1
	}
	if r.Max > 0 {
		n = min(n, r.Max)
	}
	return min(max(n, 1), max(limit, 1))
}
