package merge

import (
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// merging is one line with its open operands; c is nil in a weighted sum.
type merging struct {
	line     Line
	a, b, c  *checkpoint.File
	blocks   map[string]Blocks
	progress func(l Line, done, total int)
}

// piece is what happens to one tensor.
type piece struct {
	out     checkpoint.Tensor // of the result, without data
	a, b, c checkpoint.Tensor
	weight  float32
	rest    float32 // 1 − weight, rounded on its own
	op      operation
	byRest  *halfTable // of rest, or of 1 in a difference; nil unless every operand is float16
	byM     *halfTable // of weight
}

type operation uint8

const (
	keep       operation = iota // a as it is
	sum                         // rest·a + weight·b
	difference                  // a + weight·(b − c)
	alone                       // b − c, of a tensor that only b has
)

// plan lists what happens to every tensor, by the rules of the web UI's merger: tensors whose names hold no "model", such as schedules, and
// those that are not floating-point stay A's; what only B has is added.
func (m merging) plan() ([]piece, error) {
	names := m.a.Names()
	for _, name := range m.b.Names() {
		if !m.a.Has(name) && mergeable(name, names) {
			names = append(names, name)
		}
	}
	all := m.a.Names()
	var out []piece
	quick := tables{}
	for _, name := range names {
		p := piece{}
		var err error
		if m.a.Has(name) {
			if p.a, err = m.a.Tensor(name); err != nil {
				return nil, err
			}
		}
		p.out = checkpoint.Tensor{Name: name, DType: p.a.DType, Shape: p.a.Shape}
		if mergeable(name, all) && m.b.Has(name) {
			if p.b, err = m.b.Tensor(name); err != nil {
				return nil, err
			}
			if m.c != nil && m.c.Has(name) {
				if p.c, err = m.c.Tensor(name); err != nil {
					return nil, err
				}
			}
			if err := m.decide(&p); err != nil {
				return nil, err
			}
			p.prepare(quick)
		}
		if m.line.Half && p.out.DType == checkpoint.F32 && mergeable(name, all) {
			p.out.DType = checkpoint.F16
		}
		out = append(out, p)
	}
	return out, nil
}

// mergeable reports whether a tensor takes part. The web UI's rule knows single-file names; a file of others merges whole.
func mergeable(name string, all []string) bool {
	single := slices.ContainsFunc(all, func(n string) bool { return strings.HasPrefix(n, "model.diffusion_model.") })
	return (!single || strings.Contains(name, "model")) && !strings.HasSuffix(name, "position_ids")
}

// decide chooses the operation and the result's type for a tensor that B has.
func (m merging) decide(p *piece) error {
	for _, t := range []checkpoint.Tensor{p.a, p.b, p.c} {
		if t.Name != "" && !t.DType.Float() {
			if p.a.Name == "" {
				p.out, p.a = checkpoint.Tensor{Name: p.b.Name, DType: p.b.DType, Shape: p.b.Shape}, p.b
			}
			return nil
		}
		if t.Name != "" && !slices.Equal(t.Shape, p.b.Shape) {
			return fault.New(fault.Invalid, "merge", m.line.Out, "%v and %v of line %d have different shapes", t, p.b, m.line.Number).Fix("merge models of one size")
		}
	}
	weight := m.line.M
	if blocks, ok := m.blocks[m.line.Out]; ok {
		weight = blocks.Weight(p.b.Name)
	}
	p.weight, p.rest = float32(weight), float32(1-weight)
	second := p.b.DType
	if p.c.Name != "" {
		second = wider(second, p.c.DType)
	}
	switch {
	case p.a.Name == "" && m.c == nil:
		p.out, p.a = checkpoint.Tensor{Name: p.b.Name, DType: p.b.DType, Shape: p.b.Shape}, p.b
	case p.a.Name == "":
		p.op, p.out = alone, checkpoint.Tensor{Name: p.b.Name, DType: second, Shape: p.b.Shape}
	case m.c == nil:
		p.op, p.out.DType = sum, wider(p.a.DType, second)
	default:
		p.op, p.out.DType = difference, wider(p.a.DType, second)
	}
	return nil
}

// prepare finds the tables of a piece whose operands are all float16.
func (p *piece) prepare(quick tables) {
	half := p.a.DType == checkpoint.F16 && p.b.DType == checkpoint.F16
	switch {
	case p.op == sum && half:
		p.byRest, p.byM = quick.scaled(p.rest), quick.scaled(p.weight)
	case p.op == difference && half && p.c.DType == checkpoint.F16:
		p.byRest, p.byM = quick.scaled(1), quick.scaled(p.weight)
	}
}
