package sd

import (
	"math"
	"testing"
)

// The constants are diffusers' and k-diffusion's, which multiply in float32: hence six digits, and fewer where 1−ᾱ is small.
func TestPublishedSchedule(t *testing.T) {
	alphas, sigmas := Alphas(), Sigmas()
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"ᾱ₀", alphas[0], 0.999149978}, {"ᾱ₁", alphas[1], 0.998296022}, {"ᾱ₅₀₀", alphas[500], 0.276332468},
		{"ᾱ₉₉₈", alphas[998], 0.004716696}, {"ᾱ₉₉₉", alphas[999], 0.004660095},
		{"σ₀", sigmas[0], 0.0291675}, {"σ₉₉₉", sigmas[999], 14.6146466},
		{"SNR₀", 1 / (sigmas[0] * sigmas[0]), 1175.44}, {"SNR₉₉₉", 1 / (sigmas[999] * sigmas[999]), 0.00468191},
	} {
		if math.Abs(c.got-c.want) > 3e-5*c.want {
			t.Errorf("%s = %.9g, want %.9g", c.name, c.got, c.want)
		}
	}
	first := func(below float64) int {
		for i, sigma := range sigmas {
			if 1/(sigma*sigma) < below {
				return i
			}
		}
		return -1
	}
	if a, b := first(5), first(1); a != 147 || b != 354 {
		t.Errorf("SNR falls below 5 at %d and below 1 at %d, want 147 and 354", a, b)
	}
}
