package train

import (
	"math"
	"testing"

	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
)

// A search visits rates evenly on a logarithmic scale from a fresh adapter, and ends when training breaks down or the rates do.
func TestFindLR(t *testing.T) {
	cfg := tinyConfig()
	data, err := dataset.Load("testdata/images", cfg.Dataset())
	if err != nil {
		t.Fatal(err)
	}
	rates, err := FindLR(t.Context(), tinyModel(t), data, cfg, 1e-5, 100, 15, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(rates) < 2 || len(rates) > 15 || rates[0].LR != 1e-5 {
		t.Fatalf("%d rates: %v", len(rates), rates)
	}
	for i, r := range rates[1:] {
		if math.Abs(r.LR/rates[i].LR-math.Pow(1e7, 1.0/14)) > 1e-9 {
			t.Errorf("from %g to %g", rates[i].LR, r.LR)
		}
	}
	last, best := rates[len(rates)-1], math.Inf(1)
	for _, r := range rates {
		best = min(best, r.Smoothed)
	}
	if broke := last.Smoothed > 4*best; len(rates) < 15 && !broke && last.LR < 1 {
		t.Errorf("ended at %g with a smoothed loss of %g, the best being %g", last.LR, last.Smoothed, best)
	}
	if _, err := FindLR(t.Context(), tinyModel(t), data, cfg, 1, 0.1, 15, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("a falling range: %v", err)
	}
}
