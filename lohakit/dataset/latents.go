package dataset

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
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
	sum := sha256.New()
	for _, name := range weights.Names() {
		values, err := tensors.CopyFlatData[float32](weights.Get(name))
		if err != nil {
			return nil, fault.New(fault.Other, "cache latents", name, "%w", err)
		}
		writeFloats(sum, values)
	}
	e.vae = hex.EncodeToString(sum.Sum(nil))
	return e, nil
}

// Encode encodes every image of the set (and its mirror image where the subset flips), decoding on all cores. It returns one error
// that names every file that cannot be used. report (may be nil) is told how many are done.
func (e *Encoder) Encode(ctx context.Context, s *Set, report func(done, total int)) (*Latents, error) {
	l := &Latents{Channels: e.model.Config.VAE.Latent, Factor: e.model.Config.VAE.Factor(),
		values: map[latentKey][]float32{}, masks: map[latentKey][]float32{}}
	var keys []latentKey
	for i := range s.Items {
		keys = append(keys, latentKey{i, false})
		if s.Subsets[s.Items[i].Subset].Flip {
			keys = append(keys, latentKey{i, true})
		}
	}
	var bad []error
	type decoded struct {
		image, mask []float32
		err         error
	}
	for start := 0; start < len(keys); {
		if err := ctx.Err(); err != nil {
			return nil, fault.New(fault.Canceled, "encode images", "", "stopped after %d of %d: %w", start, len(keys), err)
		}
		n := min(2*runtime.GOMAXPROCS(0), len(keys)-start)
		images := make([]decoded, n)
		var workers sync.WaitGroup
		for k, key := range keys[start : start+n] {
			workers.Go(func() {
				d := &images[k]
				d.image, d.mask, d.err = s.Pixels(Sample{Item: key.item, Flip: key.flip})
			})
		}
		workers.Wait()
		for k, key := range keys[start : start+n] {
			if images[k].err != nil {
				bad = append(bad, images[k].err)
				continue
			}
			values, err := e.one(s, key, images[k].image)
			if err != nil {
				return nil, err
			}
			l.values[key] = values
			if images[k].mask != nil {
				l.masks[key] = shrinkMask(images[k].mask, s.Items[key.item].Bucket, l.Factor)
			}
		}
		start += n
		if report != nil {
			report(start, len(keys))
		}
	}
	return l, joinFaults("encode images", "", bad)
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

// one returns an item's latents, from the cache if they are there.
func (e *Encoder) one(s *Set, key latentKey, image []float32) ([]float32, error) {
	item := s.Items[key.item]
	if item.Bucket.W%e.model.Config.VAE.Factor() != 0 || item.Bucket.H%e.model.Config.VAE.Factor() != 0 {
		return nil, fault.New(fault.Invalid, "encode images", item.Path, "bucket %s is not a multiple of the autoencoder's %d pixels",
			item.Bucket, e.model.Config.VAE.Factor()).Fix("choose Resolution and BucketStep as multiples of it")
	}
	number := 2 * key.item
	if key.flip {
		number++
	}
	path := e.cachePath(item.Bucket, image)
	if mean, logvar, ok := readMoments(path, e.model.Config.VAE, item.Bucket); ok {
		return e.sample(s, mean, logvar, 0, number), nil
	}
	mean, logvar, err := e.moments(image, item.Bucket)
	if err != nil {
		return nil, err
	}
	for _, v := range mean {
		if v != v || math.IsInf(float64(v), 0) {
			return nil, fault.New(fault.Numeric, "encode images", item.Path, "the autoencoder makes NaN of it").
				Fix("use another base model or remove the image")
		}
	}
	if path != "" {
		if err := writeMoments(path, e.model.Config.VAE, item.Bucket, mean, logvar); err != nil {
			return nil, err
		}
	}
	return e.sample(s, mean, logvar, 0, number), nil
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

// cachePath names an image's entry by all that decides its latents' distribution: the pixels after scaling and cutting, and the weights.
func (e *Encoder) cachePath(bucket Size, image []float32) string {
	if e.opts.Cache == "" {
		return ""
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s\n", e.vae, bucket)
	writeFloats(sum, image)
	return filepath.Join(e.opts.Cache, hex.EncodeToString(sum.Sum(nil))+".safetensors")
}

func writeFloats(to hash.Hash, values []float32) {
	w := bufio.NewWriterSize(to, 1<<16)
	var b [4]byte
	for _, v := range values {
		bits := math.Float32bits(v)
		b[0], b[1], b[2], b[3] = byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24)
		w.Write(b[:])
	}
	w.Flush()
}

// readMoments reads a cache entry; one that is missing or damaged is simply made again.
func readMoments(path string, vae sd.VAEConfig, size Size) (mean, logvar []float32, ok bool) {
	if path == "" {
		return nil, nil, false
	}
	f, err := checkpoint.Open(path)
	if err != nil {
		return nil, nil, false
	}
	defer f.Close()
	want := vae.Latent * (size.H / vae.Factor()) * (size.W / vae.Factor())
	read := func(name string) []float32 {
		t, err := f.Tensor(name)
		if err != nil {
			return nil
		}
		values, err := t.Floats()
		if err != nil || len(values) != want {
			return nil
		}
		return values
	}
	mean, logvar = read("mean"), read("logvar")
	return mean, logvar, mean != nil && logvar != nil
}

func writeMoments(path string, vae sd.VAEConfig, size Size, mean, logvar []float32) error {
	shape := []int{vae.Latent, size.H / vae.Factor(), size.W / vae.Factor()}
	var list []checkpoint.Tensor
	for _, part := range []struct {
		name   string
		values []float32
	}{{"mean", mean}, {"logvar", logvar}} {
		t, err := checkpoint.FromFloats(part.name, checkpoint.F32, shape, part.values)
		if err != nil {
			return err
		}
		list = append(list, t)
	}
	return checkpoint.Write(path, list, nil)
}
