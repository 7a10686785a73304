package merge

import (
	"math"

	"github.com/lohakit/notebook/lohakit/checkpoint"
)

// rounder returns the rounding to a stored type, to nearest even. Values beyond float16 become infinite.
func rounder(d checkpoint.DType) func(float32) float32 {
	switch d {
	case checkpoint.F16:
		return roundF16
	case checkpoint.BF16:
		return roundBF16
	}
	return func(v float32) float32 { return v }
}

func roundF16(v float32) float32 {
	b := math.Float32bits(v)
	sign, a := b&(1<<31), b&^(1<<31)
	switch {
	case a > 0x7f800000: // NaN
		return v
	case a >= 0x477ff000: // 65,520 and above
		a = 0x7f800000
	case a < 0x38800000: // below 2⁻¹⁴ the spacing is 2⁻²⁴, as that of float32 from 0.5
		a = math.Float32bits((math.Float32frombits(a) + 0.5) - 0.5)
	default:
		a = (a + 0xfff + a>>13&1) &^ 0x1fff
	}
	return math.Float32frombits(sign | a)
}

func roundBF16(v float32) float32 {
	b := math.Float32bits(v)
	if b&^(1<<31) > 0x7f800000 {
		return v
	}
	return math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff)
}

// wider is the type of an operation on two tensors: the operands' own, or float32 where they differ.
func wider(a, b checkpoint.DType) checkpoint.DType {
	if a == b {
		return a
	}
	return checkpoint.F32
}
