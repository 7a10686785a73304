package merge

import (
	"encoding/binary"
	"math"
	"runtime/debug"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// halfTable is a function of every float16, by its bits.
type halfTable [1 << 16]float32

// tables holds a line's halfTables by weight. Files of float16 merge several times faster by them: a product of a float16 and a weight has only
// 65,536 outcomes, rounding included.
type tables map[float32]*halfTable

// scaled returns the table of round(weight·x).
func (t tables) scaled(weight float32) *halfTable {
	if t[weight] == nil {
		table := new(halfTable)
		for i := range table {
			x, err := checkpoint.Tensor{DType: checkpoint.F16, Shape: []int{1}, Data: []byte{byte(i), byte(i >> 8)}}.Floats()
			if err == nil { // always: the tensor is whole
				table[i] = roundF16(weight * x[0])
			}
		}
		t[weight] = table
	}
	return t[weight]
}

// sumHalf is rest·a + weight·b over float16 bytes, four at a time.
func sumHalf(out, a, b []byte, rest, weight *halfTable) {
	for ; len(out) >= 8 && len(a) >= 8 && len(b) >= 8; out, a, b = out[8:], a[8:], b[8:] {
		x, y := binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b)
		v0 := math.Float32bits(rest[uint16(x)] + weight[uint16(y)])
		v1 := math.Float32bits(rest[uint16(x>>16)] + weight[uint16(y>>16)])
		v2 := math.Float32bits(rest[uint16(x>>32)] + weight[uint16(y>>32)])
		v3 := math.Float32bits(rest[x>>48] + weight[y>>48])
		if !usual(v0) || !usual(v1) || !usual(v2) || !usual(v3) {
			rarely(out, v0, v1, v2, v3)
			continue
		}
		binary.LittleEndian.PutUint64(out, uint64(usualHalf(v0))|uint64(usualHalf(v1))<<16|uint64(usualHalf(v2))<<32|uint64(usualHalf(v3))<<48)
	}
	for i := 0; i+1 < len(out); i += 2 {
		v := rest[binary.LittleEndian.Uint16(a[i:])] + weight[binary.LittleEndian.Uint16(b[i:])]
		binary.LittleEndian.PutUint16(out[i:], halfBits(v))
	}
}

// rarely stores four numbers of which one at least is no normal float16.
func rarely(out []byte, v ...uint32) {
	for i, b := range v {
		binary.LittleEndian.PutUint16(out[2*i:], halfBits(math.Float32frombits(b)))
	}
}

// differenceHalf is a + weight·(b − c) over float16 bytes.
func differenceHalf(out, a, b, c []byte, plain, weight *halfTable) {
	for i := 0; i+1 < len(out); i += 2 {
		d := halfBits(plain[binary.LittleEndian.Uint16(b[i:])] - plain[binary.LittleEndian.Uint16(c[i:])])
		v := plain[binary.LittleEndian.Uint16(a[i:])] + weight[d]
		binary.LittleEndian.PutUint16(out[i:], halfBits(v))
	}
}

// Bits of float32 numbers: the smallest normal float16, 2⁻¹⁴, and the least that rounds to its infinity, 65,520.
const (
	smallest = 0x38800000
	tooLarge = 0x477ff000
)

// usual reports whether the float32 of these bits rounds to a normal float16.
func usual(b uint32) bool { return b&^(1<<31)-smallest < tooLarge-smallest }

// usualHalf is halfBits of such a number.
func usualHalf(b uint32) uint16 {
	return uint16(b>>16)&0x8000 | uint16((b&^(1<<31)+0xfff+b>>13&1-0x38000000)>>13)
}

// halfBits is the nearest float16, ties to even.
func halfBits(v float32) uint16 {
	b := math.Float32bits(v)
	sign, a := uint16(b>>16)&0x8000, b&^(1<<31)
	switch {
	case usual(b):
		return usualHalf(b)
	case a > 0x7f800000: // NaN
		return sign | 0x7e00
	case a >= tooLarge:
		return sign | 0x7c00
	}
	// below 2⁻¹⁴ the spacing is 2⁻²⁴, as that of float32 from 0.5
	return sign | uint16(math.Float32bits(math.Float32frombits(a)+0.5)-0x3f000000)
}

// guard calls f, which reads mapped files; that a file shrank meanwhile is an error and not the end of the program.
func guard(name string, f func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fault.New(fault.Corrupt, "merge", name, "its file shrank while in use (%v)", r).Fix("keep files unchanged while they are merged")
		}
	}()
	f()
	return nil
}
