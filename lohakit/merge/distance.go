package merge

import (
	"context"
	"image"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Distances is how far models are from each other.
type Distances struct {
	Names  []string
	Of     [][]float64            // [i][j]: ‖Wi − Wj‖ / √(‖Wi‖·‖Wj‖) over all weights that take part in merges
	Blocks map[string][][]float64 // the same for each block: "BASE", "IN00" … "OUT11"; NaN where only one of the two is all 0
}

// Measure compares models of one size, one tensor at a time, by the weights they all have. names are what to call them. report, if it is
// not nil, is called after each tensor. A weight that is not finite is a fault of kind Numeric that names file and tensor, and so is a model
// whose weights are all 0.
func Measure(ctx context.Context, names, paths []string, report func(done, total int)) (*Distances, error) {
	if len(names) != len(paths) || len(paths) < 2 {
		return nil, fault.New(fault.Invalid, "measure distances", "", "%d names for %d models", len(names), len(paths)).Fix("give two models or more, and a name for each")
	}
	files := make([]*checkpoint.File, len(paths))
	defer func() {
		for _, f := range files {
			if f != nil {
				f.Close()
			}
		}
	}()
	for i, path := range paths {
		var err error
		if files[i], err = checkpoint.Open(path); err != nil {
			return nil, err
		}
	}
	squares := map[string][][]float64{} // by block: ‖Wi − Wj‖², and ‖Wi‖² on the diagonal
	all := files[0].Names()
	for i, name := range all {
		if report != nil {
			report(i+1, len(all))
		}
		if !mergeable(name, all) || slices.ContainsFunc(files, func(f *checkpoint.File) bool { return !f.Has(name) }) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, fault.New(fault.Canceled, "measure distances", "", "stopped: %w", err)
		}
		if err := measure(name, files, squares); err != nil {
			return nil, err
		}
	}
	if len(squares) == 0 {
		return nil, fault.New(fault.Invalid, "measure distances", paths[0], "the models have no weights in common")
	}
	d := &Distances{Names: names, Blocks: map[string][][]float64{}}
	total := square(len(files))
	for block, s := range squares {
		for i := range s {
			for j := range s {
				total[i][j] += s[i][j]
			}
		}
		d.Blocks[block] = relative(s)
	}
	for i, f := range files {
		if total[i][i] == 0 {
			return nil, fault.New(fault.Numeric, "measure distances", f.Path, "every weight is 0: no distance is relative to that").Fix("leave the model out")
		}
	}
	d.Of = relative(total)
	return d, nil
}

// measure adds one tensor's squares to its block's.
func measure(name string, files []*checkpoint.File, squares map[string][][]float64) error {
	values := make([][]float32, len(files))
	for i, f := range files {
		t, err := f.Tensor(name)
		if err != nil {
			return err
		}
		if !t.DType.Float() {
			return nil
		}
		if values[i], err = t.Floats(); err != nil {
			return err
		}
		if len(values[i]) != len(values[0]) {
			return fault.New(fault.Invalid, "measure distances", f.Path, "%v has another shape than in %s", t, files[0].Path).Fix("compare models of one size")
		}
	}
	block := BlockOf(name)
	if squares[block] == nil {
		squares[block] = square(len(files))
	}
	s := squares[block]
	for i := range files {
		for j := i; j >= 0; j-- { // each model by itself first
			sum := 0.0
			for k, v := range values[i] {
				d := float64(v)
				if i != j {
					d -= float64(values[j][k])
				}
				sum += d * d
			}
			if i == j && !(sum <= math.MaxFloat64) {
				return fault.New(fault.Numeric, "measure distances", files[i].Path, "%s holds NaN or infinity", name).Fix("leave the model out, or repair it")
			}
			s[i][j] += sum
			if i != j {
				s[j][i] += sum
			}
		}
	}
	return nil
}

func square(n int) [][]float64 {
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, n)
	}
	return out
}

// relative turns squares into distances.
func relative(s [][]float64) [][]float64 {
	out := square(len(s))
	for i := range s {
		for j := range s {
			switch norm := math.Sqrt(s[i][i] * s[j][j]); {
			case i != j && norm > 0:
				out[i][j] = math.Sqrt(s[i][j] / norm)
			case s[i][j] > 0 && i != j:
				out[i][j] = math.NaN()
			}
		}
	}
	return out
}

// Tree joins the closest groups again and again, the distance of two groups being the mean over their members (UPGMA).
func (d *Distances) Tree() []chart.Join {
	n := len(d.Names)
	members := make([][]int, n, 2*n)
	open := make([]int, n)
	for i := range n {
		members[i], open[i] = []int{i}, i
	}
	apart := func(a, b int) float64 {
		sum := 0.0
		for _, i := range members[a] {
			for _, j := range members[b] {
				sum += d.Of[i][j]
			}
		}
		return sum / float64(len(members[a])*len(members[b]))
	}
	var joins []chart.Join
	for len(open) > 1 {
		best := chart.Join{A: open[0], B: open[1], Height: apart(open[0], open[1])}
		for i, a := range open {
			for _, b := range open[i+1:] {
				if h := apart(a, b); h < best.Height {
					best = chart.Join{A: a, B: b, Height: h}
				}
			}
		}
		joins = append(joins, best)
		members = append(members, slices.Concat(members[best.A], members[best.B]))
		open = append(slices.DeleteFunc(open, func(k int) bool { return k == best.A || k == best.B }), len(members)-1)
	}
	return joins
}

// PlotTree draws Tree: families share a branch.
func (d *Distances) PlotTree(l chart.Look) (image.Image, error) {
	if l.X == "" {
		l.X = "relative distance of the weights"
	}
	if l.Height == 0 {
		l.Height = max(200, 90+22*len(d.Names))
	}
	return chart.Tree(l, d.Names, d.Tree())
}

// Map places the models in the plane so that their distances there are as near the true ones as a plane allows (classical
// multidimensional scaling).
func (d *Distances) Map() (x, y []float64) {
	n := len(d.Names)
	x, y = make([]float64, n), make([]float64, n)
	b := mat.NewSymDense(n, nil)
	row, mean := make([]float64, n), 0.0
	for i := range n {
		for j := range n {
			row[i] += d.Of[i][j] * d.Of[i][j] / float64(n)
		}
		mean += row[i] / float64(n)
	}
	for i := range n {
		for j := i; j < n; j++ {
			b.SetSym(i, j, -(d.Of[i][j]*d.Of[i][j]-row[i]-row[j]+mean)/2)
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(b, true) {
		return x, y // of numbers that are no distances
	}
	var v mat.Dense
	eigen.VectorsTo(&v)
	values := eigen.Values(nil)
	for axis, to := range [][]float64{x, y} {
		k := n - 1 - axis
		if k < 0 || values[k] <= 0 {
			continue
		}
		sign := 1.0 // the first model lies to the left and below, so that maps of like models look alike
		if v.At(0, k) > 0 {
			sign = -1
		}
		for i := range n {
			to[i] = sign * v.At(i, k) * math.Sqrt(values[k])
		}
	}
	return x, y
}

// PlotMap draws Map.
func (d *Distances) PlotMap(l chart.Look) (image.Image, error) {
	x, y := d.Map()
	return chart.Points(l, d.Names, x, y)
}

// PlotBlocks draws how far the models are from the i-th one, by block: rows are models, columns blocks from input to output.
func (d *Distances) PlotBlocks(l chart.Look, i int) (image.Image, error) {
	if i < 0 || i >= len(d.Names) {
		return nil, fault.New(fault.Invalid, "draw distances", l.Title, "there is no model %d of %d", i, len(d.Names))
	}
	var blocks []string
	for _, b := range order() {
		if d.Blocks[b] != nil {
			blocks = append(blocks, b)
		}
	}
	var rows []string
	var z [][]float64
	for j, name := range d.Names {
		if j == i {
			continue
		}
		row := make([]float64, len(blocks))
		for k, b := range blocks {
			row[k] = d.Blocks[b][i][j]
		}
		rows, z = append(rows, name), append(z, row)
	}
	return chart.Heat(l, rows, blocks, z)
}
