package sample

import (
	"math"
	"sync"

	"github.com/lohakit/notebook/lohakit/sd"
)

// trainSigmas is σ of each timestep, rising from 0.0292 to 14.61: the noise's deviation where the image's is 1.
var trainSigmas = sync.OnceValue(sd.Sigmas)

// SigmaAt is the noise level of timestep t in 0 to 999, fractions interpolated in log σ.
func SigmaAt(t float64) float64 {
	s := trainSigmas()
	t = math.Min(math.Max(t, 0), sd.Timesteps-1)
	i := min(int(t), sd.Timesteps-2)
	f := t - float64(i)
	return math.Exp((1-f)*math.Log(s[i]) + f*math.Log(s[i+1]))
}

// TimestepOf is the timestep whose noise level is sigma, the inverse of SigmaAt; levels outside the trained ones give 0 or 999.
func TimestepOf(sigma float64) float64 {
	s := trainSigmas()
	if sigma <= s[0] {
		return 0
	}
	if sigma >= s[sd.Timesteps-1] {
		return sd.Timesteps - 1
	}
	lo, hi := 0, sd.Timesteps-1
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s[mid] <= sigma {
			lo = mid
		} else {
			hi = mid
		}
	}
	return float64(lo) + (math.Log(sigma)-math.Log(s[lo]))/(math.Log(s[hi])-math.Log(s[lo]))
}

// Linear is the noise levels at n timesteps evenly spread from 999 to 0, then 0: k-diffusion's usual schedule.
func Linear(n int) []float64 {
	out := make([]float64, n+1)
	for i := range n {
		t := float64(sd.Timesteps - 1)
		if n > 1 {
			t *= 1 - float64(i)/float64(n-1)
		}
		out[i] = SigmaAt(t)
	}
	return out
}

// Karras is the schedule of Karras et al. (2022), ρ = 7, between the trained extremes, then 0: short steps where the noise is low.
func Karras(n int) []float64 {
	s := trainSigmas()
	const rho = 7.0
	lo, hi := math.Pow(s[0], 1/rho), math.Pow(s[sd.Timesteps-1], 1/rho)
	out := make([]float64, n+1)
	for i := range n {
		f := 0.0
		if n > 1 {
			f = float64(i) / float64(n-1)
		}
		out[i] = math.Pow(hi+f*(lo-hi), rho)
	}
	return out
}

// Leading is DDIM's schedule: the timesteps 1, 1+r, 1+2r … with r = ⌊1000/n⌋ from the highest down, then timestep 0, whose noise level
// 0.0292 stands for the clean image as in the original Stable Diffusion code.
func Leading(n int) []float64 {
	r := sd.Timesteps / n
	out := make([]float64, n+1)
	s := trainSigmas()
	for i := range n {
		out[i] = s[min((n-1-i)*r+1, sd.Timesteps-1)]
	}
	out[n] = s[0]
	return out
}
