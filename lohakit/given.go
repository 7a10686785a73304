package lohakit

import (
	"math"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
)

// takes is the fault of an adapter that is nil, or of another model.
func (m *Model) takes(op string, a *adapter.Adapter) error {
	if a == nil {
		return fault.New(fault.Invalid, op, "adapter", "it is nil").Fix("load it first: lohakit.LoadAdapter")
	}
	return a.Match(m.Model)
}

// number is the fault of a weight that is none.
func number(op string, weight float64) error {
	if !(math.Abs(weight) <= math.MaxFloat64) {
		return fault.New(fault.Invalid, op, "weight", "%g", weight).Fix("use 1, which is as trained")
	}
	return nil
}
