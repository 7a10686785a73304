package spectrum

import (
	"math"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Extraction says how differences become a LoRA or LoCon.
type Extraction struct {
	Linear Rule // ranks of linear layers and 1×1 convolutions
	Conv   Rule // ranks of larger convolutions; a zero Rule leaves them out (a LoRA)

	// MinDiff leaves out the whole text encoder if no value of it differs by more; kohya's extraction uses 0.01. 0 keeps it. Layers that do
	// not differ at all are always left out.
	MinDiff float64
	// Clamp limits the values of both factors to this signed quantile of all of them, above 0.5 to 1; kohya's extraction uses 0.99. 0 does not.
	Clamp float64
	// WholeAbove stores a layer as its full difference where the rank chosen is at least half of its output channels, as LyCORIS does.
	WholeAbove bool
	DType      checkpoint.DType // of the tensors; F16 unless set
}

// Part is one layer of a made adapter.
type Part struct {
	Name  string
	Rank  int     // 0 stands for the full difference
	Share float64 // of the energy that the factors hold
	Error float64 // Frobenius norm of what they miss, over the difference's; after rounding to DType
}

// Extract turns differences into an adapter whose files other programs open, and says of each layer what was kept: up = U·diag(σ), down =
// Vᵀ, alpha = rank, so that the adapter's strength 1 is the difference. A LoHa, or any other kind, becomes a LoCon this way; resizing a
// LoRA or LoCon is extraction from it.
func Extract(d Differences, e Extraction, report Progress) (*adapter.Adapter, []Part, error) {
	if err := e.check(); err != nil {
		return nil, nil, err
	}
	if e.DType == 0 {
		e.DType = checkpoint.F16
	}
	layers := make([]made, len(d))
	text := make([]float64, len(d)) // largest difference of layers of the text encoder
	err := d.each(report, func(i int, m Matrix) (err error) {
		rule := e.Linear
		if m.spatial() {
			rule = e.Conv
		}
		if rule.Mode == "" || m.energy() == 0 {
			return nil
		}
		if e.MinDiff > 0 && isText(m.Key) {
			text[i] = m.largest()
		}
		layers[i], err = e.layer(m, rule)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if e.MinDiff > 0 && slices.Max(append(text, 0)) <= e.MinDiff {
		layers = slices.DeleteFunc(layers, func(l made) bool { return len(l.tensors) > 0 && isText(l.tensors[0].Name) })
	}
	return assemble("extract", layers)
}

// made is one layer's tensors; none of a layer that is left out.
type made struct {
	tensors []checkpoint.Tensor
	part    Part
}

// assemble makes the adapter.
func assemble(op string, layers []made) (*adapter.Adapter, []Part, error) {
	var tensors []checkpoint.Tensor
	var parts []Part
	for _, l := range layers {
		if len(l.tensors) > 0 {
			tensors, parts = append(tensors, l.tensors...), append(parts, l.part)
		}
	}
	if len(parts) == 0 {
		return nil, nil, nothingDiffers(op)
	}
	a, err := adapter.FromTensors(op, tensors, nil)
	return a, parts, err
}

func nothingDiffers(op string) error {
	return fault.New(fault.Invalid, op, "", "no layer differs").Fix("compare a fine-tuned model with the one it was trained from")
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
	case e.Clamp != 0 && !(e.Clamp > 0.5 && e.Clamp <= 1): // of values around 0 a lower quantile is negative, and would be the limit of all
		return fault.New(fault.Invalid, "extract", "Clamp", "%g is not above 0.5 and up to 1", e.Clamp).Fix("use 0.99, or 0 for no limit")
	case e.DType != 0 && !e.DType.Float():
		return fault.New(fault.Invalid, "extract", "DType", "%v holds no numbers", e.DType).Fix("use F16")
	}
	return nil
}

func isText(key string) bool { return strings.HasPrefix(key, "lora_te_") }

// layer makes one layer's tensors.
func (e Extraction) layer(m Matrix, rule Rule) (made, error) {
	if m.Key == "" {
		return made{}, fault.New(fault.Invalid, "extract", m.Name, "the layer has no name in adapter files")
	}
	s := &Spectrum{}
	if rule.Mode != Fixed && rule.Mode != Whole {
		var err error
		if s, err = Of(m); err != nil {
			return made{}, err
		}
	}
	rank := rule.Rank(s, m.limit())
	if rule.Mode == Whole || (e.WholeAbove && 2*rank >= m.Rows) {
		return e.whole(m)
	}
	p, err := decompose(m, rank)
	if err != nil {
		return made{}, err
	}
	rank = len(p.values)
	up, down := make([]float32, m.Rows*rank), make([]float32, rank*m.Cols)
	held := 0.0
	for r, sigma := range p.values {
		held += sigma * sigma
		sign := math.Copysign(1, p.v.At(0, r)) // a singular vector's sign is free, but clamping depends on it
		for i := range m.Rows {
			up[i*rank+r] = float32(sign * p.u.At(i, r) * sigma)
		}
		for j := range m.Cols {
			down[r*m.Cols+j] = float32(sign * p.v.At(j, r))
		}
	}
	if e.Clamp > 0 {
		clamp(e.Clamp, up, down)
	}
	list, err := Factors(m.Key, m.Shape, rank, up, down, e.DType)
	if err != nil {
		return made{}, err
	}
	part := Part{Name: m.Name, Rank: rank, Share: math.Min(held/m.energy(), 1)}
	part.Error, err = missed(m, rank, list)
	return made{list, part}, err
}

// limit is the largest rank that is extracted: as both references have it of checkpoints, the smaller number of channels, even of a convolution
// that has more singular values; of adapters there is no such limit.
func (m Matrix) limit() int {
	if m.product != nil {
		return m.full()
	}
	return min(m.Shape[0], m.Shape[1])
}

// whole stores the difference itself.
func (e Extraction) whole(m Matrix) (made, error) {
	values := m.Values()
	diff, err := store(m.Key+".diff", e.DType, m.Shape, values)
	if err != nil {
		return made{}, err
	}
	rounded, err := diff.Floats()
	if err != nil {
		return made{}, err
	}
	off := 0.0
	for i, v := range values {
		d := float64(v) - float64(rounded[i])
		off += d * d
	}
	off = math.Sqrt(off / m.energy())
	return made{[]checkpoint.Tensor{diff}, Part{Name: m.Name, Share: 1, Error: off}}, nil
}

// store makes a tensor of an adapter, whose values must not leave the range of its type.
func store(name string, dtype checkpoint.DType, shape []int, values []float32) (checkpoint.Tensor, error) {
	if checkpoint.Overflows(dtype, values) {
		return checkpoint.Tensor{}, fault.New(fault.Numeric, "make adapter", name, "it has values above the 65,504 of %v", dtype).Fix("use BF16 or F32")
	}
	return checkpoint.FromFloats(name, dtype, shape, values)
}

// Factors are the tensors of a LoRA's or LoCon's layer of that name in files: up [out, rank] and down [rank, in·kh·kw] for a weight of the
// given shape, and an alpha for which strength 1 is their product.
func Factors(key string, shape []int, rank int, up, down []float32, dtype checkpoint.DType) ([]checkpoint.Tensor, error) {
	ones := make([]int, len(shape)-2)
	for i := range ones {
		ones[i] = 1
	}
	var list []checkpoint.Tensor
	for _, t := range []struct {
		suffix string
		shape  []int
		values []float32
	}{{"lora_up.weight", append([]int{shape[0], rank}, ones...), up}, {"lora_down.weight", append([]int{rank}, shape[1:]...), down},
		{"alpha", nil, []float32{float32(rank)}}} {
		x, err := store(key+"."+t.suffix, dtype, t.shape, t.values)
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

// missProgram is the squared norm of a matrix less a product.
var missProgram = xla.Compile("what factors miss", func(in []*Node) []*Node {
	off := ConvertDType(Sub(in[0], MatMul(in[1], in[2])), dtypes.Float64)
	return []*Node{ReduceAllSum(Square(off))}
})

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
	if m.product == nil && m.Rows*m.Cols*rank >= worthXLA {
		out, err := missProgram.Run(tensors.FromFlatDataAndDimensions(m.values, m.Rows, m.Cols),
			tensors.FromFlatDataAndDimensions(up, m.Rows, rank), tensors.FromFlatDataAndDimensions(down, rank, m.Cols))
		if err != nil {
			return 0, err
		}
		defer out[0].MustFinalizeAll()
		return math.Sqrt(tensors.ToScalar[float64](out[0]) / m.energy()), nil
	}
	stored := Matrix{Name: m.Name, Shape: m.Shape, Rows: m.Rows, Cols: m.Cols,
		product: &adapter.Product{Rows: m.Rows, Rank: rank, Cols: m.Cols, Left: doubles(up), Right: doubles(down)}}
	off, err := add([]float64{1, -1}, []Matrix{m, stored})
	return math.Sqrt(off.energy() / m.energy()), err
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
