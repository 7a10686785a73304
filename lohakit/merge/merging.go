package merge

import (
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// choose picks the path whose stem is the name, whatever the case, or the only one that contains it.
func choose(name string, stems, paths []string) (string, error) {
	low := strings.ToLower(name)
	var exact, within []string
	for i, stem := range stems {
		if s := strings.ToLower(stem); s == low {
			exact = append(exact, paths[i])
		} else if low != "" && strings.Contains(s, low) {
			within = append(within, paths[i])
		}
	}
	found := append(exact, within...)
	switch {
	case len(exact) == 1 || len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fault.New(fault.NotExist, "find model", name, "%d files could be meant: %s", len(found), strings.Join(found[:min(len(found), 3)], ", ")).
			Fix("write the whole name")
	}
	return "", checkpoint.Unknown("find model", "model", name, stems)
}

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

// run computes the result and stores it at path. It names the tensors that hold NaN or infinity.
func (m merging) run(ctx context.Context, path string, meta map[string]string) (broken []string, err error) {
	pieces, err := m.plan()
	if err != nil {
		return nil, err
	}
	byName := map[string]piece{}
	tensors := make([]checkpoint.Tensor, len(pieces))
	for i, p := range pieces {
		byName[p.out.Name], tensors[i] = p, p.out
	}
	done := 0
	var buffer []byte
	var last piece
	err = checkpoint.Stream(path, tensors, meta, func(t checkpoint.Tensor) ([]byte, error) {
		if err := ctx.Err(); err != nil {
			return nil, fault.New(fault.Canceled, "merge", m.line.Out, "stopped: %w", err)
		}
		m.release(last)
		last = byName[t.Name]
		data, err := last.compute(&buffer)
		if err != nil {
			return nil, err
		}
		if err := guard(t.Name, func() {
			if notFinite(t.DType, data) {
				broken = append(broken, t.Name)
			}
		}); err != nil {
			return nil, err
		}
		if done++; m.progress != nil {
			m.progress(m.line, done, len(tensors))
		}
		return data, nil
	})
	m.release(last)
	return broken, err
}

// release gives back the memory of a piece's operands.
func (m merging) release(p piece) {
	for _, f := range []*checkpoint.File{m.a, m.b, m.c} {
		if f == nil {
			continue
		}
		for _, t := range []checkpoint.Tensor{p.a, p.b, p.c} {
			f.Release(t)
		}
	}
}

// notFinite reports whether a tensor holds NaN or infinity: an exponent of ones.
func notFinite(d checkpoint.DType, data []byte) bool {
	switch d {
	case checkpoint.F16, checkpoint.BF16:
		mask := uint16(0x7c00)
		if d == checkpoint.BF16 {
			mask = 0x7f80
		}
		for i := 0; i+1 < len(data); i += 2 {
			if binary.LittleEndian.Uint16(data[i:])&mask == mask {
				return true
			}
		}
	case checkpoint.F32:
		for i := 0; i+3 < len(data); i += 4 {
			if binary.LittleEndian.Uint32(data[i:])&0x7f800000 == 0x7f800000 {
				return true
			}
		}
	}
	return false
}

// grain is how many elements are computed at once by one goroutine.
const grain = 1 << 18

// compute returns the bytes of the result, in buffer unless they are a's.
func (p piece) compute(buffer *[]byte) ([]byte, error) {
	if p.op == keep && p.out.DType == p.a.DType {
		return p.a.Data, nil
	}
	n, size := p.out.Len(), p.out.DType.Bits()/8
	if cap(*buffer) < n*size {
		*buffer = make([]byte, n*size)
	}
	out := (*buffer)[:n*size]
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failed error
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for from := 0; from < n; from += grain {
		to := min(from+grain, n)
		wait.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wait.Done() }()
			err := p.part(out[from*size:to*size], from, to)
			if err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		}()
	}
	wait.Wait()
	return out, failed
}

// part computes the elements from … to. Every product and sum is rounded to its operands' type, as the original's tensors are.
func (p piece) part(out []byte, from, to int) error {
	if p.byM != nil {
		return guard(p.out.Name, func() {
			from, to := 2*from, 2*to
			if p.op == sum {
				sumHalf(out, p.a.Data[from:to], p.b.Data[from:to], p.byRest, p.byM)
			} else {
				differenceHalf(out, p.a.Data[from:to], p.b.Data[from:to], p.c.Data[from:to], p.byRest, p.byM)
			}
		})
	}
	a, err := values(p.a, from, to)
	if err != nil {
		return err
	}
	b, err := values(p.b, from, to)
	if err != nil {
		return err
	}
	c, err := values(p.c, from, to)
	if err != nil {
		return err
	}
	roundA, roundB := rounder(p.a.DType), rounder(p.b.DType)
	second := p.b.DType
	if c != nil {
		second = wider(second, p.c.DType)
	}
	roundD, roundOut := rounder(second), rounder(wider(p.a.DType, second))
	switch p.op {
	case sum:
		for i := range a {
			a[i] = roundOut(roundA(p.rest*a[i]) + roundB(p.weight*b[i]))
		}
	case difference:
		for i := range a {
			d := float32(0) // of a tensor C lacks
			if c != nil {
				d = roundD(b[i] - c[i])
			}
			a[i] = roundOut(a[i] + roundD(p.weight*d))
		}
	case alone:
		a = make([]float32, len(b))
		for i := range b {
			if c != nil {
				a[i] = roundD(b[i] - c[i])
			}
		}
	}
	t, err := checkpoint.FromFloats(p.out.Name, p.out.DType, []int{len(a)}, a)
	if err != nil {
		return err
	}
	copy(out, t.Data)
	return nil
}

// values is the elements from … to of a tensor; nil of none.
func values(t checkpoint.Tensor, from, to int) ([]float32, error) {
	if t.Name == "" || !t.DType.Float() {
		return nil, nil
	}
	size := t.DType.Bits() / 8
	return checkpoint.Tensor{Name: t.Name, DType: t.DType, Shape: []int{to - from}, Data: t.Data[from*size : to*size]}.Floats()
}
