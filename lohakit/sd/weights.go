package sd

import (
	"maps"
	"slices"
	"sync"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Weights is how graph code asks for a weight: by its diffusers name, such as "down_blocks.0.resnets.0.conv1.weight", with the
// shape it has in files. Asking for a weight that is not there panics with a fault of kind NotExist.
// Adapters wrap one Weights in another that returns W+ΔW for the modules they change.
type Weights struct {
	Get func(name string) *Node

	// Beside, if not nil, is what is added to the output of the layer called name ("mid_block.attentions.0.proj_in") for its input x; nil
	// for nothing. product is the layer without a bias, for any weight of as many input channels and the same kernel. What is to be
	// differentiated must be asked of w, or UNetRecomputing does not see it.
	Beside func(w Weights, name string, x *Node, product func(x, weight *Node) *Node) *Node

	// Made, if not nil, tells from which nodes the weight called name is made, and how, if making it again for the backward pass costs less than
	// keeping it; else make is nil. The gradient then reaches those nodes. They must have the dtype of the layer's input.
	Made func(name string) (from []*Node, make func(from []*Node) *Node)

	prefix string // see under
}

// Params is an ordered set of named tensors. Each tensor moves to the device when a program first reads it, and stays there.
// It may be read by several goroutines at once.
type Params struct {
	mu    sync.RWMutex
	names []string
	index map[string]int
	vals  []*tensors.Tensor
}

// NewParams returns an empty set.
func NewParams() *Params { return &Params{index: map[string]int{}} }

// Set stores t under name: in place of the tensor of that name, or after all others.
func (p *Params) Set(name string, t *tensors.Tensor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.index[name]; ok {
		p.vals[i] = t
		return
	}
	p.index[name] = len(p.names)
	p.names = append(p.names, name)
	p.vals = append(p.vals, t)
}

// shared is the same tensors in a list of their own.
func (p *Params) shared() *Params {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return &Params{names: slices.Clone(p.names), index: maps.Clone(p.index), vals: slices.Clone(p.vals)}
}

// SetAll replaces all tensors, given in the order of Names.
func (p *Params) SetAll(ts []*tensors.Tensor) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(ts) != len(p.vals) {
		return fault.New(fault.Invalid, "set weights", "", "%d tensors for %d names", len(ts), len(p.vals))
	}
	p.vals = slices.Clone(ts)
	return nil
}

// Names returns the names in order.
func (p *Params) Names() []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Clone(p.names)
}

// Len is the number of tensors.
func (p *Params) Len() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.names)
}

// Has reports whether there is a tensor called name.
func (p *Params) Has(name string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, ok := p.index[name]
	return ok
}

// Get returns the tensor called name; nil if there is none.
func (p *Params) Get(name string) *tensors.Tensor {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if i, ok := p.index[name]; ok {
		return p.vals[i]
	}
	return nil
}

// Shape returns the dimensions of the tensor called name; nil if there is none.
func (p *Params) Shape(name string) []int {
	if t := p.Get(name); t != nil {
		return t.Shape().Dimensions
	}
	return nil
}

// Size is the number of elements of all tensors together.
func (p *Params) Size() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	n := 0
	for _, t := range p.vals {
		n += t.Size()
	}
	return n
}

// Inputs returns the tensors in order, as inputs of an xla.Program.
func (p *Params) Inputs() []any {
	p.mu.RLock()
	defer p.mu.RUnlock()
	in := make([]any, len(p.vals))
	for i, t := range p.vals {
		in[i] = t
	}
	return in
}

// Bind returns the Weights made of nodes, one for each tensor in order: the program's inputs that Inputs became.
// len(nodes) must be at least Len; only the first Len are used.
func (p *Params) Bind(nodes []*Node) Weights { return Bind(p.Names(), nodes) }

// Bind is Params.Bind for names alone, for programs that are to keep no tensor alive.
func Bind(names []string, nodes []*Node) Weights {
	byName := make(map[string]*Node, len(names))
	for i, name := range names {
		byName[name] = nodes[i]
	}
	return Weights{Get: func(name string) *Node {
		node, ok := byName[name]
		if !ok {
			panic(fault.New(fault.NotExist, "build graph", name, "the model has no such tensor"))
		}
		return node
	}}
}
