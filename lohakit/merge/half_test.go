package merge

import (
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

// TestGuardCatchesFaults checks that any panic of reading becomes an error.
func TestGuardCatchesFaults(t *testing.T) {
	if err := guard("x", func() { panic("fault") }); err == nil {
		t.Error("no error")
	}
}
