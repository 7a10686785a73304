package adapter

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/lohakit/sd"
)

// Layout is an adapter without the values of its tensors: all that the graphs of Apply and Grouped depend on. A program keeps it in place of
// the adapter, whose tensors would live as long as the program.
type Layout struct {
	Key    string   // the same for adapters whose Apply differs in values alone, which can share a program
	Params []string // names of the adapter's parameters, sorted
	bare   *Adapter
}

// Layout returns the adapter's layout as it is now.
func (a *Adapter) Layout() Layout {
	l := Layout{Params: a.Params.Names(), bare: &Adapter{Spec: a.Spec, modules: map[string]*module{}}}
	slices.Sort(l.Params)
	var key strings.Builder
	for _, name := range slices.Sorted(slices.Values(a.order)) {
		m := *a.modules[name]
		fmt.Fprintf(&key, "%s %T %v %v %q %v\n", name, m.form, m.alpha, m.on, m.compat, m.has)
		l.bare.modules[name] = &m
	}
	l.Key = key.String()
	return l
}

// Apply is Adapter.Apply.
func (l Layout) Apply(base, own sd.Weights, strength *Node) sd.Weights {
	return l.bare.Apply(base, own, strength)
}

// Grouped is Adapter.Grouped.
func (l Layout) Grouped(groups []Group, tensors []*Node) *Grouped {
	return l.bare.Grouped(groups, tensors)
}
