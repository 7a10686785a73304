package train

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"
)

// Two devices in one process, which XLA's CPU client shows, give the training of one, dropout of single samples and all: losses and
// parameters differ by rounding alone, as sums over a batch are taken in another order.
func TestDevicesShareABatch(t *testing.T) {
	cfg := everythingConfig("AdamW")
	cfg.LR, cfg.Eps = 1e-3, 1e-5
	one := tinyRun(t, cfg)
	cfg.Devices = 2
	two := tinyRun(t, cfg)
	train(t, one, 4)
	train(t, two, 4)
	for i, want := range one.Losses() {
		if got := two.Losses()[i]; math.Abs(got-want) > 1e-5*want {
			t.Errorf("step %d: loss %.7f on two devices, %.7f on one", i+1, got, want)
		}
	}
	for _, name := range one.Adapter.Params.Names() {
		a, b := tensors.MustCopyFlatData[float32](one.Adapter.Params.Get(name)), tensors.MustCopyFlatData[float32](two.Adapter.Params.Get(name))
		for i := range a {
			if math.Abs(float64(a[i]-b[i])) > 2e-5 { // a fiftieth of a step
				t.Fatalf("%s, element %d: %g on two devices, %g on one", name, i, b[i], a[i])
			}
		}
	}
}
