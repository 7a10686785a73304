package chart

import (
	"image"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Join brings two groups together: numbers below the count of leaves are leaves, the others earlier joins, the first of which has the
// count of leaves as its number.
type Join struct {
	A, B   int
	Height float64 // at which they meet; not below that of either
}

// Tree draws a dendrogram, its leaves down the left side and the height of the joins along x. Groups that meet below seven tenths of the
// whole height have a colour each, as families. The joins must bring all leaves
// together: one fewer than leaves, each group joined once.
func Tree(l Look, leaves []string, joins []Join) (image.Image, error) {
	n := len(leaves)
	if n < 2 || len(joins) != n-1 {
		return nil, fault.New(fault.Invalid, "draw tree", l.Title, "%d joins for %d leaves", len(joins), n).Fix("give one join fewer than leaves, of at least two")
	}
	if err := l.linear("leaves have no place"); err != nil {
		return nil, err
	}
	row, used := 0, make([]bool, 2*n-1)
	for i, j := range joins {
		for _, k := range []int{j.A, j.B} {
			if k < 0 || k >= n+i || used[k] {
				return nil, fault.New(fault.Invalid, "draw tree", l.Title, "join %d takes group %d, which is not there or was taken", i, k).
					Fix("join each group once, after it was made")
			}
			used[k] = true
		}
		if !finite(j.Height) {
			return nil, fault.New(fault.Invalid, "draw tree", l.Title, "join %d is at %g", i, j.Height).Fix("give every join a height that is a number")
		}
	}
	p := l.plot()
	at := make([]float64, 2*n-1) // row of each group
	var ticks []plot.Tick
	var place func(k int)
	place = func(k int) {
		if k < n {
			at[k] = float64(n - 1 - row)
			ticks = append(ticks, plot.Tick{Value: at[k], Label: leaves[k]})
			row++
			return
		}
		place(joins[k-n].A)
		place(joins[k-n].B)
		at[k] = (at[joins[k-n].A] + at[joins[k-n].B]) / 2
	}
	place(2*n - 2)
	height := func(k int) float64 {
		if k < n {
			return 0
		}
		return joins[k-n].Height
	}
	family := families(n, joins)
	for i, j := range joins {
		line, err := plotter.NewLine(plotter.XYs{{X: height(j.A), Y: at[j.A]}, {X: j.Height, Y: at[j.A]}, {X: j.Height, Y: at[j.B]}, {X: height(j.B), Y: at[j.B]}})
		if err != nil {
			return nil, fault.New(fault.Invalid, "draw tree", l.Title, "%w", err)
		}
		line.Color, line.Width = color.Color(ink), vg.Points(1.5)
		if f := family[n+i]; f >= 0 {
			line.Color = colours[f%len(colours)]
		}
		p.Add(line)
	}
	p.Y.Tick.Marker, p.Y.Tick.Length, p.Y.LineStyle.Width = plot.ConstantTicks(ticks), 0, 0
	p.Y.Min, p.Y.Max, p.X.Min = -0.5, float64(n)-0.5, 0
	widen(&p.X, false)
	return l.render(p)
}

// familyHeight is the share of the whole height below which a group is a family.
const familyHeight = 0.7

// families numbers the largest groups that meet below familyHeight; −1 is what belongs to none. Joins follow the leaves.
func families(n int, joins []Join) []int {
	out := make([]int, n+len(joins))
	for i := range out {
		out[i] = -1
	}
	top := joins[len(joins)-1].Height
	count := 0
	for i := len(joins) - 1; i >= 0; i-- {
		own := out[n+i]
		if own < 0 && joins[i].Height < familyHeight*top {
			own = count
			count++
		}
		out[n+i], out[joins[i].A], out[joins[i].B] = own, own, own
	}
	return out
}
