package train

import (
	"math/rand/v2"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Purposes of a run's random numbers. Each step has its own stream of each, so that nothing but the step's number has to be kept for
// an exact resume.
const (
	drawNoise = iota + 1
	drawValidation
)

func (r *Run) stream(purpose, number int) *rand.Rand {
	return rand.New(rand.NewPCG(r.Config.Seed, uint64(purpose)<<56^uint64(number)))
}

// batchAt returns the batch of a number, counted from 0 over all epochs, and its epoch, from 1.
func (r *Run) batchAt(number int) (dataset.Batch, int) {
	epoch := number/r.perEpoch + 1
	if r.epoch != epoch {
		r.epoch, r.order = epoch, r.Data.Epoch(epoch)
	}
	return r.order[number%r.perEpoch], epoch
}

// makeBatch draws captions, latents, noise and timesteps of one batch. A batch shorter than BatchSize is filled up with copies of weight 0,
// so that one compiled program serves every batch of a bucket.
func (r *Run) makeBatch(number int) (batch, error) {
	b, epoch := r.batchAt(number)
	step, steps := number/r.Config.GradAccumulation, r.total
	var samples []dataset.Sample
	for i, item := range b.Items {
		samples = append(samples, r.Data.Draw(item, b.Numbers[i], epoch, step, steps))
	}
	return r.assemble(samples, r.stream(drawNoise, number))
}

// assemble makes the tensors of a batch of samples, all of one bucket.
func (r *Run) assemble(samples []dataset.Sample, rng *rand.Rand) (batch, error) {
	size, bucket := r.Config.BatchSize, r.Data.Items[samples[0].Item].Bucket
	channels, h, w := r.latents.Channels, bucket.H/r.latents.Factor, bucket.W/r.latents.Factor
	volume := channels * h * w
	latents := make([]float32, 0, size*volume)
	masks := make([]float32, 0, size*h*w)
	weights := make([]float32, size)
	var ids []int32
	var emphasis []float32
	for i := range size {
		s := samples[min(i, len(samples)-1)]
		values, mask, err := r.sampleLatents(s)
		if err != nil {
			return batch{}, err
		}
		latents = append(latents, values...)
		if mask == nil {
			mask = ones(h * w)
		}
		masks = append(masks, mask...)
		tokens, factors := r.tokens(s.Caption)
		chunks, err := sd.Chunk(tokens, r.Config.MaxTokens)
		if err != nil {
			return batch{}, err
		}
		ids, emphasis = append(ids, chunks...), append(emphasis, padded(factors, r.Config.MaxTokens)...)
		if i < len(samples) {
			weights[i] = float32(r.weightOf(s) / float64(len(samples)*r.Config.GradAccumulation))
		}
	}
	timesteps := make([]int32, size)
	for i := range timesteps {
		timesteps[i] = int32(r.Config.MinTimestep + rng.IntN(r.Config.MaxTimestep-r.Config.MinTimestep))
	}
	added, target := Noise(rng, latents, size, channels, h, w, r.Config.noise())
	tensor := func(v []float32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(v, size, channels, h, w) }
	out := batch{latents: tensor(latents), added: tensor(added), target: tensor(target),
		timesteps: tensors.FromFlatDataAndDimensions(timesteps, size),
		ids:       tensors.FromFlatDataAndDimensions(ids, size, len(ids)/size),
		weights:   tensors.FromFlatDataAndDimensions(weights, size),
		mask:      tensors.FromFlatDataAndDimensions(masks, size, 1, h, w),
		emphasis:  tensors.FromFlatDataAndDimensions(emphasis, size, len(emphasis)/size),
		chance:    []uint64{rng.Uint64(), rng.Uint64(), rng.Uint64()}}
	return out, nil
}

// sampleLatents returns a sample's latents and mask: encoded once, unless its pixels change with every draw of an epoch.
func (r *Run) sampleLatents(s dataset.Sample) (values, mask []float32, err error) {
	if sub := r.Data.Subsets[r.Data.Items[s.Item].Subset]; s.Epoch > 0 && (sub.Color || sub.RandomCrop) {
		return r.encoder.Draw(r.Data, s)
	}
	values, mask = r.latents.Get(s.Item, s.Flip)
	return values, mask, nil
}

// weightOf is a sample's weight in the loss.
func (r *Run) weightOf(s dataset.Sample) float64 {
	if r.Data.Subsets[r.Data.Items[s.Item].Subset].Regularization {
		return r.Config.PriorLoss
	}
	return 1
}

func ones(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 1
	}
	return v
}
