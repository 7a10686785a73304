package adapter

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Planned is the shape of an adapter for one layer, known before any base weight is read.
type Planned struct {
	Layer   Layer
	Tensors []PlannedTensor
	Scalars []string // what the file holds beside them: "alpha", "on_input"

	form    form
	alpha   float64
	onInput bool
}

// PlannedTensor is one trainable tensor of a layer and how it starts.
type PlannedTensor struct {
	Suffix string // "hada_w1_a"
	Shape  []int

	draw func(rng *rand.Rand, values []float32)
	from func(w []float32, l Layer) []float32 // computes the start from the base weight instead
}

// Plan lists what New would make for layers under spec. The fault for a spec that adapts no layer is of kind Invalid.
func Plan(layers []Layer, spec Spec) ([]Planned, error) {
	if err := spec.Check(); err != nil {
		return nil, err
	}
	if err := spec.checkBlocks(layers); err != nil {
		return nil, err
	}
	for _, r := range spec.Rules {
		if err := r.matchesOne(layers); err != nil {
			return nil, err
		}
	}
	var plan []Planned
	for _, l := range spec.Select(layers) {
		ls, _ := spec.forLayer(l)
		p := Planned{Layer: l, form: forms[ls.Kind], alpha: ls.alpha}
		if l.norm() {
			p.form = normForm{}
		}
		p.Tensors = p.form.plan(ls, l)
		if ls.UseScalar && jointForm(p.form) {
			p.Tensors = append(p.Tensors, PlannedTensor{Suffix: scalar, Shape: []int{1}, draw: zeros})
		}
		switch p.form.(type) {
		case normForm, fullForm:
			p.alpha = 0
		case ia3Form:
			p.alpha, p.onInput, p.Scalars = 0, ia3OnInput(l), []string{"on_input"}
		case lokrForm:
			if slices.IndexFunc(p.Tensors, func(t PlannedTensor) bool { return t.Suffix != "lokr_w1" && t.Suffix != "lokr_w2" }) < 0 {
				p.alpha = float64(ls.dim) // nothing is low-rank: the scale is 1 whatever was asked
			}
			p.Scalars = []string{"alpha"}
		default:
			p.Scalars = []string{"alpha"}
		}
		if ls.DoRA && !l.norm() {
			p.Tensors = append(p.Tensors, doraPlan(l, ls.DoRAOnInput))
		}
		plan = append(plan, p)
	}
	if len(plan) == 0 {
		return nil, fault.New(fault.Invalid, "adapter", "Preset", "%q with its rules adapts none of %d layers", spec.preset(), len(layers)).
			Fix("choose another preset, or remove the rules that skip")
	}
	return plan, nil
}

// FileSize returns the exact length in bytes of the file that Save writes for the plan, given the metadata it is written with.
func FileSize(plan []Planned, dtype checkpoint.DType, metadata map[string]string) (int64, error) {
	var list []checkpoint.Tensor
	for _, p := range plan {
		for _, t := range p.Tensors {
			if t.Suffix == scalar {
				continue // multiplied into another
			}
			list = append(list, checkpoint.Tensor{Name: p.Layer.Name + "." + t.Suffix, DType: dtype, Shape: t.Shape})
		}
		for _, s := range p.Scalars {
			list = append(list, checkpoint.Tensor{Name: p.Layer.Name + "." + s, DType: dtype})
		}
	}
	return checkpoint.Size(list, metadata)
}

// start returns the tensor's first values. What one tensor draws depends on the seed and its name alone.
func (t PlannedTensor) start(l Layer, seed uint64, weight func(Layer) (*tensors.Tensor, error)) ([]float32, error) {
	if t.from != nil {
		w, err := weight(l)
		if err != nil {
			return nil, err
		}
		var flat []float32
		if err := xla.Try("read base weight", func() { flat = tensors.MustCopyFlatData[float32](w) }); err != nil {
			return nil, err
		}
		return t.from(flat, l), nil
	}
	values := make([]float32, product(t.Shape))
	h := fnv.New64a()
	h.Write([]byte(l.Name + "." + t.Suffix))
	t.draw(rand.New(rand.NewPCG(seed, h.Sum64())), values)
	return values, nil
}

// zeros leaves the values as they are.
func zeros(*rand.Rand, []float32) {}

// normal draws with mean 0 and the given standard deviation.
func normal(deviation float64) func(*rand.Rand, []float32) {
	return func(rng *rand.Rand, values []float32) {
		for i := range values {
			values[i] = float32(rng.NormFloat64() * deviation)
		}
	}
}

// kaiming draws uniformly from ±1/√fanIn, PyTorch's default for linear layers and convolutions.
func kaiming(fanIn int) func(*rand.Rand, []float32) {
	bound := 1 / math.Sqrt(float64(fanIn))
	return func(rng *rand.Rand, values []float32) {
		for i := range values {
			values[i] = float32((2*rng.Float64() - 1) * bound)
		}
	}
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}
