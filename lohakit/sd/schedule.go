package sd

import "math"

// Timesteps is how many noise levels SD 1.x is trained on; they count from 0, the least noise.
const Timesteps = 1000

// The variance added at the first and the last timestep, from the training configuration of Stable Diffusion 1.x.
const betaStart, betaEnd = 0.00085, 0.012

// Betas returns β, the variance of the noise that each timestep adds: linear in its square root from 0.00085 to 0.012.
func Betas() []float64 {
	betas := make([]float64, Timesteps)
	first, last := math.Sqrt(betaStart), math.Sqrt(betaEnd)
	for t := range betas {
		root := first + (last-first)*float64(t)/(Timesteps-1)
		betas[t] = root * root
	}
	return betas
}

// Alphas returns ᾱ, the share of the clean latents' variance left at each timestep: the product of 1−β so far, from 0.99915 to 0.00466.
// Noisy latents are √ᾱ·latents + √(1−ᾱ)·noise.
func Alphas() []float64 {
	alphas := Betas()
	product := 1.0
	for t, beta := range alphas {
		product *= 1 - beta
		alphas[t] = product
	}
	return alphas
}

// Sigmas returns σ = √((1−ᾱ)/ᾱ), the noise at each timestep relative to the latents, from 0.02917 to 14.61465.
func Sigmas() []float64 {
	sigmas := Alphas()
	for t, alpha := range sigmas {
		sigmas[t] = math.Sqrt((1 - alpha) / alpha)
	}
	return sigmas
}
