package train

import (
	"math"
	"math/rand/v2"
)

// NoiseOptions is what the noise of a training step is made of. The zero value is plain Gaussian noise.
type NoiseOptions struct {
	Offset             float64 // strength of one more normal number for each channel of each sample; 0 off; 0.05…0.1 is customary
	OffsetRandom       bool    // true: the strength is drawn uniformly from 0…Offset at each step
	AdaptiveScale      float64 // added to the strength, times |mean of the channel's latent|; 0 off
	PyramidIterations  int     // levels of coarser noise added; 0 off; 6…10 is customary
	PyramidDiscount    float64 // strength of level i is PyramidDiscount^i; default 0.3
	Perturbation       float64 // γ of input perturbation: what is added is noise + γ·noise', the target stays noise; 0 off
	PerturbationRandom bool    // true: γ is drawn uniformly from 0…Perturbation
}

// Noise draws the noise of latents [batch, channels, h, w] (flat, row-major) as added to them and as predicted; both are the same slice
// unless there is input perturbation.
func Noise(r *rand.Rand, latents []float32, batch, channels, h, w int, o NoiseOptions) (added, target []float32) {
	area := h * w
	target = make([]float32, batch*channels*area)
	for i := range target {
		target[i] = float32(r.NormFloat64())
	}
	if o.Offset > 0 {
		strength := o.Offset
		if o.OffsetRandom {
			strength *= r.Float64()
		}
		for plane := range batch * channels {
			part := target[plane*area:][:area]
			shift := float32(math.Max(0, strength+o.AdaptiveScale*math.Abs(mean(latents[plane*area:][:area]))) * r.NormFloat64())
			for i := range part {
				part[i] += shift
			}
		}
	}
	if o.PyramidIterations > 0 {
		pyramid(r, target, batch*channels, h, w, o)
	}
	if o.Perturbation == 0 {
		return target, target
	}
	gamma := o.Perturbation
	if o.PerturbationRandom {
		gamma *= r.Float64()
	}
	added = make([]float32, len(target))
	for i, n := range target {
		added[i] = n + float32(gamma*r.NormFloat64())
	}
	return added, target
}

// pyramid adds ever coarser noise, scaled up bilinearly, until a level is one pixel, and divides by the standard deviation of the whole.
func pyramid(r *rand.Rand, noise []float32, planes, h, w int, o NoiseOptions) {
	for i := range o.PyramidIterations {
		ratio := math.Pow(2*r.Float64()+2, float64(i))
		ch, cw := max(1, int(float64(h)/ratio)), max(1, int(float64(w)/ratio))
		strength := float32(math.Pow(orDefault(o.PyramidDiscount, 0.3), float64(i)))
		coarse := make([]float32, ch*cw)
		for plane := range planes {
			for k := range coarse {
				coarse[k] = float32(r.NormFloat64())
			}
			enlarge(noise[plane*h*w:][:h*w], h, w, coarse, ch, cw, strength)
		}
		if ch == 1 || cw == 1 {
			break
		}
	}
	average, square := mean(noise), 0.0
	for _, v := range noise {
		square += (float64(v) - average) * (float64(v) - average)
	}
	deviation := float32(math.Sqrt(square / float64(len(noise)-1)))
	for i := range noise {
		noise[i] /= deviation
	}
}

// enlarge adds strength times the bilinear enlargement of a coarse plane; pixel centres are at half coordinates.
func enlarge(to []float32, h, w int, coarse []float32, ch, cw int, strength float32) {
	for y := range h {
		y0, y1, fy := between(y, h, ch)
		for x := range w {
			x0, x1, fx := between(x, w, cw)
			top := coarse[y0*cw+x0]*(1-fx) + coarse[y0*cw+x1]*fx
			low := coarse[y1*cw+x0]*(1-fx) + coarse[y1*cw+x1]*fx
			to[y*w+x] += strength * (top*(1-fy) + low*fy)
		}
	}
}

// between returns the two coarse positions around a fine one, and how far it is towards the second.
func between(i, fine, coarse int) (lo, hi int, share float32) {
	at := math.Max(0, (float64(i)+0.5)*float64(coarse)/float64(fine)-0.5)
	lo = min(int(at), coarse-1)
	return lo, min(lo+1, coarse-1), float32(at - float64(lo))
}

func mean(values []float32) float64 {
	sum := 0.0
	for _, v := range values {
		sum += float64(v)
	}
	return sum / float64(len(values))
}
