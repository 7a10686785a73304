package sample

import (
	"hash/fnv"
	"math"
	"testing"
)

// TestPhiloxAsWebUIs checks the values that torch.randn gives on any NVIDIA GPU after torch.manual_seed(0).
func TestPhiloxAsWebUIs(t *testing.T) {
	got := make([]float32, 12)
	Philox(0).Field(got)
	for i, want := range []float64{-0.9247, -0.4253, -2.6438, 0.1452, -0.1209, -0.5797, -0.6229, -0.3284, -1.0745, -0.3631, -1.6711, 2.2655} {
		near(t, "value", float64(got[i]), want, 5.1e-5)
	}
}

// TestPhiloxRounds checks the vectors published with the Random123 library.
func TestPhiloxRounds(t *testing.T) {
	ones := uint32(0xffffffff)
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{ones, ones, ones, ones}, [2]uint32{ones, ones}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
	} {
		if got := philoxRounds(c.counter, c.key[0], c.key[1]); got != c.want {
			t.Errorf("philox of %x under %x is %x, want %x", c.counter, c.key, got, c.want)
		}
	}
}

// TestGoNoiseNeverChanges pins the bits: an image must come out the same on every machine and after every update.
func TestGoNoiseNeverChanges(t *testing.T) {
	field := make([]float32, 4096)
	s := GoNoise(42)
	h := fnv.New64a()
	for range 3 {
		s.Field(field)
		for _, v := range field {
			b := math.Float32bits(v)
			h.Write([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)})
		}
	}
	if got := h.Sum64(); got != 0xde4ad35d2552f093 {
		t.Errorf("the noise of seed 42 has changed: hash %#x", got)
	}
}

// TestSourcesAreNormal checks mean, variance and kurtosis of every source, and that two seeds have nothing in common.
func TestSourcesAreNormal(t *testing.T) {
	const n = 1 << 16
	path := newBrownian(5, 0.03, 14.6)
	a, b := make([]float32, n), make([]float32, n)
	for name, fill := range map[string]func(dst []float32, seed int64){
		"go":       func(dst []float32, seed int64) { GoNoise(seed).Field(dst) },
		"philox":   func(dst []float32, seed int64) { Philox(seed).Field(dst) },
		"brownian": func(dst []float32, seed int64) { path.Fill(dst, 14.6-float64(seed), 12-float64(seed)*2) },
	} {
		fill(a, 0)
		fill(b, 2)
		var m, v, k, cross float64
		for i := range a {
			x := float64(a[i])
			m, v, k, cross = m+x, v+x*x, k+x*x*x*x, cross+x*float64(b[i])
		}
		sd := 1 / math.Sqrt(n)
		near(t, name+" mean", m/n, 0, 4*sd)
		near(t, name+" variance", v/n, 1, 4*math.Sqrt2*sd)
		near(t, name+" fourth moment", k/n, 3, 4*math.Sqrt(96)*sd)
		if name != "brownian" {
			near(t, name+" correlation of two seeds", cross/n, 0, 4*sd)
		}
	}
}

// TestBrownianPathAdds checks that increments over adjoining intervals add up to the increment over both.
func TestBrownianPathAdds(t *testing.T) {
	p := newBrownian(7, 0.03, 14.6)
	whole, first, second := make([]float32, 8), make([]float32, 8), make([]float32, 8)
	p.Fill(whole, 9, 1)
	p.Fill(first, 9, 4)
	p.Fill(second, 4, 1)
	for i := range whole {
		near(t, "sum", float64(first[i])*math.Sqrt(5)+float64(second[i])*math.Sqrt(3), float64(whole[i])*math.Sqrt(8), 1e-5)
	}
}
