package spectrum

import (
	"math"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Extraction says how differences become a LoRA or LoCon.
type Extraction struct {
	Linear Rule // ranks of linear layers and 1×1 convolutions
	Conv   Rule // ranks of larger convolutions; a zero Rule leaves them out (a LoRA)

	// MinDiff leaves out the whole text encoder if no value of it differs by more; kohya's extraction uses 0.01. 0 keeps it. Layers that do
	// not differ at all are always left out.
	MinDiff float64
	// Clamp limits the values of both factors to this signed quantile of all of them, 0 to 1; kohya's extraction uses 0.99. 0 does not.
	Clamp float64
	// WholeAbove stores a layer as its full difference where the rank chosen is at least half of its output channels, as LyCORIS does.
	WholeAbove bool
	DType      checkpoint.DType // of the tensors; F16 unless set
}

// Part is one layer of an extracted adapter.
type Part struct {
	Name  string
	Rank  int     // 0 stands for the full difference
	Share float64 // of the energy that the factors hold
	Error float64 // Frobenius norm of what they miss, over the difference's; after rounding to DType
}

// Extract turns differences (OfModels, OfAdapter, Sum) into the tensors of an adapter file that other programs open, for checkpoint.Write and
// adapter.Load, and says of each layer what was kept: up = U·diag(σ), down = Vᵀ, alpha = rank, so that the adapter's
// strength 1 is the difference. A LoHa, or any other kind, becomes a LoCon this way; resizing is extraction from the adapter.
func Extract(d Differences, e Extraction) ([]checkpoint.Tensor, []Part, error) {
	if err := e.check(); err != nil {
		return nil, nil, err
	}
	if e.DType == 0 {
		e.DType = checkpoint.F16
	}
	var tensors []checkpoint.Tensor
	var parts []Part
	text := 0.0 // largest difference in the text encoder
	err := d(func(m Matrix) error {
		rule, most := e.Linear, largest(m)
		if spatial(m) {
			rule = e.Conv
		}
		if rule.Mode == "" || most == 0 {
			return nil
		}
		if isText(m.Key) {
			text = math.Max(text, most)
		}
		list, part, err := e.layer(m, rule)
		if err != nil {
			return err
		}
		tensors, parts = append(tensors, list...), append(parts, part)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if e.MinDiff > 0 && text <= e.MinDiff {
		tensors = slices.DeleteFunc(tensors, func(t checkpoint.Tensor) bool { return isText(t.Name) })
		parts = slices.DeleteFunc(parts, func(p Part) bool { return strings.HasPrefix(p.Name, "text_model.") })
	}
	if len(parts) == 0 {
		return nil, nil, fault.New(fault.Invalid, "extract", "", "no layer differs").Fix("compare a fine-tuned model with the one it was trained from")
	}
	return tensors, parts, nil
}

func (e Extraction) check() error {
	for _, r := range []Rule{e.Linear, e.Conv} {
		if r != (Rule{}) {
			if err := r.Check(); err != nil {
				return err
			}
		}
	}
	switch {
	case e.Linear == (Rule{}) && e.Conv == (Rule{}):
		return fault.New(fault.Invalid, "extract", "Linear", "no rule for ranks").Fix(`use Rule{Mode: "fixed", Value: 64}`)
	case !(e.Clamp >= 0 && e.Clamp <= 1):
		return fault.New(fault.Invalid, "extract", "Clamp", "%g is outside 0 … 1", e.Clamp).Fix("use 0.99 or 0")
	case e.DType != 0 && !e.DType.Float():
		return fault.New(fault.Invalid, "extract", "DType", "%v holds no numbers", e.DType).Fix("use F16")
	}
	return nil
}

func spatial(m Matrix) bool { return len(m.Shape) == 4 && m.Shape[2]*m.Shape[3] > 1 }

func isText(key string) bool { return strings.HasPrefix(key, "lora_te_") }

func largest(m Matrix) float64 {
	most := 0.0
	for _, v := range m.Data {
		most = math.Max(most, math.Abs(float64(v)))
	}
	return most
}

// layer makes one layer's tensors.
func (e Extraction) layer(m Matrix, rule Rule) ([]checkpoint.Tensor, Part, error) {
	out, in := m.Shape[0], m.Shape[1]
	limit := min(out, in)
	if m.Key == "" {
		return nil, Part{}, fault.New(fault.Invalid, "extract", m.Name, "the layer has no name in adapter files")
	}
	total := energy(m)
	rank := int(rule.Value)
	if rule.Mode != Fixed && rule.Mode != Whole {
		s, err := Of(m)
		if err != nil {
			return nil, Part{}, err
		}
		rank = rule.Rank(s, limit)
	} else {
		rank = rule.Rank(&Spectrum{}, limit)
	}
	if rule.Mode == Whole || (e.WholeAbove && 2*rank >= out) {
		diff, err := checkpoint.FromFloats(m.Key+".diff", e.DType, m.Shape, m.Data)
		return []checkpoint.Tensor{diff}, Part{Name: m.Name, Share: 1}, err
	}
	u, values, v := leadingFactors(m, rank, passes)
	up, down := make([]float32, m.Rows*rank), make([]float32, rank*m.Cols)
	held := 0.0
	for r, sigma := range values {
		held += sigma * sigma
		for i := range m.Rows {
			up[i*rank+r] = float32(u.At(i, r) * sigma)
		}
		for j := range m.Cols {
			down[r*m.Cols+j] = float32(v.At(j, r))
		}
	}
	if e.Clamp > 0 {
		clamp(e.Clamp, up, down)
	}
	ones := make([]int, len(m.Shape)-2)
	for i := range ones {
		ones[i] = 1
	}
	var list []checkpoint.Tensor
	for _, t := range []struct {
		suffix string
		shape  []int
		values []float32
	}{{"lora_up.weight", append([]int{out, rank}, ones...), up}, {"lora_down.weight", append([]int{rank}, m.Shape[1:]...), down},
		{"alpha", nil, []float32{float32(rank)}}} {
		x, err := checkpoint.FromFloats(m.Key+"."+t.suffix, e.DType, t.shape, t.values)
		if err != nil {
			return nil, Part{}, err
		}
		list = append(list, x)
	}
	part := Part{Name: m.Name, Rank: rank, Share: math.Min(held/total, 1)}
	var err error
	part.Error, err = missed(m, rank, list)
	return list, part, err
}

// missed is the norm of m less the product of the stored factors, over m's norm.
func missed(m Matrix, rank int, list []checkpoint.Tensor) (float64, error) {
	up, err := list[0].Floats()
	if err != nil {
		return 0, err
	}
	down, err := list[1].Floats()
	if err != nil {
		return 0, err
	}
	p := dense(Matrix{Rows: m.Rows, Cols: rank, Data: up})
	product := dense(m)
	product.Mul(p, dense(Matrix{Rows: rank, Cols: m.Cols, Data: down}))
	sum := 0.0
	for i, v := range product.RawMatrix().Data {
		d := float64(m.Data[i]) - v
		sum += d * d
	}
	return math.Sqrt(sum / energy(m)), nil
}

// clamp limits all values to plus and minus their signed quantile q, interpolated between neighbours.
func clamp(q float64, lists ...[]float32) {
	all := slices.Concat(lists...)
	slices.Sort(all)
	at := q * float64(len(all)-1)
	i := min(int(at), len(all)-1)
	high := float64(all[i])
	if i+1 < len(all) {
		high += (at - float64(i)) * (float64(all[i+1]) - float64(all[i]))
	}
	limit := float32(high)
	for _, l := range lists {
		for i, v := range l {
			l[i] = max(min(v, limit), -limit)
		}
	}
}

// Size is the bytes the tensors take in a file, and so what a file with a small header weighs.
func Size(tensors []checkpoint.Tensor) int {
	n := 0
	for _, t := range tensors {
		n += len(t.Data)
	}
	return n
}

// Point is one size on a curve of compression.
type Point struct {
	Rank  int
	Bytes int     // of the factors as F16
	Error float64 // norm of what the ranks miss over the norm of all differences
}

// Curve is the error against the size of a LoCon extracted at each of the ranks: compression after training, without making the files.
func Curve(d Differences, ranks ...int) ([]Point, error) {
	out := make([]Point, len(ranks))
	missing := make([]float64, len(ranks))
	total := 0.0
	err := d(func(m Matrix) error {
		s, err := Of(m)
		if err != nil || s.Energy == 0 {
			return err
		}
		total += s.Energy
		for i, r := range ranks {
			n := min(max(r, 1), m.Shape[0], m.Shape[1])
			missing[i] += s.Energy * (1 - s.Share(n))
			out[i].Bytes += 2 * (n*(m.Rows+m.Cols) + 1)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, r := range ranks {
		out[i].Rank = r
		if total > 0 {
			out[i].Error = math.Sqrt(missing[i] / total)
		}
	}
	return out, nil
}
