package merge

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/lohakit/notebook/lohakit/checkpoint"
)

// TestHalfBits compares with the checkpoint package's conversion: all halves, the midpoints between them and their neighbours, and any others.
func TestHalfBits(t *testing.T) {
	var values []float32
	for i := range 1 << 16 {
		x, err := checkpoint.Tensor{DType: checkpoint.F16, Shape: []int{1}, Data: []byte{byte(i), byte(i >> 8)}}.Floats()
		if err != nil {
			t.Fatal(err)
		}
		if v := x[0]; v == v {
			b := math.Float32bits(v)
			for _, bits := range []uint32{b, b + 0xfff, b + 0x1000, b + 0x1001, b ^ 1} {
				values = append(values, math.Float32frombits(bits))
			}
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100000 {
		values = append(values, math.Float32frombits(rng.Uint32()))
	}
	stored, err := checkpoint.FromFloats("x", checkpoint.F16, []int{len(values)}, values)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		if v != v {
			continue
		}
		want := uint16(stored.Data[2*i]) | uint16(stored.Data[2*i+1])<<8
		if got := halfBits(v); got != want {
			t.Fatalf("%v (%#x) is stored as %#x, want %#x", v, math.Float32bits(v), got, want)
		}
		if back, err := (checkpoint.Tensor{DType: checkpoint.F16, Shape: []int{1}, Data: stored.Data[2*i : 2*i+2]}).Floats(); err != nil || back[0] != roundF16(v) {
			t.Fatalf("%v rounds to %v, stored it is %v", v, roundF16(v), back)
		}
	}
}

// TestSumHalf compares four at a time with one at a time, over every float16 and lengths that fours do not fill.
func TestSumHalf(t *testing.T) {
	quick := tables{}
	rest, weight := quick.scaled(0.7), quick.scaled(0.3)
	for _, n := range []int{1 << 16, 7, 1} {
		a, b, out := make([]byte, 2*n), make([]byte, 2*n), make([]byte, 2*n)
		for i := range n {
			binary.LittleEndian.PutUint16(a[2*i:], uint16(i))
			binary.LittleEndian.PutUint16(b[2*i:], uint16(i*40503))
		}
		sumHalf(out, a, b, rest, weight)
		for i := range n {
			want := halfBits(rest[uint16(i)] + weight[uint16(i*40503)])
			if got := binary.LittleEndian.Uint16(out[2*i:]); got != want {
				t.Fatalf("of %d: element %d is %#x, want %#x", n, i, got, want)
			}
		}
	}
}

// TestNotFinite looks at every float16, in every lane, and at the others' edges.
func TestNotFinite(t *testing.T) {
	for i := range 1 << 16 {
		data := make([]byte, 12)
		binary.LittleEndian.PutUint16(data[2*(i%6):], uint16(i))
		for d, exponent := range map[checkpoint.DType]int{checkpoint.F16: 0x7c00, checkpoint.BF16: 0x7f80} {
			if got := notFinite(d, data); got != (i&exponent == exponent) {
				t.Fatalf("%v %#x: %v", d, i, got)
			}
		}
	}
	for v, want := range map[float32]bool{0: false, math.MaxFloat32: false, -math.MaxFloat32: false, float32(math.Inf(-1)): true} {
		data := binary.LittleEndian.AppendUint32(make([]byte, 4), math.Float32bits(v))
		if got := notFinite(checkpoint.F32, data); got != want {
			t.Errorf("%v: %v", v, got)
		}
	}
	if notFinite(checkpoint.I64, []byte{255, 255, 255, 255, 255, 255, 255, 255}) {
		t.Error("an integer is not finite")
	}
}

// TestGuardCatchesFaults checks that any panic of reading becomes an error.
func TestGuardCatchesFaults(t *testing.T) {
	if err := guard("x", func() { panic("fault") }); err == nil {
		t.Error("no error")
	}
}
