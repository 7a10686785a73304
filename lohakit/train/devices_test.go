package train

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"
)

// Four devices in one process, which XLA's CPU client shows, give the training of one: losses and parameters differ by rounding alone, as
// sums over a batch are taken in another order.
func TestDevicesShareABatch(t *testing.T) {
	cfg := withWords(tinyConfig())
	cfg.BatchSize, cfg.Optimizer, cfg.LR, cfg.Eps, cfg.GradAccumulation, cfg.RankDropout = 4, "AdamW", 1e-3, 1e-5, 2, 0.2
	one := tinyRun(t, cfg)
	cfg.Devices = 4
	four := tinyRun(t, cfg)
	train(t, one, 4)
	train(t, four, 4)
	for i, want := range one.Losses() {
		if got := four.Losses()[i]; math.Abs(got-want) > 1e-5*want {
			t.Errorf("step %d: loss %.7f on four devices, %.7f on one", i+1, got, want)
		}
	}
	for _, name := range one.Adapter.Params.Names() {
		a, b := tensors.MustCopyFlatData[float32](one.Adapter.Params.Get(name)), tensors.MustCopyFlatData[float32](four.Adapter.Params.Get(name))
		for i := range a {
			if math.Abs(float64(a[i]-b[i])) > 2e-5 { // a fiftieth of a step
				t.Fatalf("%s, element %d: %g on four devices, %g on one", name, i, b[i], a[i])
			}
		}
	}
}
