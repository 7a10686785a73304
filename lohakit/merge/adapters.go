package merge

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/spectrum"
)

// Weighted is an adapter at a weight, 1 being as trained.
type Weighted struct {
	Adapter *adapter.Adapter
	Weight  float64
}

// Adapters merges adapters of any kinds for m into one that does at strength 1 what they do one after another, exactly but for the rounding
// to dtype (F16 unless set). A layer that all change by products of small rank, as LoRA, LoCon and LoHa do, becomes a LoCon whose rank is the
// sum of theirs (dim, or for LoHa dim²), as long as that is smaller than the layer; any other becomes its full difference. Normalisations
// and biases are merged too, and embeddings put together.
func Adapters(m *sd.Model, dtype checkpoint.DType, report spectrum.Progress, list ...Weighted) (*adapter.Adapter, error) {
	if len(list) == 0 {
		return nil, fault.New(fault.Invalid, "merge adapters", "", "there are none").Fix("give one or more")
	}
	if dtype == 0 {
		dtype = checkpoint.F16
	}
	layers := []string{} // paths of modules, in the order of the model
	changed := map[string]bool{}
	base := map[string]*tensors.Tensor{}
	for i, w := range list {
		at := fmt.Sprintf("number %d of %d", i+1, len(list))
		if w.Adapter == nil {
			return nil, fault.New(fault.Invalid, "merge adapters", at, "it is nil").Fix("load it: lohakit.LoadAdapter")
		}
		if !(math.Abs(w.Weight) <= math.MaxFloat64) {
			return nil, fault.New(fault.Invalid, "merge adapters", at, "weight %g", w.Weight).Fix("use 1, which is as trained")
		}
		if err := w.Adapter.Match(m); err != nil {
			return nil, err
		}
	}
	for _, params := range []*sd.Params{m.Text, m.UNet} {
		for _, w := range list {
			for _, name := range w.Adapter.Changes(params) {
				changed[name], base[name] = true, params.Get(name)
			}
		}
		for _, name := range params.Names() {
			path := name[:max(strings.LastIndexByte(name, '.'), 0)]
			if changed[name] && !slices.Contains(layers, path) {
				layers = append(layers, path)
				base[path+".weight"] = params.Get(path + ".weight")
			}
		}
	}
	var out []checkpoint.Tensor
	for i, path := range layers {
		j := joined{list: list, path: path, key: keyOf(path), base: base[path+".weight"], dtype: dtype}
		made, err := j.tensors(changed[path+".bias"], base[path+".bias"])
		if err != nil {
			return nil, err
		}
		out = append(out, made...)
		if report != nil {
			if err := report(i+1, len(layers)); err != nil {
				return nil, err
			}
		}
	}
	merged, err := adapter.FromTensors("merge adapters", out, nil)
	if err != nil {
		return nil, err
	}
	for _, w := range list {
		merged.Embeddings = sd.JoinEmbeddings(merged.Embeddings, w.Adapter.Embeddings)
	}
	return merged, nil
}

// keyOf is the name in files of the layer at a diffusers path.
func keyOf(path string) string {
	prefix := "lora_unet_"
	if strings.HasPrefix(path, "text_model.") {
		prefix = "lora_te_"
	}
	return prefix + strings.ReplaceAll(path, ".", "_")
}

// joined is one layer that adapters change.
type joined struct {
	list  []Weighted
	path  string
	key   string
	base  *tensors.Tensor // its weight
	dtype checkpoint.DType
}

func (j joined) tensors(withBias bool, bias *tensors.Tensor) ([]checkpoint.Tensor, error) {
	shape := j.base.Shape().Dimensions
	if !withBias && len(shape) > 1 {
		if list, err := j.product(shape); list != nil || err != nil {
			return list, err
		}
	}
	suffixes := [2]string{".diff", ".diff_b"}
	if len(shape) == 1 {
		suffixes = [2]string{".w_norm", ".b_norm"}
	}
	weight, err := j.difference(j.path+".weight", suffixes[0], j.base)
	if err != nil || !withBias {
		return []checkpoint.Tensor{weight}, err
	}
	offset, err := j.difference(j.path+".bias", suffixes[1], bias)
	return []checkpoint.Tensor{weight, offset}, err
}

// product joins the thin products of all adapters; nil if one makes none, or if together they are no smaller than the layer.
func (j joined) product(shape []int) ([]checkpoint.Tensor, error) {
	var of []*adapter.Product
	var weights []float64
	rank := 0
	for _, w := range j.list {
		if !slices.Contains(w.Adapter.Names(), j.key) {
			continue
		}
		p, err := w.Adapter.Product(j.key, shape)
		if p == nil || err != nil {
			return nil, err
		}
		of, weights, rank = append(of, p), append(weights, w.Weight), rank+p.Rank
	}
	rows, cols := of[0].Rows, of[0].Cols
	if rank*(rows+cols) >= rows*cols {
		return nil, nil
	}
	up, down := make([]float32, rows*rank), make([]float32, rank*cols)
	at := 0
	for i, p := range of {
		for k := range p.Rank {
			// both sides get the same length, so that neither leaves the range of float16
			l, r := 0.0, 0.0
			for o := range rows {
				l += p.Left[o*p.Rank+k] * p.Left[o*p.Rank+k]
			}
			for _, v := range p.Right[k*cols : (k+1)*cols] {
				r += v * v
			}
			scale := 1.0
			if l > 0 && r > 0 {
				scale = math.Sqrt(math.Sqrt(r / (l * weights[i] * weights[i])))
			}
			if math.IsInf(scale, 0) { // of weight 0
				scale = 1
			}
			for o := range rows {
				up[o*rank+at] = float32(p.Left[o*p.Rank+k] * weights[i] * scale)
			}
			for c, v := range p.Right[k*cols : (k+1)*cols] {
				down[at*cols+c] = float32(v / scale)
			}
			at++
		}
	}
	return spectrum.Factors(j.key, shape, rank, up, down, j.dtype)
}

// difference is what the adapters change of one weight, one after another, as those that multiply it must.
func (j joined) difference(name, suffix string, base *tensors.Tensor) (checkpoint.Tensor, error) {
	start, err := floats(name, base)
	if err != nil {
		return checkpoint.Tensor{}, err
	}
	total, now := make([]float64, len(start)), base
	for _, w := range j.list {
		if !slices.Contains(w.Adapter.Names(), j.key) || !w.changes(name, j.key) {
			continue
		}
		if now != base { // base is still the model's
			sum := make([]float32, len(start))
			for i, v := range start {
				sum[i] = float32(float64(v) + total[i])
			}
			now = tensors.FromFlatDataAndDimensions(sum, base.Shape().Dimensions...)
		}
		if err := w.add(total, name, j.key, now); err != nil {
			return checkpoint.Tensor{}, err
		}
		now = nil
	}
	values := make([]float32, len(total))
	for i, v := range total {
		values[i] = float32(v)
	}
	if checkpoint.Overflows(j.dtype, values) {
		return checkpoint.Tensor{}, fault.New(fault.Numeric, "merge adapters", name, "has values above the 65,504 of %v", j.dtype).Fix("use BF16 or F32")
	}
	return checkpoint.FromFloats(j.key+suffix, j.dtype, base.Shape().Dimensions, values)
}

// changes reports whether the adapter has a difference for a weight or bias of its layer.
func (w Weighted) changes(name, key string) bool {
	p := w.Adapter.Params
	if strings.HasSuffix(name, ".bias") {
		return p.Has(key+".diff_b") || p.Has(key+".b_norm")
	}
	return true
}

// add adds what the adapter makes of the weight as it is now.
func (w Weighted) add(total []float64, name, key string, now *tensors.Tensor) error {
	if w.Adapter.Params.Has(key+".dora_scale") && !strings.HasSuffix(name, ".bias") { // not proportional to its weight
		after, err := w.Adapter.Weight(name, now, w.Weight)
		if err != nil {
			return err
		}
		defer after.MustFinalizeAll()
		x, err := floats(name, after)
		if err != nil {
			return err
		}
		y, err := floats(name, now)
		for i := range y {
			total[i] += float64(x[i]) - float64(y[i])
		}
		return err
	}
	delta, err := w.Adapter.Delta(name, now)
	if err != nil {
		return err
	}
	defer delta.MustFinalizeAll()
	x, err := floats(name, delta)
	for i, v := range x {
		total[i] += w.Weight * float64(v)
	}
	return err
}

func floats(name string, t *tensors.Tensor) ([]float32, error) {
	v, err := tensors.CopyFlatData[float32](t)
	if err != nil {
		return nil, fault.New(fault.Other, "merge adapters", name, "%w", err)
	}
	return v, nil
}
