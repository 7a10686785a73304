package spectrum

import (
	"fmt"
	"image"
	"math"

	"github.com/lohakit/notebook/lohakit/chart"
)

// Point is one size on a curve of compression.
type Point struct {
	Rank  int
	Bytes int     // of the factors as F16: what a file weighs but for its header
	Error float64 // norm of what the ranks miss over the norm of all differences
}

// Curve is the error against the size of a LoCon extracted at each of the ranks: compression after training, without making the files. A rank
// below 1, and differences that are all 0, are faults of kind Invalid.
func Curve(d Differences, report Progress, ranks ...int) ([]Point, error) {
	for _, r := range ranks {
		if err := (Rule{Mode: Fixed, Value: float64(r)}).Check(); err != nil {
			return nil, err
		}
	}
	all, most := make([]*Spectrum, len(d)), make([]int, len(d))
	err := d.each(report, func(i int, m Matrix) (err error) {
		all[i], err = Of(m)
		most[i] = m.limit()
		if m.thin() {
			most[i] = min(most[i], m.product.Rank)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make([]Point, len(ranks))
	missing := make([]float64, len(ranks))
	total := 0.0
	for j, s := range all {
		if s.Energy == 0 {
			continue
		}
		total += s.Energy
		for i, r := range ranks {
			n := min(r, most[j])
			missing[i] += s.Energy * (1 - s.Share(n))
			out[i].Bytes += 2 * (n*(s.Rows+s.Cols) + 1)
		}
	}
	if total == 0 {
		return nil, nothingDiffers("compress")
	}
	for i, r := range ranks {
		out[i].Rank, out[i].Error = r, math.Sqrt(missing[i]/total)
	}
	return out, nil
}

// PlotCurve draws the error against the size, each point named by its rank.
func PlotCurve(l chart.Look, points ...Point) (image.Image, error) {
	l.X, l.Y, l.LogX = "size (MB, float16)", "relative error", true
	var x, y []float64
	var labels []string
	for _, p := range points {
		x, y, labels = append(x, float64(p.Bytes)/1e6), append(y, p.Error), append(labels, fmt.Sprintf("rank %d", p.Rank))
	}
	return chart.Curve(l, labels, x, y)
}
