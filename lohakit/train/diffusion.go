package train

import (
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/lohakit/sd"
)

// AlphasCumprod returns ᾱ of every timestep, Stable Diffusion 1.x's. With zeroTerminalSNR the roots of ᾱ are shifted and stretched so
// that the last level is pure noise (Lin et al. 2024, algorithm 1).
func AlphasCumprod(zeroTerminalSNR bool) []float64 {
	alphas := sd.Alphas()
	if zeroTerminalSNR {
		first, last := math.Sqrt(alphas[0]), math.Sqrt(alphas[sd.Timesteps-1])
		for t, a := range alphas {
			root := (math.Sqrt(a) - last) * first / (first - last)
			alphas[t] = root * root
		}
	}
	return alphas
}

// levels returns √ᾱ and √(1-ᾱ) at the timesteps t [B], shaped [B,1,1,1].
func levels(t *Node, zeroTerminalSNR bool) (signal, noise *Node) {
	alphas := AlphasCumprod(zeroTerminalSNR)
	a, b := make([]float32, sd.Timesteps), make([]float32, sd.Timesteps)
	for i, v := range alphas {
		a[i], b[i] = float32(math.Sqrt(v)), float32(math.Sqrt(1-v))
	}
	return Reshape(pick(a, t), -1, 1, 1, 1), Reshape(pick(b, t), -1, 1, 1, 1)
}

// pick looks t [B] (int32) up in a table of sd.Timesteps values.
func pick(table []float32, t *Node) *Node {
	return Gather(Const(t.Graph(), table), Reshape(t, -1, 1))
}

// AddNoise returns √ᾱ·x0 + √(1-ᾱ)·noise for x0 and noise [B,C,H,W] float32 and timesteps t [B] int32 in 0…999.
func AddNoise(x0, noise, t *Node, zeroTerminalSNR bool) *Node {
	signal, level := levels(t, zeroTerminalSNR)
	return Add(Mul(signal, x0), Mul(level, noise))
}
