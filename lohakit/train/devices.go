package train

import (
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// differentiateOnAll is differentiate on Config.Devices devices: each has the model, the parameters and its part of the batch. The
// gradients that come back are on the first, which moves the parameters.
func (r *Run) differentiateOnAll(b batch) ([]*tensors.Tensor, error) {
	if err := r.replicate(); err != nil {
		return nil, err
	}
	n := r.Config.Devices
	parts, err := b.split(n)
	if err != nil {
		return nil, err
	}
	in := []any{r.packed, r.Model.UNet.Inputs(), r.Model.Text.Inputs(), parts[0].inputs(r.Config)}
	for device := 1; device < n; device++ {
		params, err := xla.CopyTo(device, r.packed)
		if err != nil {
			return nil, err
		}
		in = append(in, params, r.replicas[device-1], parts[device].inputs(r.Config))
	}
	out, err := r.graphs.gradients.Run(in...)
	if err != nil {
		return nil, err
	}
	each := len(out) / n
	for _, t := range out[each:] {
		t.MustFinalizeAll()
	}
	return out[:each], nil
}

// replicate copies the base model to the other devices, once.
func (r *Run) replicate() error {
	for device := len(r.replicas) + 1; device < r.Config.Devices; device++ {
		var all []*tensors.Tensor
		for _, p := range []*sd.Params{r.Model.UNet, r.Model.Text} {
			for _, name := range p.Names() {
				all = append(all, p.Get(name))
			}
		}
		replica, err := xla.CopyTo(device, all)
		if err != nil {
			return err
		}
		r.replicas = append(r.replicas, replica)
	}
	return nil
}

// split divides the samples of a batch evenly.
func (b batch) split(n int) ([]batch, error) {
	parts := make([]batch, n)
	for i := range parts {
		parts[i].chance, parts[i].device = b.chance, int32(i)
		for _, f := range []struct {
			whole *tensors.Tensor
			part  **tensors.Tensor
		}{{b.latents, &parts[i].latents}, {b.added, &parts[i].added}, {b.target, &parts[i].target}, {b.timesteps, &parts[i].timesteps},
			{b.ids, &parts[i].ids}, {b.weights, &parts[i].weights}, {b.mask, &parts[i].mask}, {b.emphasis, &parts[i].emphasis}} {
			part, err := rows(f.whole, i, n)
			if err != nil {
				return nil, fault.New(fault.Other, "divide batch", "", "%w", err)
			}
			*f.part = part
		}
	}
	return parts, nil
}

// rows is the i-th of n parts of a tensor along its first axis.
func rows(t *tensors.Tensor, i, n int) (*tensors.Tensor, error) {
	shape := t.Shape().Clone()
	shape.Dimensions[0] /= n
	part := tensors.FromShape(shape)
	var inner error
	err := t.ConstBytes(func(all []byte) {
		size := len(all) / n
		inner = part.MutableBytes(func(data []byte) { copy(data, all[i*size:(i+1)*size]) })
	})
	if err == nil {
		err = inner
	}
	return part, err
}
