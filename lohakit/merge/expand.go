package merge

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Share is how much of one source a model holds.
type Share struct {
	Source string
	Amount float64
}

// Mix is a model as a sum of sources, in the order in which the recipe names them. The amounts add up to 1.
type Mix []Share

// Expand follows every line down to the models the recipe starts from: the i-th Mix is that of the i-th line. Sources that cancel out
// stay, with 0.
func (r *Recipe) Expand() []Mix {
	out := make([]Mix, len(r.Lines))
	for i, l := range r.Lines {
		var m Mix
		add := func(name string, factor float64) {
			for _, s := range r.mixOf(name, out[:i]) {
				m = m.plus(s.Source, factor*s.Amount)
			}
		}
		if l.C == "" {
			add(l.A, 1-l.M)
			add(l.B, l.M)
		} else {
			add(l.A, 1)
			add(l.B, l.M)
			add(l.C, -l.M)
		}
		out[i] = m
	}
	return out
}

// mixOf is the mix of a name in a line: an earlier result, by its number or its name, or a source.
func (r *Recipe) mixOf(name string, before []Mix) Mix {
	if i, ok := r.result(name, len(before)); ok {
		return before[i]
	}
	return Mix{{name, 1}}
}

// result is the index of the line, among the first n, whose result a name stands for.
func (r *Recipe) result(name string, n int) (int, bool) {
	if m := outputOf.FindStringSubmatch(name); m != nil {
		k, err := strconv.Atoi(m[1])
		return k - 1, err == nil && k >= 1 && k <= n
	}
	i := slices.IndexFunc(r.Lines[:n], func(l Line) bool { return l.Out == name })
	return i, i >= 0
}

func (m Mix) plus(source string, amount float64) Mix {
	i := slices.IndexFunc(m, func(s Share) bool { return s.Source == source })
	if i < 0 {
		return append(m, Share{source, amount})
	}
	m = slices.Clone(m)
	if m[i].Amount += amount; math.Abs(m[i].Amount) < 1e-12 {
		m[i].Amount = 0 // what is left of amounts that cancel is rounding
	}
	return m
}

// Of is the amount of a source, 0 if it is none.
func (m Mix) Of(source string) float64 {
	for _, s := range m {
		if s.Source == source {
			return s.Amount
		}
	}
	return 0
}

// String prints the mix as a sum: "0.5 bp + 0.5 nep − 0.5 nai".
func (m Mix) String() string {
	var b strings.Builder
	for i, s := range m {
		sign := " + "
		if s.Amount < 0 {
			sign = " − "
		}
		if i > 0 {
			b.WriteString(sign)
		} else if s.Amount < 0 {
			b.WriteString("−")
		}
		fmt.Fprintf(&b, "%.6g %s", math.Abs(s.Amount), s.Source)
	}
	return b.String()
}

// hullSlack is how far rounding of typed weights may leave an amount outside 0 … 1.
const hullSlack = 1e-9

// Warning says that the mix lies outside the convex hull of its sources, and by what: no average of the models, but further along
// their differences than any of them, which is where merges break. "" if it lies inside.
func (m Mix) Warning() string {
	var outside []string
	for _, s := range m {
		if s.Amount < -hullSlack || s.Amount > 1+hullSlack {
			outside = append(outside, fmt.Sprintf("%.6g of %s", s.Amount, s.Source))
		}
	}
	if outside == nil {
		return ""
	}
	return "outside the convex hull of the sources: " + strings.Join(outside, ", ")
}

// Report prints what every line comes to, with its warning.
func (r *Recipe) Report() string {
	var b strings.Builder
	for i, m := range r.Expand() {
		fmt.Fprintf(&b, "%s = %v\n", r.Lines[i].Out, m)
		if w := m.Warning(); w != "" {
			fmt.Fprintf(&b, "  warning: %s\n", w)
		}
	}
	return b.String()
}
