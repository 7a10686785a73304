package train

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"
)

// gradientsOf are the gradients of the first batch's loss, and the loss.
func gradientsOf(t *testing.T, cfg Config) [][]float32 {
	t.Helper()
	r := tinyRun(t, cfg)
	if err := r.prepare(t.Context(), func(Status) {}); err != nil {
		t.Fatal(err)
	}
	b, err := r.makeBatch(0)
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := r.differentiate(b, func(Status) {})
	if err != nil {
		t.Fatal(err)
	}
	var all [][]float32
	for _, g := range out {
		all = append(all, tensors.MustCopyFlatData[float32](g))
	}
	return all
}

// distance is how far two lists of tensors are apart, in the Euclidean norm, as a share of the first's length.
func distance(a, b [][]float32) float64 {
	y := slices.Concat(b...)
	apart, length := 0.0, 0.0
	for i, x := range slices.Concat(a...) {
		d := float64(x - y[i])
		apart, length = apart+d*d, length+float64(x)*float64(x)
	}
	return math.Sqrt(apart / length)
}

// Recomputed activations give the gradients of kept ones to rounding; bfloat16, whose numbers have eight bits, gives them to a few hundredths
// and the loss to a hundredth.
func TestRecomputingAndBFloat16(t *testing.T) {
	cfg := everythingConfig("AdamW")
	plain := gradientsOf(t, cfg)
	cfg.GradCheckpointing = true
	if d := distance(plain, gradientsOf(t, cfg)); d > 1e-5 {
		t.Errorf("recomputed gradients are %.2g of their length away", d)
	}
	cfg.GradCheckpointing, cfg.MixedBF16 = false, true
	half := gradientsOf(t, cfg)
	last := len(plain) - 1
	if d := distance(plain[:last], half[:last]); d > 0.05 || d == 0 {
		t.Errorf("gradients in bfloat16 are %.2g of their length away", d)
	}
	if d := math.Abs(float64(half[last][0]/plain[last][0] - 1)); d > 0.01 {
		t.Errorf("the loss in bfloat16 is %.2g of its size away", d)
	}
}
