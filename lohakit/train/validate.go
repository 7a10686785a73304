package train

import (
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Validate returns the mean loss over the first batches of the images that Config.Validation holds out, of the trained ones where there are
// none, with noise and timesteps that are the same at every call and in every
// run of this Seed, so that two figures differ by what was learnt and not by what was drawn. batches is 1 or more; samples are
// neither flipped nor their captions varied. Call it after the first step.
func (r *Run) Validate(batches int) (float64, error) {
	if r.latents == nil {
		return 0, fault.New(fault.Invalid, "validate", "", "the images are not encoded yet").Fix("make a step first")
	}
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
		out, err := r.graphs.loss.Run(r.params.Inputs(), r.Model.UNet.Inputs(), r.Model.Text.Inputs(), fed.inputs())
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
	return sum / float64(n), nil
}
