package sample

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
)

// recorded is testdata/samplers.json, written by testdata/record_samplers.py from k-diffusion and diffusers.
type recorded struct {
	Start  []float64
	Noises [][]float64
	Runs   []struct {
		Name   string
		Sigmas []float64
		Eta    float64
		Xs     [][]float64 // before each step, in the variables with the noise on top
		End    []float64
	}
}

// analytic is the recorder's denoiser.
func analytic(x []float32, sigma float64) ([]float32, error) {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(math.Tanh(float64(v)/(0.3+sigma*sigma)) + 0.05*float64(v)/(0.25+sigma*sigma))
	}
	return out, nil
}

func singles(v []float64, scale float64) []float32 {
	out := make([]float32, len(v))
	for i := range v {
		out[i] = float32(v[i] * scale)
	}
	return out
}

// distance is the largest difference relative to the largest value.
func distance(got []float32, want []float64) float64 {
	var d, m float64
	for i := range want {
		d, m = math.Max(d, math.Abs(float64(got[i])-want[i])), math.Max(m, math.Abs(want[i]))
	}
	return d / m
}

// TestTrajectories holds every sampler's schedule and every step against the reference in double precision.
func TestTrajectories(t *testing.T) {
	raw, err := os.ReadFile("testdata/samplers.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	const tolerance = 1e-5 // latents are float32
	for _, run := range r.Runs {
		s, err := SamplerNamed(run.Name)
		if err != nil {
			t.Fatal(err)
		}
		for i, sigma := range s.Schedule(len(run.Sigmas) - 1) {
			if math.Abs(sigma-run.Sigmas[i]) > 2e-6*run.Sigmas[0] {
				t.Errorf("%s: noise level %d is %v, the reference has %v", run.Name, i, sigma, run.Sigmas[i])
			}
		}
		next, step, evaluation := 0, 0, 0
		tape := func(dst []float32, _, _ float64) { copy(dst, singles(r.Noises[next], 1)); next++ }
		watch := func(x []float32, sigma float64) ([]float32, error) {
			evaluation++
			if corrector := run.Name == "Heun" && evaluation%2 == 0; !corrector && step < len(run.Xs) && sigma == run.Sigmas[step] {
				if d := distance(x, run.Xs[step]); d > tolerance {
					t.Errorf("%s eta %g: before step %d off by %.2g", run.Name, run.Eta, step, d)
				}
				step++
			}
			return analytic(x, sigma)
		}
		scale := run.Sigmas[0]
		if s.variance {
			scale = math.Sqrt(scale*scale + 1)
		}
		end, err := s.Steps(watch, singles(r.Start, scale), run.Sigmas, tape, run.Eta)
		if err != nil {
			t.Fatal(err)
		}
		if d := distance(end, run.End); d > tolerance || step < len(run.Xs) {
			t.Errorf("%s eta %g: ends off by %.2g after %d of %d recorded steps", run.Name, run.Eta, d, step, len(run.Xs))
		}
	}
}

// TestSamplersStop checks that an error of the denoiser ends every sampler at once.
func TestSamplersStop(t *testing.T) {
	stop := errors.New("stop")
	for _, s := range Samplers() {
		for after := range 4 {
			n := 0
			_, err := s.Steps(func(x []float32, sigma float64) ([]float32, error) {
				if n++; n > after {
					return nil, stop
				}
				return analytic(x, sigma)
			}, []float32{1, 2}, s.Schedule(5), func([]float32, float64, float64) {}, s.Eta)
			if err != stop || n != after+1 {
				t.Errorf("%s: error %v after %d evaluations, want the denoiser's after %d", s.Name, err, n, after+1)
			}
		}
	}
}

// TestSamplersAgree checks that with many steps every sampler without noise reaches the same image.
func TestSamplersAgree(t *testing.T) {
	start := []float32{0.3, -1.1, 2, -0.7}
	var want []float32
	for _, s := range Samplers() {
		x, err := s.Steps(analytic, combine(SigmaAt(999), start, 0, nil), append([]float64{SigmaAt(999)}, Linear(500)[1:]...), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = x
		}
		for i := range x {
			if math.Abs(float64(x[i]-want[i])) > 0.02 {
				t.Errorf("%s ends at %v, %s at %v", s.Name, x, Samplers()[0].Name, want)
				break
			}
		}
	}
}

func TestSamplerNames(t *testing.T) {
	for typed, want := range map[string]string{"euler_a": "Euler a", "dpm++ 2m karras": "DPM++ 2M Karras", "ddim": "DDIM"} {
		if s, err := SamplerNamed(typed); err != nil || s.Name != want {
			t.Errorf("%q is %q, %v; want %q", typed, s.Name, err, want)
		}
	}
	if _, err := SamplerNamed("PLMS2"); !fault.Is(err, fault.NotExist) {
		t.Errorf("unknown sampler: %v", err)
	}
}
