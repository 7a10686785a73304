package world

import (
	"image"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/pkg/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/sd"
)

// latentScale brings the latents to a variance of about 0.4. It is less than 1 so that at the last timestep, where 0.5 % of the signal
// is left, little of a picture's mean brightness shines through: a model that can see it there cannot draw very dark or very light ones.
const latentScale = 0.75

// Autoencoder fits the linear patch autoencoder to pictures of the corpus: the principal components of its patches, each
// divided by its variance to the power 3/8: nearly equal in size, the coarse ones still leading. What is lost is 27 dB below white in
// the chosen plan.
func (p Plan) Autoencoder(seed uint64) *sd.Params {
	const pictures = 400
	size, patch, latents, d := p.Size, p.Patch, p.Latents, 3*p.Patch*p.Patch
	rng := rand.New(rand.NewPCG(seed, 0xae))
	var rows []float64
	for range pictures {
		s, _ := Corpus(rng)
		img := Pixels(s.Render(size))
		for y := 0; y < size; y += patch {
			for x := 0; x < size; x += patch {
				for c := range 3 {
					for dy := range patch {
						for dx := range patch {
							rows = append(rows, float64(img[(c*size+y+dy)*size+x+dx]))
						}
					}
				}
			}
		}
	}
	n := len(rows) / d
	mean := make([]float64, d)
	for i, v := range rows {
		mean[i%d] += v / float64(n)
	}
	for i := range rows {
		rows[i] -= mean[i%d]
	}
	var covariance mat.SymDense
	covariance.SymOuterK(1/float64(n), mat.NewDense(n, d, rows).T())
	var eigen mat.EigenSym
	eigen.Factorize(&covariance, true)
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	values := eigen.Values(nil) // ascending

	encode, decode, bias := make([]float32, latents*d), make([]float32, latents*d), make([]float32, latents)
	for k := range latents {
		column := d - 1 - k
		gain := math.Pow(values[column], -0.375)
		sign := 1.0
		if vectors.At(0, column) < 0 { // an eigenvector's sign is arbitrary; this makes it the same everywhere
			sign = -1
		}
		for i := range d {
			v := sign * vectors.At(i, column)
			encode[k*d+i], decode[k*d+i] = float32(v*gain), float32(v/gain)
			bias[k] -= float32(v * gain * mean[i])
		}
	}
	// The mean of a patch differs little from pixel to pixel, and the decoder has one bias a colour; what is left over is a constant
	// pattern of less than one grey level.
	colour := make([]float32, 3)
	for i, m := range mean {
		colour[i/(patch*patch)] += float32(m) / float32(patch*patch)
	}
	out := sd.NewParams()
	out.Set("patch.weight", tensors.FromFlatDataAndDimensions(encode, latents, 3, patch, patch))
	out.Set("patch.bias", tensors.FromFlatDataAndDimensions(bias, latents))
	out.Set("unpatch.weight", tensors.FromFlatDataAndDimensions(decode, latents, 3, patch, patch))
	out.Set("unpatch.bias", tensors.FromFlatDataAndDimensions(colour, 3))
	return out
}

// Pixels returns a picture as [3, H, W] in −1 … 1.
func Pixels(img *image.RGBA) []float32 {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out := make([]float32, 3*w*h)
	for y := range h {
		for x := range w {
			at := img.PixOffset(x, y)
			for c := range 3 {
				out[(c*h+y)*w+x] = float32(img.Pix[at+c])/127.5 - 1
			}
		}
	}
	return out
}
