package train

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Check is a validation made by schedule.
type Check struct {
	Step int
	Loss float64
}

// Checks returns the validations that ValidateEvery and ValidateEveryEpochs made, in order.
func (r *Run) Checks() []Check { return slices.Clone(r.checks) }

// validateOnSchedule validates every ValidateEvery steps and every ValidateEveryEpochs epochs.
func (r *Run) validateOnSchedule(report func(Status)) error {
	if every := r.Config.ValidateEvery; (every == 0 || r.done%every != 0) && r.ended(r.Config.ValidateEveryEpochs) == 0 {
		return nil
	}
	report(Status{Phase: "validating", Step: r.done, Total: r.total})
	loss, err := r.lossOf(r.packed, r.Config.ValidationBatches)
	if err == nil {
		r.checks = append(r.checks, Check{r.done, loss})
	}
	return err
}

// Validate returns the mean loss over the first batches of the images that Config.Validation holds out, of the trained ones where there are
// none, with noise and timesteps that are the same at every call and in every run of this Seed, so that two figures differ by what was learnt
// and not by what was drawn. batches is 1 or more; neither the images nor their captions are varied.
// A loss that is not finite is a fault of kind Numeric.
func (r *Run) Validate(batches int) (float64, error) {
	if batches < 1 {
		return 0, fault.New(fault.Invalid, "validate", "batches", "%d batches", batches).Fix("use 1 or more")
	}
	if err := r.Encode(context.Background(), nil); err != nil {
		return 0, err
	}
	packed, err := pack(r.graphs.slots, r.Adapter)
	if err != nil {
		return 0, err
	}
	return r.lossOf(packed, batches)
}

// lossOf is the loss of parameters.
func (r *Run) lossOf(packed []*tensors.Tensor, batches int) (float64, error) {
	sum, n := 0.0, 0
	order := r.Data.ValidationBatches()
	if len(order) == 0 {
		order = r.Data.Epoch(0)
	}
	for i, b := range order[:min(batches, len(order))] {
		var samples []dataset.Sample
		for _, item := range b.Items {
			caption := r.Data.Subsets[r.Data.Items[item].Subset].Captions.Plain(r.Data.Items[item].Caption)
			samples = append(samples, dataset.Sample{Item: item, Caption: caption})
		}
		fed, err := r.assemble(samples, r.stream(drawValidation, i))
		if err != nil {
			return 0, err
		}
		out, err := r.graphs.loss.Run(packed, r.Model.UNet.Inputs(), r.Model.Text.Inputs(), fed.inputs(r.Config))
		if err != nil {
			return 0, err
		}
		each, err := tensors.CopyFlatData[float32](out[0])
		if err != nil {
			return 0, fault.New(fault.Other, "validate", "", "%w", err)
		}
		for _, l := range each[:len(samples)] {
			sum, n = sum+float64(l), n+1
		}
	}
	if !finite(sum) {
		return 0, fault.New(fault.Numeric, "validate", fmt.Sprintf("step %d", r.done), "loss is %v", sum).Fix("lower LR or Alpha and start again")
	}
	return sum / float64(n), nil
}
