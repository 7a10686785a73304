package train

import (
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/lohakit/sd"
)

// LossOptions is what a prediction is compared with and how errors count. The zero value is the plain squared error of epsilon.
type LossOptions struct {
	VPrediction     bool    // true: the target is √ᾱ·noise - √(1-ᾱ)·x0; default false: the noise itself
	ZeroTerminalSNR bool    // true: ᾱ reaches 0 at the last timestep; default false
	Type            string  // "l2" (default), "l1", "huber", "smooth_l1"
	HuberSchedule   string  // how the threshold varies with t: "snr" (default), "exponential", "constant"
	HuberC          float64 // its constant, above 0; default 0.1
	HuberScale      float64 // factor on it; default 1
	MinSNRGamma     float64 // weight min(SNR,γ)/SNR, or /(SNR+1) for v (Hang et al. 2023); 0 off; 5 is customary
	Debiased        bool    // weight 1/√min(SNR,1000), or 1/(SNR+1) for v; default false
	ScaleVLikeNoise bool    // v only: weight SNR/(SNR+1), as an epsilon loss would have; default false
	VLikeLoss       float64 // epsilon only: weight 1 + factor/SNR·… : adds a v-like share to the loss; 0 off
}

// Loss returns each sample's loss [B] for a prediction [B,C,H,W] at timesteps t [B] int32. mask [B,1,H,W] in [0,1] (nil: none) weighs
// positions and is not renormalised by its area; the mean over the batch and PriorLossWeight are the caller's.
func Loss(prediction, x0, noise, t, mask *Node, o LossOptions) *Node {
	signal, level := levels(t, o.ZeroTerminalSNR)
	target := noise
	if o.VPrediction {
		target = Sub(Mul(signal, noise), Mul(level, x0))
	}
	each := elementwise(ConvertDType(prediction, noise.DType()), target, t, o)
	if mask != nil {
		each = Mul(each, mask)
	}
	return Mul(ReduceMean(each, 1, 2, 3), o.weight(t))
}

// elementwise is the error of every latent value.
func elementwise(prediction, target, t *Node, o LossOptions) *Node {
	d := Sub(prediction, target)
	switch o.Type {
	case "l1":
		return Abs(d)
	case "huber":
		c := o.threshold(t)
		return Mul(MulScalar(c, 2), Sub(Sqrt(Add(Square(d), Square(c))), c))
	case "smooth_l1":
		c := o.threshold(t)
		return MulScalar(Sub(Sqrt(Add(Square(d), Square(c))), c), 2)
	}
	return Square(d)
}

// threshold is the Huber constant at each sample's timestep, [B,1,1,1].
func (o LossOptions) threshold(t *Node) *Node {
	c, scale := orDefault(o.HuberC, 0.1), orDefault(o.HuberScale, 1)
	table := make([]float32, sd.Timesteps)
	for i, a := range AlphasCumprod(o.ZeroTerminalSNR) {
		switch o.HuberSchedule {
		case "constant":
			table[i] = float32(c * scale)
		case "exponential":
			table[i] = float32(math.Exp(math.Log(c)/sd.Timesteps*float64(i)) * scale)
		default:
			sigma := math.Sqrt((1 - a) / a)
			table[i] = float32(((1-c)/((1+sigma)*(1+sigma)) + c) * scale)
		}
	}
	return Reshape(pick(table, t), -1, 1, 1, 1)
}

// weight is the factor on each sample's loss by its signal-to-noise ratio, [B].
func (o LossOptions) weight(t *Node) *Node {
	table := make([]float32, sd.Timesteps)
	for i, a := range AlphasCumprod(o.ZeroTerminalSNR) {
		snr := a / (1 - a)
		// The sum that adds a v-like loss comes before the products in the trainers, but all are factors, so order is free.
		w := 1.0
		if o.MinSNRGamma > 0 {
			if o.VPrediction {
				w *= math.Min(snr, o.MinSNRGamma) / (snr + 1)
			} else {
				w *= math.Min(1, o.MinSNRGamma/snr)
			}
		}
		if o.ScaleVLikeNoise && o.VPrediction {
			snr := math.Min(snr, 1000)
			w *= snr / (snr + 1)
		}
		if o.VLikeLoss > 0 {
			snr := math.Min(snr, 1000)
			w *= 1 + o.VLikeLoss*(snr+1)/math.Max(snr, 1e-8)
		}
		if o.Debiased {
			snr := math.Min(snr, 1000)
			if o.VPrediction {
				w /= snr + 1
			} else {
				w /= math.Sqrt(math.Max(snr, 1e-8))
			}
		}
		table[i] = float32(w)
	}
	return pick(table, t)
}

func orDefault(value, standard float64) float64 {
	if value == 0 {
		return standard
	}
	return value
}
