package train

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/xla"
)

// mark is what the reference recorded at one step: the first 24 elements and the sum of every tensor, and the step size it found.
type mark struct {
	First [][]float64
	Sum   []float64
	D     *float64
}

// Each optimizer makes the same 200 steps as its reference implementation, on the problem of testdata/record_optimizers.py. Parameters are
// about 1, so a tolerance of 2e-6 is float32 rounding. Three are looser, because they amplify rounding: those that estimate d
// multiply it up from 1e-6 within some twenty steps (5e-4, which fades again), and 8-bit states jump to another code when a value
// lies within rounding of the border (2e-3, a fifth of one step of the rate 1e-2, all of it in single elements).
func TestOptimizersFollowTheirReferences(t *testing.T) {
	data, err := os.ReadFile("testdata/optimizers.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Traces map[string]map[string]mark }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	adam := AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1}
	adafactor := Adafactor{ClipThreshold: 1, DecayRate: -0.8, Eps1: 1e-30, Eps2: 1e-3}
	relative := adafactor
	relative.RelativeStep, relative.ScaleParameter = true, true
	adafactor.WeightDecay = 0.1
	adapt := DAdaptAdam{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.1, D0: 1e-6}
	decoupled, preprint := adapt, adapt
	decoupled.Decouple, preprint.Decouple, preprint.Preprint = true, true, true
	adapt.GrowthRate, adapt.BiasCorrection = 1.02, true
	prodigy := Prodigy{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01, D0: 1e-6, DCoef: 1}
	safe := prodigy
	safe.WeightDecay, safe.DCoef, safe.BiasCorrection, safe.SafeguardWarmup, safe.GrowthRate = 0, 2, true, true, 1.5
	for _, c := range []struct {
		name      string
		optimizer Optimizer
		rates     []float32
		tolerance float64
	}{
		{"adamw", adam, []float32{1e-2}, 2e-6},
		{"adamw_rates", adam, []float32{1e-2, 1e-3, 1e-3}, 2e-6},
		{"adamw8bit", AdamW8bit{adam, 256, 4096}, []float32{1e-2}, 2e-3},
		{"lion", Lion{0.9, 0.99, 0.1}, []float32{1e-3}, 2e-5},
		{"sgd", SGD{0.9, 0.01}, []float32{1e-2}, 2e-6},
		{"adafactor", relative, []float32{1}, 2e-6},
		{"adafactor_rate", adafactor, []float32{1e-2}, 2e-6},
		{"dadapt", decoupled, []float32{1}, 5e-4},
		{"dadapt_coupled", adapt, []float32{1}, 2e-5},
		{"dadapt_preprint", preprint, []float32{1}, 5e-4},
		{"prodigy", prodigy, []float32{1}, 5e-4},
		{"prodigy_safe", safe, []float32{0.5}, 2e-5},
	} {
		t.Run(c.name, func(t *testing.T) {
			marks := file.Traces[c.name]
			params := problemStart()
			trace(t, c.optimizer, c.rates, params, func(step int, params [][]float32, state []*tensors.Tensor) {
				want, ok := marks[strconv.Itoa(step)]
				if !ok {
					return
				}
				for k := range params {
					mean, n := 0.0, len(want.First[k])
					for i, w := range want.First[k] {
						mean += math.Abs(float64(params[k][i])-w) / float64(n)
					}
					sum := 0.0
					for _, v := range params[k] {
						sum += float64(v)
					}
					if size := float64(len(params[k])); mean > c.tolerance || math.Abs(sum-want.Sum[k])/size > c.tolerance {
						t.Errorf("step %d, tensor %d: mean difference %.3g, of the means %.3g", step, k, mean, (sum-want.Sum[k])/size)
					}
				}
			})
		})
	}
}

var problemShapes = [][]int{{1, 64, 80}, {1, 8, 5}, {1, 7}}

func problemStart() (params []*tensors.Tensor) {
	for _, dims := range problemShapes {
		params = append(params, tensors.FromFlatDataAndDimensions(numbers(product(dims), func(i float64) float64 { return math.Sin(1 + i) }), dims...))
	}
	return params
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

func numbers(n int, f func(i float64) float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(f(float64(i)))
	}
	return v
}

// trace makes 200 steps of the problem and shows every one.
func trace(t *testing.T, o Optimizer, rates []float32, params []*tensors.Tensor, show func(step int, params [][]float32, state []*tensors.Tensor)) {
	t.Helper()
	n := len(params)
	start := xla.Compile("start", o.Start)
	state, err := start.Run(params)
	if err != nil {
		t.Fatal(err)
	}
	var goals []*tensors.Tensor
	for _, dims := range problemShapes {
		goals = append(goals, tensors.FromFlatDataAndDimensions(numbers(product(dims), func(i float64) float64 { return math.Cos(2 * i) }), dims...))
	}
	program := xla.Compile("step", func(in []*Node) []*Node {
		params, goals, pushes, state, step := in[:n], in[n:2*n], in[2*n:3*n], in[3*n:len(in)-1-len(rates)], in[len(in)-1]
		var grads []*Node
		for i := range params {
			grads = append(grads, Add(Sub(params[i], goals[i]), pushes[i]))
		}
		params, state = o.Step(params, grads, state, in[len(in)-1-len(rates):len(in)-1], step)
		return append(params, state...)
	})
	for step := 1; step <= 200; step++ {
		var pushes []*tensors.Tensor
		for k, dims := range problemShapes {
			values := numbers(product(dims), func(i float64) float64 { return 0.3 * math.Cos(0.7*float64(step)+0.9*i+float64(k)) })
			pushes = append(pushes, tensors.FromFlatDataAndDimensions(values, dims...))
		}
		in := []any{params, goals, pushes, state}
		for _, r := range rates {
			in = append(in, r)
		}
		out, err := program.Run(append(in, float32(step))...)
		if err != nil {
			t.Fatal(err)
		}
		params, state = out[:n], out[n:]
		var values [][]float32
		for _, p := range params {
			values = append(values, tensors.MustCopyFlatData[float32](p))
		}
		show(step, values, state)
	}
}

// The 8-bit map: 256 ascending values with the published extremes, and codes that are the nearest ones.
func TestCodebook(t *testing.T) {
	for _, signed := range []bool{true, false} {
		book := codebook(signed)
		if len(book) != 256 || book[255] != 1 {
			t.Fatalf("signed %v: %d values, last %g", signed, len(book), book[255])
		}
		values := make([]float32, 4096)
		for i := range values {
			values[i] = float32(math.Pow(10, -8*float64(i)/4095))
			if signed && i%2 == 1 {
				values[i] = -values[i]
			}
		}
		out, err := xla.Compile("quantize", func(in []*Node) []*Node {
			codes, maxima := quantize(in[0], signed)
			return []*Node{codes, maxima, dequantize(codes, maxima, signed)}
		}).Run([][][]float32{{values}})
		if err != nil {
			t.Fatal(err)
		}
		for i, back := range tensors.MustCopyFlatData[float32](out[2]) {
			nearest := math.Inf(1)
			for _, b := range book {
				nearest = min(nearest, math.Abs(float64(b-values[i])))
			}
			if d := math.Abs(float64(back - values[i])); d > nearest+1e-9 {
				t.Fatalf("signed %v: %g became %g, %g away, nearest is %g", signed, values[i], back, d, nearest)
			}
		}
	}
	if small := codebook(true)[128]; math.Abs(float64(small)-5.5e-7) > 1e-12 {
		t.Errorf("smallest signed value %g", small)
	}
	if small := codebook(false)[1]; math.Abs(float64(small)-3.25e-7) > 1e-12 {
		t.Errorf("smallest unsigned value %g", small)
	}
}
