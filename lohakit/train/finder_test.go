package train

import (
	"math"
	"os"
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
	cfg.SampleEvery, cfg.SampleAtFirst, cfg.SamplePrompts, cfg.ValidateEvery, cfg.ValidateEveryEpochs = 1, true, "a --s 1 --w 32 --h 32", 1, 1
	cfg.SaveEvery, cfg.SaveState, cfg.OutputDir = 1, true, t.TempDir()
	phases := map[string]bool{}
	rates, err := FindLR(t.Context(), tinyModel(t), data, cfg, 1e-5, 100, 15, func(s Status) { phases[s.Phase] = true })
	if err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(cfg.OutputDir); err != nil || len(files) > 0 || phases["validating"] || phases["drawing previews"] {
		t.Errorf("%d files, phases %v, %v", len(files), phases, err)
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
