package sample

import "math"

// Denoise estimates the clean latents of x, which carry noise of standard deviation sigma on top. The result is the callee's to keep
// until the next call. An error (such as cancelling) ends the sampler.
type Denoise func(x []float32, sigma float64) ([]float32, error)

// Noise fills dst with the normal noise, of mean 0 and variance 1, that a sampler adds on the way from one noise level to a lower one.
type Noise func(dst []float32, from, to float64)

// Steps solves for the clean latents: it starts from x, whose noise has the deviation sigmas[0], and goes down the levels, which
// fall strictly; the last may be 0. eta scales the noise added on the way, 0 for none; samplers without noise ignore it. x is not changed.
type Steps func(denoise Denoise, x []float32, sigmas []float64, noise Noise, eta float64) ([]float32, error)

// DDIM is Song et al. (2020), equation 12, in the paper's variables: x = √ᾱ·clean + √(1−ᾱ)·ε.
func DDIM(denoise Denoise, x []float32, sigmas []float64, noise Noise, eta float64) ([]float32, error) {
	alpha := func(sigma float64) float64 { return 1 / (sigma*sigma + 1) }
	x = combine(math.Sqrt(alpha(sigmas[0])), x, 0, x)
	z := make([]float32, len(x))
	for i, sigma := range sigmas[:len(sigmas)-1] {
		a, next := alpha(sigma), alpha(sigmas[i+1])
		clean, err := denoise(combine(1/math.Sqrt(a), x, 0, x), sigma)
		if err != nil {
			return nil, err
		}
		eps := combine(1/math.Sqrt(1-a), x, -math.Sqrt(a/(1-a)), clean)
		s := eta * math.Sqrt((1-next)/(1-a)*(1-a/next))
		x = combine(math.Sqrt(next), clean, math.Sqrt(math.Max(1-next-s*s, 0)), eps)
		if s > 0 {
			noise(z, sigma, sigmas[i+1])
			x = combine(1, x, s, z)
		}
	}
	return x, nil
}

// Euler follows the probability flow dx/dσ = (x−clean)/σ with Euler's method (Karras et al. 2022, algorithm 2 without churn).
func Euler(denoise Denoise, x []float32, sigmas []float64, _ Noise, _ float64) ([]float32, error) {
	for i, sigma := range sigmas[:len(sigmas)-1] {
		clean, err := denoise(x, sigma)
		if err != nil {
			return nil, err
		}
		x = toward(clean, x, sigma, sigmas[i+1])
	}
	return x, nil
}

// EulerAncestral goes below the next level and adds the noise that brings it back up ("Euler a").
func EulerAncestral(denoise Denoise, x []float32, sigmas []float64, noise Noise, eta float64) ([]float32, error) {
	z := make([]float32, len(x))
	for i, sigma := range sigmas[:len(sigmas)-1] {
		clean, err := denoise(x, sigma)
		if err != nil {
			return nil, err
		}
		down, up := ancestral(sigma, sigmas[i+1], eta)
		x = toward(clean, x, sigma, down)
		if up > 0 {
			noise(z, sigma, sigmas[i+1])
			x = combine(1, x, up, z)
		}
	}
	return x, nil
}

// Heun corrects Euler's step with the slope at its end: two evaluations a step, one for the last.
func Heun(denoise Denoise, x []float32, sigmas []float64, _ Noise, _ float64) ([]float32, error) {
	for i, sigma := range sigmas[:len(sigmas)-1] {
		next := sigmas[i+1]
		clean, err := denoise(x, sigma)
		if err != nil {
			return nil, err
		}
		there := toward(clean, x, sigma, next)
		if next == 0 {
			return there, nil
		}
		slope := combine(1/sigma, x, -1/sigma, clean)
		clean, err = denoise(there, next)
		if err != nil {
			return nil, err
		}
		end := combine(1/next, there, -1/next, clean)
		x = combine(1, x, next-sigma, combine(0.5, slope, 0.5, end))
	}
	return x, nil
}

// DPM2M is DPM-Solver++(2M) (Lu et al. 2022): in t = −ln σ the clean estimate is extrapolated from the last two.
func DPM2M(denoise Denoise, x []float32, sigmas []float64, _ Noise, _ float64) ([]float32, error) {
	var last []float32
	for i, sigma := range sigmas[:len(sigmas)-1] {
		next := sigmas[i+1]
		clean, err := denoise(x, sigma)
		if err != nil {
			return nil, err
		}
		d := clean
		if last != nil && next > 0 {
			h, before := math.Log(sigma/next), math.Log(sigmas[i-1]/sigma)
			r := before / h
			d = combine(1+1/(2*r), clean, -1/(2*r), last)
		}
		x = toward(d, x, sigma, next)
		last = combine(1, clean, 0, clean)
	}
	return x, nil
}

// DPMSDE is DPM-Solver++ for the stochastic equation, second order with the middle at half the step in t = −ln σ: two
// evaluations a step, one for the last. noise must belong to the interval asked for, as a Brownian path's does.
func DPMSDE(denoise Denoise, x []float32, sigmas []float64, noise Noise, eta float64) ([]float32, error) {
	z := make([]float32, len(x))
	for i, sigma := range sigmas[:len(sigmas)-1] {
		next := sigmas[i+1]
		clean, err := denoise(x, sigma)
		if err != nil {
			return nil, err
		}
		if next == 0 {
			x = toward(clean, x, sigma, 0)
			continue
		}
		middle := math.Sqrt(sigma * next)
		down, up := ancestral(sigma, middle, eta)
		half := toward(clean, x, sigma, down)
		if up > 0 {
			noise(z, sigma, middle)
			half = combine(1, half, up, z)
		}
		if clean, err = denoise(half, middle); err != nil {
			return nil, err
		}
		// with the middle at half the step the weight 1/(2r) of the second estimate is 1 and the first drops out
		down, up = ancestral(sigma, next, eta)
		x = toward(clean, x, sigma, down)
		if up > 0 {
			noise(z, sigma, next)
			x = combine(1, x, up, z)
		}
	}
	return x, nil
}

// lmsOrder is how many slopes the linear multistep method remembers.
const lmsOrder = 4

// LMS is the linear multistep method: the slope between two levels is the polynomial through the last four slopes.
func LMS(denoise Denoise, x []float32, sigmas []float64, _ Noise, _ float64) ([]float32, error) {
	var slopes [][]float32 // newest first
	for i, sigma := range sigmas[:len(sigmas)-1] {
		clean, err := denoise(x, sigma)
		if err != nil {
			return nil, err
		}
		slopes = append([][]float32{combine(1/sigma, x, -1/sigma, clean)}, slopes[:min(len(slopes), lmsOrder-1)]...)
		for j, slope := range slopes {
			x = combine(1, x, lmsWeight(sigmas, i, j, len(slopes)), slope)
		}
	}
	return x, nil
}

// lmsWeight integrates from level i to i+1 the Lagrange polynomial that is 1 at level i−j and 0 at the other order−1 levels before i.
func lmsWeight(sigmas []float64, i, j, order int) float64 {
	poly := func(tau float64) float64 {
		p := 1.0
		for k := range order {
			if k != j {
				p *= (tau - sigmas[i-k]) / (sigmas[i-j] - sigmas[i-k])
			}
		}
		return p
	}
	// Gauss's two points are exact up to cubics, the degree of four levels
	mid, half := (sigmas[i]+sigmas[i+1])/2, (sigmas[i+1]-sigmas[i])/2
	g := half / math.Sqrt(3)
	return half * (poly(mid-g) + poly(mid+g))
}

// ancestral splits the step from one level to the next: first down to a level below, then up by adding noise of deviation up.
func ancestral(from, to, eta float64) (down, up float64) {
	if eta == 0 {
		return to, 0
	}
	up = math.Min(to, eta*math.Sqrt(to*to*(from*from-to*to)/(from*from)))
	return math.Sqrt(to*to - up*up), up
}

// toward moves x from level sigma to level to along the line to the clean latents.
func toward(clean, x []float32, sigma, to float64) []float32 {
	return combine(to/sigma, x, 1-to/sigma, clean)
}

// combine returns a·x + b·y. The products are rounded one by one, so that no machine fuses them and all give the same bits.
func combine(a float64, x []float32, b float64, y []float32) []float32 {
	out := make([]float32, len(x))
	if b == 0 {
		for i := range out {
			out[i] = float32(a * float64(x[i]))
		}
		return out
	}
	for i := range out {
		out[i] = float32(float64(a*float64(x[i])) + float64(b*float64(y[i])))
	}
	return out
}
