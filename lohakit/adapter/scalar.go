package adapter

import . "github.com/gomlx/gomlx/pkg/core/graph"

// scalar is the trained factor on a layer's difference that UseScalar asks for, [1]. Files do not hold it: as in LyCORIS it is multiplied into
// the head when they are written.
const scalar = "scalar"

// head is the suffix of the tensor that is multiplied with the module's scalar; "" for modules without one.
func (m *module) head() string {
	if m.has[scalar] == nil {
		return ""
	}
	for _, suffix := range []string{"lora_up.weight", "hada_w1_a", "lokr_w1", "lokr_w1_a"} {
		if m.has[suffix] != nil {
			return suffix
		}
	}
	return ""
}

// difference is what the form makes of the module's tensors, times its scalar; nil if it makes nothing for the target.
func (c call) difference() *Node {
	delta := c.form.delta(c)
	if delta == nil || c.has[scalar] == nil {
		return delta
	}
	return Mul(delta, ExpandAxes(c.own(scalar), axes(2, delta.Rank())...))
}
