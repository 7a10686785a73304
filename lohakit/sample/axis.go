package sample

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Axis varies one thing over the rows or columns of a grid.
type Axis struct {
	Name   string   // what varies, as web UIs call it: "Seed"
	Labels []string // of its places
	set    func(r *Request, i int) error
}

// Vary is an axis over anything: set changes the request for place i. The request may be changed freely but for what its maps hold.
func Vary(name string, labels []string, set func(r *Request, i int) error) Axis {
	return Axis{name, labels, set}
}

// over is an axis over values of one option, labelled by them.
func over[T any](name string, values []T, set func(r *Request, v T)) Axis {
	labels := make([]string, len(values))
	for i, v := range values {
		labels[i] = fmt.Sprint(v)
	}
	return Axis{name, labels, func(r *Request, i int) error { set(r, values[i]); return nil }}
}

// Seeds varies the seed.
func Seeds(v ...int64) Axis { return over("Seed", v, func(r *Request, v int64) { r.Options.Seed = v }) }

// StepCounts varies the number of sampler steps.
func StepCounts(v ...int) Axis {
	return over("Steps", v, func(r *Request, v int) { r.Options.Steps = v })
}

// CFGs varies the guidance scale.
func CFGs(v ...float64) Axis {
	return over("CFG Scale", v, func(r *Request, v float64) { r.Options.CFG = v })
}

// SamplerNames varies the sampler.
func SamplerNames(v ...string) Axis {
	return over("Sampler", v, func(r *Request, v string) { r.Options.Sampler = v })
}

// ClipSkips varies the layer of the text encoder that is used.
func ClipSkips(v ...int) Axis {
	return over("Clip skip", v, func(r *Request, v int) { r.Options.ClipSkip = v })
}

// Prompts varies the whole prompt.
func Prompts(v ...string) Axis {
	return over("Prompt", v, func(r *Request, v string) { r.Options.Prompt = v })
}

// Negatives varies the whole negative prompt.
func Negatives(v ...string) Axis {
	return over("Negative prompt", v, func(r *Request, v string) { r.Options.Negative = v })
}

// PromptSR is the web UIs' prompt search and replace: the first place leaves the prompts as they are, each other one has the first
// value replaced by its own, in the prompt and the negative prompt. A grid whose prompts lack the first value is refused.
func PromptSR(search string, replace ...string) Axis {
	values := append([]string{search}, replace...)
	return Axis{"Prompt S/R", values, func(r *Request, i int) error {
		o := &r.Options
		if search == "" || !strings.Contains(o.Prompt+"\n"+o.Negative, search) {
			return fault.New(fault.Invalid, "draw grid", "Prompt S/R", "neither prompt contains %q", search).Fix("make the first value a part of the prompt")
		}
		o.Prompt, o.Negative = strings.ReplaceAll(o.Prompt, search, values[i]), strings.ReplaceAll(o.Negative, search, values[i])
		return nil
	}}
}

// Weights varies the weight of the last of the grid's adapters, on both networks.
func Weights(v ...float64) Axis {
	return Axis{"Adapter weight", over("", v, nil).Labels, func(r *Request, i int) error {
		if len(r.Adapters) == 0 {
			return fault.New(fault.Invalid, "draw grid", "Adapter weight", "the grid has no adapter").Fix("give it one")
		}
		r.Adapters = slices.Clone(r.Adapters)
		last := &r.Adapters[len(r.Adapters)-1]
		last.Text, last.UNet = v[i], v[i]
		return nil
	}}
}

// Named is a thing and what a grid calls it.
type Named[T any] struct {
	Name string
	Of   T
}

// Models varies the base model.
func Models(v ...Named[*sd.Model]) Axis {
	return Axis{"Model", names(v), func(r *Request, i int) error { r.Model = v[i].Of; return nil }}
}

// Adapters varies the adapter: each place adds its own, at weight 1, to the grid's; nil adds none.
func Adapters(v ...Named[*adapter.Adapter]) Axis {
	return Axis{"Adapter", names(v), func(r *Request, i int) error { addAdapter(r, v[i].Of); return nil }}
}

// Checkpoints varies the training step: adapters saved along one run.
func Checkpoints(steps []int, adapters []*adapter.Adapter) Axis {
	return Axis{"Step", over("", steps, nil).Labels, func(r *Request, i int) error {
		if len(adapters) != len(steps) {
			return fault.New(fault.Invalid, "draw grid", "Step", "%d steps and %d adapters", len(steps), len(adapters))
		}
		addAdapter(r, adapters[i])
		return nil
	}}
}

func addAdapter(r *Request, a *adapter.Adapter) {
	if a != nil {
		r.Adapters = append(slices.Clone(r.Adapters), At(a, 1))
	}
}

func names[T any](v []Named[T]) []string {
	out := make([]string, len(v))
	for i := range v {
		out[i] = v[i].Name
	}
	return out
}

// Cross is the axis of all pairs of places of a and b, b the faster: runs × seeds.
func Cross(a, b Axis) Axis {
	var labels []string
	for _, x := range a.Labels {
		for _, y := range b.Labels {
			labels = append(labels, x+", "+y)
		}
	}
	return Axis{a.Name + " × " + b.Name, labels, func(r *Request, i int) error {
		if err := a.set(r, i/len(b.Labels)); err != nil {
			return err
		}
		return b.set(r, i%len(b.Labels))
	}}
}

// Ints reads values as web UIs type them: "1, 2, 5", ranges "1-5", with a stride "1-9(+2)", or a count "1-10[5]", whose values are cut to whole
// numbers. A list of more than 1,000 values is a fault of kind Invalid.
func Ints(list string) ([]int, error) {
	return readValues(list, func(item string) ([]int, error) {
		if v, err := strconv.Atoi(item); err == nil {
			return []int{v}, nil
		}
		values, err := valuesOf(item)
		if err != nil {
			return nil, err
		}
		out := make([]int, len(values))
		for i, v := range values {
			if whole := v == math.Trunc(v) || strings.HasSuffix(item, "]"); !whole || math.Abs(v) > 1<<53 {
				return nil, fault.New(fault.Invalid, "read values", "", "%.40q is not of whole numbers up to 2⁵³", item).Fix(`write "1, 2", "1-5", "1-9(+2)" or "1-10[5]"`)
			}
			out[i] = int(v)
		}
		return out, nil
	})
}

// Floats is Ints for numbers with a point; a range without stride or count counts by 1.
func Floats(list string) ([]float64, error) { return readValues(list, valuesOf) }

// maxValues bounds the values of one list.
const maxValues = 1000

// readValues reads the items of a list, each with a function.
func readValues[T any](list string, read func(item string) ([]T, error)) (out []T, err error) {
	for item := range strings.SplitSeq(list, ",") {
		v, err := read(strings.TrimSpace(item))
		if err != nil {
			return nil, err
		}
		if out = append(out, v...); len(out) > maxValues {
			return nil, tooMany(list)
		}
	}
	return out, nil
}

func tooMany(list string) error {
	return fault.New(fault.Invalid, "read values", "", "%.40q has more than %d values", list, maxValues).Fix(`take a larger stride, or a count: "1-10[5]"`)
}

// rangeSyntax is from-to, then (+stride) or [count].
var rangeSyntax = regexp.MustCompile(`^([+-]?[\d.]+)\s*-\s*([+-]?[\d.]+)\s*(?:\(([+-][\d.]+)\)|\[(\d+)\])?$`)

// valuesOf is the number or the range of numbers that an item stands for.
func valuesOf(item string) ([]float64, error) {
	bad := fault.New(fault.Invalid, "read values", "", "%.40q is neither a number nor a range", item).Fix(`write "1, 2", "1-5", "1-9(+2)" or "1-10[5]"`)
	if v, err := strconv.ParseFloat(item, 64); err == nil && finite(v) {
		return []float64{v}, nil
	}
	m := rangeSyntax.FindStringSubmatch(item)
	if m == nil {
		return nil, bad
	}
	from, err1 := strconv.ParseFloat(m[1], 64)
	to, err2 := strconv.ParseFloat(m[2], 64)
	if err1 != nil || err2 != nil || !finite(to-from) {
		return nil, bad
	}
	stride, count := 1.0, 0.0
	switch {
	case m[3] != "":
		stride, _ = strconv.ParseFloat(m[3], 64)
	case from > to:
		stride = -1
	}
	if m[4] != "" {
		count, _ = strconv.ParseFloat(m[4], 64)
		stride = (to - from) / max(count-1, 1)
	} else {
		count = math.Floor((to-from)/stride+1e-9) + 1
	}
	switch {
	case count > maxValues:
		return nil, tooMany(item)
	case !(count >= 1):
		return nil, bad
	}
	out := make([]float64, int(count))
	for i := range out {
		out[i] = withoutRounding(from + float64(i)*stride)
	}
	return out, nil
}

// withoutRounding is the number of 15 digits that v is but for rounding: 0.3 for 0.30000000000000004.
func withoutRounding(v float64) float64 {
	if v == math.Trunc(v) {
		return v
	}
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64) // as it prints, it reads
	return short
}
