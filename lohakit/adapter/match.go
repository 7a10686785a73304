package adapter

import (
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Match checks that every layer of the adapter exists in m with the shape its tensors make. A layer that does not is a fault of
// kind NotExist, naming those spelt nearest; a shape that does not fit one of kind Invalid.
func (a *Adapter) Match(m *sd.Model) error {
	layers := map[string]Layer{}
	var names []string
	for part, p := range map[checkpoint.Part]*sd.Params{checkpoint.Text: m.Text, checkpoint.UNet: m.UNet} {
		for _, name := range p.Names() {
			if path, ok := strings.CutSuffix(name, ".weight"); ok {
				l := Layer{Part: part, Path: path, Name: layerName(part, path), Shape: p.Shape(name)}
				layers[l.Name] = l
				names = append(names, l.Name)
			}
		}
	}
	for _, name := range a.order {
		l, ok := layers[name]
		if !ok {
			return checkpoint.Unknown("match adapter with model", "layer", name, names)
		}
		if !a.modules[name].fits(l) {
			return fault.New(fault.Invalid, "match adapter with model", name, "its tensors %v do not make the shape %v of the model's layer",
				a.modules[name].has, l.Shape).Fix("use the adapter with models of the size it was made for")
		}
	}
	return nil
}

// fits reports whether the module's tensors make a difference of the layer's shape.
func (m *module) fits(l Layer) bool {
	if len(l.Shape) == 0 {
		return false
	}
	if m.form == (form)(ia3Form{}) {
		axis := 0
		if m.on {
			axis = 1
		}
		return len(l.Shape) > axis && product(m.has["weight"]) == l.Shape[axis]
	}
	if !m.lengthsFit(l) {
		return false
	}
	out, in := l.flat()
	switch m.form.(type) {
	case fullForm:
		return product(m.has["diff"]) == out*in && (m.has["diff_b"] == nil || product(m.has["diff_b"]) == out)
	case normForm:
		return l.norm() && product(m.has["w_norm"]) == out && (m.has["b_norm"] == nil || product(m.has["b_norm"]) == out)
	}
	if l.norm() {
		return false
	}
	has := func(suffix string, shape ...int) bool { return slices.Equal(m.has[suffix], shape) }
	core := func(suffix string, r int) bool { // of a Tucker form
		return len(l.Shape) == 4 && has(suffix, r, r, l.Shape[2], l.Shape[3])
	}
	first := func(suffix string) int { return m.has[suffix][0] }
	rest := func(suffix string) int { return product(m.has[suffix][1:]) }
	switch m.form.(type) {
	case lohaForm:
		r1, r2 := first("hada_w1_b"), first("hada_w2_b")
		if m.has["hada_t1"] != nil {
			return core("hada_t1", r1) && has("hada_w1_a", r1, out) && has("hada_w1_b", r1, l.Shape[1]) &&
				core("hada_t2", r2) && has("hada_w2_a", r2, out) && has("hada_w2_b", r2, l.Shape[1])
		}
		return has("hada_w1_a", out, r1) && has("hada_w1_b", r1, in) && has("hada_w2_a", out, r2) && has("hada_w2_b", r2, in)
	case loconForm:
		r := first("lora_down.weight")
		if first("lora_up.weight") != out || rest("lora_up.weight") != r {
			return false
		}
		if m.has["lora_mid.weight"] != nil {
			return core("lora_mid.weight", r) && rest("lora_down.weight") == l.Shape[1]
		}
		return rest("lora_down.weight") == in
	case lokrForm:
		a, b, ok := m.factor("lokr_w1", "lokr_w1_a", "lokr_w1_b")
		switch {
		case !ok || out%a != 0 || in%b != 0:
			return false
		case m.has["lokr_w2"] != nil:
			return first("lokr_w2") == out/a && rest("lokr_w2") == in/b
		case m.has["lokr_t2"] != nil:
			r := first("lokr_w2_a")
			return core("lokr_t2", r) && has("lokr_w2_a", r, out/a) && l.Shape[1]%b == 0 && has("lokr_w2_b", r, l.Shape[1]/b)
		}
		c, d, ok := m.factor("", "lokr_w2_a", "lokr_w2_b")
		return ok && c == out/a && d == in/b
	}
	return false
}

// lengthsFit reports whether DoRA's lengths, if there are any, run along the layer's output or input channels.
func (m *module) lengthsFit(l Layer) bool {
	d := m.has["dora_scale"]
	if d == nil {
		return true
	}
	if l.norm() { // it has no input channels
		return false
	}
	along := func(axis int) bool {
		shape := slices.Repeat([]int{1}, len(l.Shape))
		shape[axis] = l.Shape[axis]
		return slices.Equal(d, shape)
	}
	return along(0) || along(1)
}

// factor is the size of a matrix, whole or as the product of two; ok is false if it is none.
func (m *module) factor(whole, left, right string) (rows, columns int, ok bool) {
	if shape := m.has[whole]; shape != nil {
		return shape[0], shape[len(shape)-1], len(shape) == 2
	}
	x, y := m.has[left], m.has[right]
	return x[0], y[len(y)-1], len(x) == 2 && len(y) == 2 && x[1] == y[0]
}
