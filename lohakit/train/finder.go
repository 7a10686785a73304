package train

import (
	"context"
	"math"
	"slices"

	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Rate is one step of a learning-rate search.
type Rate struct {
	LR       float64
	Loss     float64 // of the step
	Smoothed float64 // exponential mean with decay 0.95, corrected for its start
}

// FindLR trains a fresh adapter for n steps while the rate rises evenly on a logarithmic scale, and returns the loss at every rate: a good LR
// is about a tenth of that at which the smoothed loss begins to rise (Smith 2017). from and to are rates with 0 < from < to; 1e-6, 1e-1
// and 100 steps are customary. The search ends early when the smoothed loss is four times its lowest, or not a number. It draws no
// previews, validates nothing and saves nothing.
func FindLR(ctx context.Context, model *sd.Model, data *dataset.Set, cfg Config, from, to float64, n int,
	report func(Status)) ([]Rate, error) {
	if !(from > 0 && to > from && to <= 1e3) || n < 2 {
		return nil, fault.New(fault.Invalid, "find learning rate", "from, to, n",
			"%g, %g, %d are not a range of rates and a number of steps", from, to, n).
			Fix("use 1e-6, 1e-1 and 100")
	}
	cfg.LR, cfg.UNetLR, cfg.TextLR, cfg.Steps = from, 0, 0, n
	cfg.Scheduler, cfg.Warmup, cfg.TextStop = "constant", 0, 0
	cfg.SampleEvery, cfg.SampleEveryEpochs, cfg.SampleAtFirst = 0, 0, false
	cfg.ValidateEvery, cfg.ValidateEveryEpochs, cfg.SaveEvery, cfg.SaveEveryEpochs = 0, 0, 0, 0
	cfg.Embeddings = slices.Clone(cfg.Embeddings)
	for i := range cfg.Embeddings {
		cfg.Embeddings[i].LR, cfg.Embeddings[i].Stop = 0, 0
	}
	r, err := New(model, data, cfg)
	if err != nil {
		return nil, err
	}
	r.factor = func(step int) float64 { return math.Pow(to/from, float64(step)/float64(n-1)) }
	var rates []Rate
	mean, best := 0.0, math.Inf(1)
	for i := range n {
		err := r.Step(ctx, 1, report)
		if fault.Is(err, fault.Numeric) {
			return rates, nil
		}
		if err != nil {
			return rates, err
		}
		loss := r.losses[i]
		mean = 0.95*mean + 0.05*loss
		smoothed := mean / (1 - math.Pow(0.95, float64(i+1)))
		rates = append(rates, Rate{from * r.factor(i), loss, smoothed})
		if best = min(best, smoothed); smoothed > 4*best {
			break
		}
	}
	return rates, nil
}

// StepSize returns the d that D-Adaptation or Prodigy has found, which multiplies LR; 1 for the other optimizers and before the first step.
func (r *Run) StepSize() (float64, error) {
	at := 0
	switch r.graphs.optimizer.(type) {
	case DAdaptAdam:
		at = len(r.state) - 2
	case Prodigy:
		at = len(r.state) - 3
	default:
		return 1, nil
	}
	if r.state == nil {
		return 1, nil
	}
	var d float64
	err := r.state[at].ConstFlatData(func(flat any) { d = float64(flat.([]float32)[0]) })
	if err != nil {
		return 0, fault.New(fault.Other, "read step size", "", "%w", err)
	}
	return d, nil
}
