package checkpoint

import "testing"

// BenchmarkFloats converts 16 M elements; a full model has 1,066 M.
func BenchmarkFloats(b *testing.B) {
	values := make([]float32, 16<<20)
	for i := range values {
		values[i] = float32(i%65504) / 100
	}
	for _, dtype := range []DType{F16, BF16, F32} {
		x, err := FromFloats("x", dtype, []int{len(values)}, values)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("from "+dtype.String(), func(b *testing.B) {
			b.SetBytes(int64(len(values)) * 4)
			for b.Loop() {
				if _, err := x.Floats(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("to "+dtype.String(), func(b *testing.B) {
			b.SetBytes(int64(len(values)) * 4)
			for b.Loop() {
				encode(x.Data, dtype, values)
			}
		})
	}
}
