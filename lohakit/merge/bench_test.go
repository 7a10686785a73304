package merge

import (
	"math/rand/v2"
	"syscall"
	"testing"
)

// BenchmarkSumHalf is the weighted sum of float16 tensors.
func BenchmarkSumHalf(b *testing.B) {
	const n = 1 << 20
	x, y, out := make([]byte, 2*n), make([]byte, 2*n), make([]byte, 2*n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < 2*n; i += 2 { // numbers as weights are, from 2⁻⁹ to 2⁻³
		for _, to := range [][]byte{x, y} {
			v := uint16(rng.IntN(2))<<15 | uint16(6+rng.IntN(6))<<10 | uint16(rng.IntN(1<<10))
			to[i], to[i+1] = byte(v), byte(v>>8)
		}
	}
	t := tables{}
	rest, weight := t.scaled(0.7), t.scaled(0.3)
	b.SetBytes(2 * n)
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
		sumHalf(out, x, y, rest, weight)
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	b.ReportMetric(float64(after.Utime.Nano()-before.Utime.Nano())/float64(b.N)/n, "cpu-ns/element")
}
