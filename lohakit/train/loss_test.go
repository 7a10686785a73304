package train

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/xla"
)

// Noised latents, targets and weighted losses are those of diffusers' scheduler, to float32 rounding.
func TestLossesAreDiffusers(t *testing.T) {
	data, err := os.ReadFile("testdata/loss.json")
	if err != nil {
		t.Fatal(err)
	}
	var f map[string][]float32
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	image := func(name string) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(f[name], 4, 2, 2, 2) }
	var steps []int32
	for _, v := range f["t"] {
		steps = append(steps, int32(v))
	}
	cases := []struct {
		name string
		o    LossOptions
	}{
		{"epsilon", LossOptions{}},
		{"v", LossOptions{VPrediction: true}},
		{"zero v", LossOptions{VPrediction: true, ZeroTerminalSNR: true}},
		{"min-snr epsilon", LossOptions{MinSNRGamma: 5}},
		{"min-snr v", LossOptions{MinSNRGamma: 5, VPrediction: true}},
		{"debiased", LossOptions{Debiased: true}},
		{"l1", LossOptions{Type: "l1"}},
		{"huber", LossOptions{Type: "huber", HuberSchedule: "constant", HuberC: 1}},
	}
	out, err := xla.Compile("losses", func(in []*Node) []*Node {
		x0, noise, predicted, t := in[0], in[1], in[2], in[3]
		all := []*Node{AddNoise(x0, noise, t, false), AddNoise(x0, noise, t, true)}
		for _, c := range cases {
			all = append(all, Loss(predicted, x0, noise, t, nil, c.o))
		}
		return all
	}).Run(image("x0"), image("noise"), image("predicted"), steps)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"noised", "zero noised"}
	for _, c := range cases {
		names = append(names, c.name)
	}
	for i, name := range names {
		for k, v := range tensors.MustCopyFlatData[float32](out[i]) {
			if want := f[name][k]; math.Abs(float64(v-want)) > 2e-5*math.Max(1, math.Abs(float64(want))) {
				t.Errorf("%s, element %d: %g, want %g", name, k, v, want)
			}
		}
	}
}

// Huber's threshold at timestep 500, where ᾱ is 0.276332468 (published), by the trainers' formulas: exponential c = 0.1^(500/1000), by SNR
// c = 0.9/(1+σ)² + 0.1 with σ = √((1-ᾱ)/ᾱ); the losses are 2c(√(d²+c²)-c) and, smooth_l1, 2(√(d²+c²)-c).
func TestHuberSchedules(t *testing.T) {
	const d, alpha = 0.5, 0.276332468
	sigma := math.Sqrt((1 - alpha) / alpha)
	thresholds := map[string]float64{"constant": 0.1, "exponential": math.Sqrt(0.1), "snr": 0.9/((1+sigma)*(1+sigma)) + 0.1}
	for schedule, c := range thresholds {
		c *= 1.5
		for kind, want := range map[string]float64{"huber": 2 * c * (math.Hypot(d, c) - c), "smooth_l1": 2 * (math.Hypot(d, c) - c)} {
			o := LossOptions{Type: kind, HuberSchedule: schedule, HuberC: 0.1, HuberScale: 1.5}
			out, err := xla.Compile(kind, func(in []*Node) []*Node { return []*Node{Loss(in[0], in[1], in[1], in[2], nil, o)} }).
				Run([][][][]float32{{{{d}}}}, [][][][]float32{{{{0}}}}, []int32{500})
			if err != nil {
				t.Fatal(err)
			}
			if got := tensors.MustCopyFlatData[float32](out[0])[0]; math.Abs(float64(got)-want) > 1e-6 {
				t.Errorf("%s, %s: %g, want %g", kind, schedule, got, want)
			}
		}
	}
}

// A mask weighs positions and is not renormalised by its area; regularization images and short batches weigh by what assemble gives.
func TestMask(t *testing.T) {
	out, err := xla.Compile("masked", func(in []*Node) []*Node { return []*Node{Loss(in[0], in[1], in[1], in[2], in[3], LossOptions{})} }).
		Run([][][][]float32{{{{1, 3}}}}, [][][][]float32{{{{0, 0}}}}, []int32{10}, [][][][]float32{{{{1, 0.5}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float32](out[0])[0]; got != (1+9*0.5)/2 {
		t.Errorf("masked loss %g", got)
	}
}

// Noise has the moments that its options say, and is the same for the same stream.
func TestNoise(t *testing.T) {
	const batch, channels, side = 64, 4, 16
	latents := make([]float32, batch*channels*side*side)
	draw := func(o NoiseOptions) (added, target []float32) {
		return Noise(rand.New(rand.NewPCG(1, 2)), latents, batch, channels, side, side, o)
	}
	variances := func(v []float32) (within, between float64) {
		n := side * side
		for p := range batch * channels {
			m := mean(v[p*n:][:n])
			between += m * m / batch / channels
			for _, x := range v[p*n:][:n] {
				within += (float64(x) - m) * (float64(x) - m) / float64(len(v))
			}
		}
		return within, between
	}
	_, plain := draw(NoiseOptions{})
	if w, b := variances(plain); math.Abs(w-1) > 0.02 || b > 0.01 {
		t.Errorf("plain noise varies by %.3f within and %.3f between planes", w, b)
	}
	_, offset := draw(NoiseOptions{Offset: 0.5})
	if w, b := variances(offset); math.Abs(w-1) > 0.02 || math.Abs(b-0.25) > 0.06 {
		t.Errorf("with an offset of 0.5 it varies by %.3f within and %.3f between planes", w, b)
	}
	_, pyramid := draw(NoiseOptions{PyramidIterations: 6, PyramidDiscount: 0.5})
	if w, b := variances(pyramid); math.Abs(w+b-1) > 0.01 || b < 0.02 {
		t.Errorf("pyramid noise varies by %.3f within and %.3f between planes", w, b)
	}
	added, target := draw(NoiseOptions{Perturbation: 0.1})
	difference := make([]float32, len(added))
	for i := range added {
		difference[i] = (added[i] - target[i]) * 10
	}
	if w, _ := variances(difference); math.Abs(w-1) > 0.02 {
		t.Errorf("perturbation varies by %.3f times its γ²", w)
	}
	strength := 0.0 // of a perturbation drawn from 0…γ: half of it on average
	for seed := range uint64(64) {
		added, target := Noise(rand.New(rand.NewPCG(3, seed)), latents[:4*side*side], 1, 4, side, side, NoiseOptions{Perturbation: 0.1, PerturbationRandom: true})
		square := 0.0
		for i := range added {
			square += float64(added[i]-target[i]) * float64(added[i]-target[i]) / float64(len(added))
		}
		strength += math.Sqrt(square) / 0.1 / 64
	}
	if math.Abs(strength-0.5) > 0.15 {
		t.Errorf("random perturbations are %.2f of γ on average", strength)
	}
}
