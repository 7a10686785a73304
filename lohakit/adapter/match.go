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
	at := func(suffix string, axis int) int {
		if shape := m.has[suffix]; axis < len(shape) {
			return shape[axis]
		}
		return -1
	}
	rest := func(suffix string) int { return product(m.has[suffix][1:]) }
	if m.form == (form)(ia3Form{}) {
		axis := 0
		if m.on {
			axis = 1
		}
		return len(l.Shape) > axis && product(m.has["weight"]) == l.Shape[axis]
	}
	if d := m.has["dora_scale"]; d != nil {
		if len(d) != len(l.Shape) {
			return false
		}
		for axis, n := range d {
			if n != 1 && n != l.Shape[axis] {
				return false
			}
		}
	}
	out, in := l.flat()
	switch m.form.(type) {
	case fullForm:
		return product(m.has["diff"]) == out*in
	case normForm:
		return product(m.has["w_norm"]) == out*in && l.norm()
	}
	if l.norm() {
		return false
	}
	kernel := product(l.Shape[2:])
	switch m.form.(type) {
	case lohaForm:
		r1, r2 := at("hada_w1_b", 0), at("hada_w2_b", 0)
		if core := m.has["hada_t1"]; core != nil {
			return slices.Equal(core, append([]int{r1, r1}, l.Shape[2:]...)) &&
				slices.Equal(m.has["hada_t2"], append([]int{r2, r2}, l.Shape[2:]...)) &&
				at("hada_w1_a", 0) == r1 && at("hada_w2_a", 0) == r2 && at("hada_w1_a", 1) == out && at("hada_w2_a", 1) == out &&
				at("hada_w1_b", 1)*kernel == in && at("hada_w2_b", 1)*kernel == in
		}
		return at("hada_w1_a", 0) == out && at("hada_w2_a", 0) == out && at("hada_w1_a", 1) == r1 && at("hada_w2_a", 1) == r2 &&
			rest("hada_w1_b") == in && rest("hada_w2_b") == in
	case loconForm:
		r := at("lora_down.weight", 0)
		if core := m.has["lora_mid.weight"]; core != nil {
			return slices.Equal(core, append([]int{r, r}, l.Shape[2:]...)) && rest("lora_down.weight")*kernel == in &&
				at("lora_up.weight", 0) == out && rest("lora_up.weight") == r
		}
		return at("lora_up.weight", 0) == out && rest("lora_up.weight") == r && rest("lora_down.weight") == in
	case lokrForm:
		a, b := at("lokr_w1", 0), at("lokr_w1", 1)
		if a < 0 {
			if at("lokr_w1_a", 1) != at("lokr_w1_b", 0) {
				return false
			}
			a, b = at("lokr_w1_a", 0), at("lokr_w1_b", 1)
		}
		c, d := at("lokr_w2", 0), 0
		switch {
		case c >= 0:
			d = rest("lokr_w2")
		case m.has["lokr_t2"] != nil:
			r := at("lokr_w2_a", 0)
			if !slices.Equal(m.has["lokr_t2"], append([]int{r, r}, l.Shape[2:]...)) || at("lokr_w2_b", 0) != r {
				return false
			}
			c, d = at("lokr_w2_a", 1), at("lokr_w2_b", 1)*kernel
		default:
			if at("lokr_w2_a", 1) != at("lokr_w2_b", 0) {
				return false
			}
			c, d = at("lokr_w2_a", 0), at("lokr_w2_b", 1)
		}
		return a*c == out && b*d == in
	}
	return false
}
