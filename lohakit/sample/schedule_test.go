package sample

import (
	"math"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s is %v, published %v", what, got, want)
	}
}

// TestPublishedConstants checks the schedules against figures printed by diffusers and k-diffusion.
func TestPublishedConstants(t *testing.T) {
	near(t, "lowest σ", SigmaAt(0), .0291675, 1e-6)
	near(t, "highest σ", SigmaAt(999), 14.6146466, 2e-5)
	snr := func(step int) float64 { return 1 / (trainSigmas()[step] * trainSigmas()[step]) }
	for _, c := range []struct {
		bound float64
		first int
	}{{5, 147}, {1, 354}} {
		if snr(c.first) >= c.bound || snr(c.first-1) < c.bound {
			t.Errorf("the signal-to-noise ratio falls below %g elsewhere than at %d", c.bound, c.first)
		}
	}
	for i, want := range []float64{14.61465, 9.10294, 5.4784, 3.16861, 1.74942, .91408, .44692, .2014, .08191, .02917, 0} {
		near(t, "Karras level", Karras(10)[i], want, 2e-5)
	}
	for i, want := range []float64{14.61465, 7.83988, 4.60918, 2.91831, 1.95016, 1.34493, .93236, .62498, .36866, .02917, 0} {
		near(t, "linear level", Linear(10)[i], want, 2e-5)
	}
	for i, sigma := range Leading(10)[:10] {
		near(t, "DDIM timestep", TimestepOf(sigma), float64(901-100*i), 1e-9)
	}
}

func TestTimestepsInvert(t *testing.T) {
	for _, step := range []float64{0, 0.25, 1, 17.5, 500, 998.75, 999} {
		near(t, "timestep", TimestepOf(SigmaAt(step)), step, 1e-8)
	}
	near(t, "timestep above", TimestepOf(1e9), 999, 0)
	near(t, "timestep below", TimestepOf(0), 0, 0)
}

// TestSchedulesFall checks every schedule at every step count people use.
func TestSchedulesFall(t *testing.T) {
	for _, s := range Samplers() {
		for n := 1; n <= maxSteps; n = min(n+1+n/10, max(n+1, maxSteps)) {
			levels := s.Schedule(n)
			if len(levels) != n+1 {
				t.Fatalf("%s with %d steps has %d levels", s.Name, n, len(levels))
			}
			for i := range n {
				if !(levels[i] > levels[i+1]) {
					t.Fatalf("%s with %d steps: level %d is %v, then %v", s.Name, n, i, levels[i], levels[i+1])
				}
			}
		}
	}
}
