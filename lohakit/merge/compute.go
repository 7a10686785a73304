package merge

import (
	"context"
	"encoding/binary"
	"runtime"
	"sync"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

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

// notFinite reports whether a tensor holds NaN or infinity: an exponent of ones, to which one more carries into the sign. Eight bytes are looked
// at together.
func notFinite(d checkpoint.DType, data []byte) bool {
	var exponent, one, sign uint64
	switch d {
	case checkpoint.F16:
		exponent, one, sign = 0x7c007c007c007c00, 0x0400040004000400, 0x8000800080008000
	case checkpoint.BF16:
		exponent, one, sign = 0x7f807f807f807f80, 0x0080008000800080, 0x8000800080008000
	case checkpoint.F32:
		exponent, one, sign = 0x7f8000007f800000, 0x0080000000800000, 0x8000000080000000
	default:
		return false
	}
	for ; len(data) >= 8; data = data[8:] {
		if (binary.LittleEndian.Uint64(data)&exponent+one)&sign != 0 {
			return true
		}
	}
	var rest [8]byte
	copy(rest[:], data)
	return (binary.LittleEndian.Uint64(rest[:])&exponent+one)&sign != 0
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
