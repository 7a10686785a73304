package dataset

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"math"
	"path/filepath"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// fingerprint tells autoencoders apart by their weights.
func fingerprint(weights *sd.Params) (string, error) {
	sum := sha256.New()
	for _, name := range weights.Names() {
		values, err := tensors.CopyFlatData[float32](weights.Get(name))
		if err != nil {
			return "", fault.New(fault.Other, "cache latents", name, "%w", err)
		}
		fmt.Fprintf(sum, "%s %v\n", name, weights.Shape(name))
		writeFloats(sum, values)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// entry names an image's cache entry by all that decides its latents' distribution: the content of its file, how that is scaled, cut and
// mirrored, and the autoencoder. Where the file lies and what it is called does not matter.
func (e *Encoder) entry(item Item, method string, flip bool) (string, error) {
	f, err := item.limits.open(item.Path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %s %s %v\n%s", e.vae, item.Resized, item.Bucket, flip, method)
	if _, err := io.Copy(sum, f); err != nil {
		return "", readFault("read image", item.Path, err)
	}
	return filepath.Join(e.opts.Cache, hex.EncodeToString(sum.Sum(nil))+".safetensors"), nil
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

// readMoments reads a cache entry; nil for one that is missing or damaged, which is then simply made again.
func readMoments(path string, vae sd.VAEConfig, size Size) (mean, logvar []float32) {
	f, err := checkpoint.Open(path)
	if err != nil {
		return nil, nil
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
	if mean, logvar = read("mean"), read("logvar"); mean == nil || logvar == nil {
		return nil, nil
	}
	return mean, logvar
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
