package adapter

import (
	"strings"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
)

// form is how one kind of module makes its difference.
type form interface {
	// plan lists the module's tensors.
	plan(ls layerSpec, l Layer) []PlannedTensor
	// delta is the difference of the layer's weight, behind a leading axis as its tensors have, and otherwise in any shape with as
	// many elements; nil if the form has none for it.
	delta(c call) *Node
}

// call is one use of a module in a graph. A leading axis of all tensors counts layers of the same sizes: one, except in a Group.
type call struct {
	*module
	own    func(suffix string) *Node // the module's tensors
	target string                    // "weight" or "bias"
	base   *Node                     // the weight or bias to change, without the leading axis; nil in a Group
	remade bool                      // the backward pass makes the difference again from own, so keeping nothing of it is no matter here
}

// forms by kind; LoRA is LoCon.
var forms = map[Kind]form{LoHa: lohaForm{}, LoCon: loconForm{}, LoKr: lokrForm{}, IA3: ia3Form{}, Full: fullForm{}}

// Apply wraps the weights of a UNet or a text encoder: those of adapted layers come back changed, the others as they are. own are the
// adapter's parameters, usually a.Params.Bind(nodes). strength scales the change; nil means 1. Each weight is computed once per
// Apply, so call it once per network and graph.
func (a *Adapter) Apply(base, own sd.Weights, strength *Node) sd.Weights {
	return a.wrap(base, func(c call) *Node {
		c.own = c.tensorsOf(own)
		return c.changed(strength)
	})
}

// wrap is base, but the weights of adapted layers are what changed makes of them.
func (a *Adapter) wrap(base sd.Weights, changed func(c call) *Node) sd.Weights {
	done := map[string]*Node{}
	return sd.Weights{Get: func(name string) *Node {
		if w, ok := done[name]; ok {
			return w
		}
		w := base.Get(name)
		if m, target := a.find(name); m != nil {
			c := call{module: m, target: target, base: ConvertDType(w, dtypes.Float32)}
			w = ConvertDType(changed(c), w.DType())
		}
		done[name] = w
		return w
	}}
}

// find returns the module that changes the weight of that diffusers name, and whether as its "weight" or "bias".
func (a *Adapter) find(weight string) (m *module, target string) {
	dot := strings.LastIndexByte(weight, '.')
	if dot < 0 {
		return nil, ""
	}
	part := checkpoint.UNet
	if strings.HasPrefix(weight, "text_model.") {
		part = checkpoint.Text
	}
	return a.modules[layerName(part, weight[:dot])], weight[dot+1:]
}

func (m *module) tensorsOf(own sd.Weights) func(suffix string) *Node {
	return func(suffix string) *Node {
		return InsertAxes(ConvertDType(own.Get(m.name+"."+suffix), dtypes.Float32), 0)
	}
}

// delta is the difference in the weight's shape; nil if there is none.
func (c call) delta() *Node {
	if delta := c.difference(); delta != nil {
		return Reshape(delta, c.base.Shape().Dimensions...)
	}
	return nil
}

// changed is the layer's weight with the module's difference.
func (c call) changed(strength *Node) *Node {
	if delta := c.delta(); delta != nil {
		return c.with(delta, strength)
	}
	return c.base
}

// with is the layer's weight with a difference.
func (c call) with(delta, strength *Node) *Node {
	if c.has["dora_scale"] != nil && c.target == "weight" {
		return c.dora(delta, strength)
	}
	if strength != nil {
		delta = Mul(delta, ConvertDType(strength, delta.DType()))
	}
	return Add(c.base, delta)
}

// scale is alpha over dim.
func (m *module) scale(dim int) float64 {
	if m.alpha == 0 {
		return 1
	}
	return m.alpha / float64(dim)
}
