package dataset

import (
	"context"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// LatentOptions says how images become latents.
type LatentOptions struct {
	Mean  bool   // true: the mean of the encoder's distribution; false: one draw from it, the same for the whole run
	Cache string // folder where the distributions are kept by content, for later runs; default none
}

// Latents are the images of a set as the UNet takes them, encoded once.
type Latents struct {
	Channels int
	Factor   int // pixels of an image per latent position and side
	values   map[latentKey][]float32
	masks    map[latentKey][]float32
}

type latentKey struct {
	item int
	flip bool
}

// Get returns an item's latents [Channels, H/Factor, W/Factor], and its loss mask [H/Factor, W/Factor] (nil when it has none).
func (l *Latents) Get(item int, flip bool) (latents, mask []float32) {
	key := latentKey{item, flip}
	return l.values[key], l.masks[key]
}

// Encoder turns images into latents on the device.
type Encoder struct {
	model   *sd.Model
	program *xla.Program
	vae     string // fingerprint of the weights, part of every cache key
	opts    LatentOptions
}

// NewEncoder returns an encoder with model's autoencoder.
func NewEncoder(model *sd.Model, opts LatentOptions) (*Encoder, error) {
	e := &Encoder{model: model, opts: opts}
	weights := model.VAE
	e.program = xla.Compile("encode images", func(in []*graph.Node) []*graph.Node {
		mean, logvar := sd.Moments(model.Config.VAE, weights.Bind(in), in[len(in)-1])
		return []*graph.Node{mean, logvar}
	})
	if opts.Cache == "" {
		return e, nil
	}
	if err := os.MkdirAll(opts.Cache, 0o755); err != nil {
		return nil, fault.New(fault.IO, "cache latents", opts.Cache, "%w", err).Fix("choose another folder")
	}
	var err error
	e.vae, err = fingerprint(weights)
	return e, err
}

// Encode encodes every image that training or validation needs (and its mirror image where the subset flips): from the cache without
// decoding, else decoding on all cores while the device works. It returns one error that names every file that cannot be used. report
// (may be nil) is told how many are done.
func (e *Encoder) Encode(ctx context.Context, s *Set, report func(done, total int)) (*Latents, error) {
	l := &Latents{Channels: e.model.Config.VAE.Latent, Factor: e.model.Config.VAE.Factor(),
		values: map[latentKey][]float32{}, masks: map[latentKey][]float32{}}
	var keys []latentKey
	for i, item := range s.Items {
		if !item.used() {
			continue
		}
		if item.Bucket.W%l.Factor != 0 || item.Bucket.H%l.Factor != 0 {
			return nil, fault.New(fault.Invalid, "encode images", item.Path, "bucket %s is not a multiple of the autoencoder's %d pixels",
				item.Bucket, l.Factor).Fix("choose Resolution and BucketStep as multiples of it")
		}
		keys = append(keys, latentKey{i, false})
		if s.Subsets[item.Subset].Flip {
			keys = append(keys, latentKey{i, true})
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var bad []error
	done := 0
	for r := range e.readAll(ctx, s, keys) {
		if r.err != nil {
			bad = append(bad, r.err)
		} else {
			values, mask, err := e.finish(s, r)
			if err != nil {
				return nil, err
			}
			l.values[r.key] = values
			if mask != nil {
				l.masks[r.key] = mask
			}
		}
		if done++; report != nil {
			report(done, len(keys))
		}
	}
	if done < len(keys) {
		return nil, fault.New(fault.Canceled, "encode images", "", "stopped after %d of %d: %w", done, len(keys), ctx.Err())
	}
	if len(bad) > 0 {
		return nil, joinFaults("encode images", "", bad)
	}
	return l, nil
}

// read is an image on its way to its latents: as pixels, or already as their distribution.
type read struct {
	key          latentKey
	image, mask  []float32
	mean, logvar []float32
	path         string // of the cache entry; "" without a cache
	err          error
}

// readAll reads images on all cores and hands them over in any order, until all are read or ctx is done.
func (e *Encoder) readAll(ctx context.Context, s *Set, keys []latentKey) <-chan read {
	out := make(chan read, runtime.GOMAXPROCS(0))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(keys) || ctx.Err() != nil {
					return
				}
				select {
				case out <- e.read(s, keys[i]):
				case <-ctx.Done():
					return
				}
			}
		})
	}
	go func() {
		workers.Wait()
		close(out)
	}()
	return out
}

// read looks for an image's distribution in the cache, and decodes the image if that is not there or a mask is needed.
func (e *Encoder) read(s *Set, key latentKey) read {
	r := read{key: key}
	item := s.Items[key.item]
	sub := s.Subsets[item.Subset]
	if e.opts.Cache != "" {
		if r.path, r.err = e.entry(item, sub.ResizeInterpolation, key.flip); r.err != nil {
			return r
		}
		r.mean, r.logvar = readMoments(r.path, e.model.Config.VAE, item.Bucket)
	}
	if r.mean == nil || sub.AlphaMask || sub.MaskDir != "" {
		r.image, r.mask, r.err = s.Pixels(Sample{Item: key.item, Flip: key.flip})
	}
	return r
}

// finish makes latents of what was read, and keeps their distribution in the cache.
func (e *Encoder) finish(s *Set, r read) (values, mask []float32, err error) {
	item := s.Items[r.key.item]
	if r.mean == nil {
		if r.mean, r.logvar, err = e.moments(r.image, item.Bucket); err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(r.mean, func(v float32) bool { return v != v || math.IsInf(float64(v), 0) }) {
			return nil, nil, fault.New(fault.Numeric, "encode images", item.Path, "the autoencoder makes NaN of it").
				Fix("use another base model or remove the image")
		}
		if r.path != "" {
			if err := writeMoments(r.path, e.model.Config.VAE, item.Bucket, r.mean, r.logvar); err != nil {
				return nil, nil, err
			}
		}
	}
	number := 2 * r.key.item
	if r.key.flip {
		number++
	}
	if r.mask != nil {
		mask = shrinkMask(r.mask, item.Bucket, e.model.Config.VAE.Factor())
	}
	return e.sample(s, r.mean, r.logvar, 0, number), mask, nil
}

// Draw encodes pixels [3, H, W] of one sample without keeping them, for augmentations that change every time.
func (e *Encoder) Draw(s *Set, d Sample) (latents, mask []float32, err error) {
	image, mask, err := s.Pixels(d)
	if err != nil {
		return nil, nil, err
	}
	bucket := s.Items[d.Item].Bucket
	mean, logvar, err := e.moments(image, bucket)
	if err != nil {
		return nil, nil, err
	}
	if mask != nil {
		mask = shrinkMask(mask, bucket, e.model.Config.VAE.Factor())
	}
	return e.sample(s, mean, logvar, d.Epoch, d.Number), mask, nil
}

// moments runs the encoder on one image.
func (e *Encoder) moments(image []float32, size Size) (mean, logvar []float32, err error) {
	out, err := e.program.Run(e.model.VAE.Inputs(), tensors.FromFlatDataAndDimensions(image, 1, 3, size.H, size.W))
	if err != nil {
		return nil, nil, err
	}
	if mean, err = tensors.CopyFlatData[float32](out[0]); err == nil {
		logvar, err = tensors.CopyFlatData[float32](out[1])
	}
	if err != nil {
		return nil, nil, fault.New(fault.Other, "encode images", "", "%w", err)
	}
	return mean, logvar, nil
}

// sample draws from the distribution, or takes its mean, and scales as the UNet expects.
func (e *Encoder) sample(s *Set, mean, logvar []float32, epoch, number int) []float32 {
	r := s.stream(drawLatent, epoch, number)
	out := make([]float32, len(mean))
	for i, m := range mean {
		v := float64(m)
		if !e.opts.Mean {
			v += math.Exp(0.5*float64(logvar[i])) * r.NormFloat64()
		}
		out[i] = float32(v * e.model.Config.VAE.Scale)
	}
	return out
}

// shrinkMask averages a mask over the pixels of each latent position.
func shrinkMask(mask []float32, size Size, factor int) []float32 {
	w, h := size.W/factor, size.H/factor
	out := make([]float32, w*h)
	for y := range h * factor {
		for x := range w * factor {
			out[y/factor*w+x/factor] += mask[y*size.W+x] / float32(factor*factor)
		}
	}
	return out
}
