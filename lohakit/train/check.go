package train

import (
	"math"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// limit is what a number may be.
type limit struct {
	field    string
	value    float64
	min, max float64
	fix      string
}

// Check returns the first field whose value has no meaning, in one sentence with what to use instead.
func (c Config) Check() error {
	if err := c.Spec.Check(); err != nil {
		return err
	}
	if err := c.Captions.Check(); err != nil {
		return err
	}
	inf := math.MaxFloat64
	for _, l := range []limit{
		{"LR", c.LR, math.SmallestNonzeroFloat64, 1e3, "use 2e-4 (the default) or any value above 0"},
		{"TextStop", float64(c.TextStop), 0, 1e9, "use 0 (never) or a number of steps"},
		{"UNetLR", c.UNetLR, 0, 1e3, "use 0 (the same as LR) or a rate above 0"},
		{"TextLR", c.TextLR, 0, 1e3, "use 0 (the same as LR) or a rate above 0"},
		{"BlockLRZeroThreshold", c.BlockLRZeroThreshold, 0, 1e3, "use 0 (the default) or a share below those to keep"},
		{"LoRAPlus", c.LoRAPlus, 0, 1e6, "use 0 (off), or 2 to 16"},
		{"LoRAPlusUNet", c.LoRAPlusUNet, 0, 1e6, "use 0 (the same as LoRAPlus), or 2 to 16"},
		{"LoRAPlusText", c.LoRAPlusText, 0, 1e6, "use 0 (the same as LoRAPlus), or 2 to 16"},
		{"Warmup", float64(c.Warmup), 0, 1e9, "use 0 (none) or a number of steps"},
		{"SchedulerCycles", float64(c.SchedulerCycles), 1, 1e6, "use 1 (the default)"},
		{"SchedulerPower", c.SchedulerPower, 0, 1e3, "use 1 (the default)"},
		{"SchedulerMinLR", c.SchedulerMinLR, 0, 1, "use a share of LR from 0 to 1"},
		{"SchedulerDecay", float64(c.SchedulerDecay), 0, 1e9, "use a number of steps"},
		{"SchedulerScale", float64(c.SchedulerScale), 0, 1e9, "use 0 (the same as Warmup) or a number of steps"},
		{"Beta1", c.Beta1, 0, 1 - 1e-12, "use 0.9 (the default)"},
		{"Beta2", c.Beta2, 0, 1 - 1e-12, "use 0.99 (the default)"},
		{"Eps", c.Eps, math.SmallestNonzeroFloat64, 1, "use 1e-8 (the default)"},
		{"WeightDecay", c.WeightDecay, 0, 1e3, "use 0.1 (the default), or 0 for none"},
		{"StateBlock", float64(c.StateBlock), 16, 1 << 20, "use 2048 (the default) or 256"},
		{"D0", c.D0, math.SmallestNonzeroFloat64, 1, "use 1e-6 (the default)"},
		{"DCoef", c.DCoef, math.SmallestNonzeroFloat64, 1e6, "use 1 (the default)"},
		{"GrowthRate", c.GrowthRate, 0, inf, "use 0 (no limit) or a factor above 1"},
		{"MaxGradNorm", c.MaxGradNorm, 0, inf, "use 1 (the default), or 0 for none"},
		{"MaxNorm", c.MaxNorm, 0, inf, "use 0 (off) or 1"},
		{"GradAccumulation", float64(c.GradAccumulation), 1, 1e6, "use 1 (the default)"},
		{"Steps", float64(c.Steps), 0, 1e9, "use a number of steps, or 0 to count Epochs"},
		{"Epochs", float64(c.Epochs), 0, 1e6, "use a number of epochs"},
		{"BatchSize", float64(c.BatchSize), 1, 4096, "use 8 (the default)"},
		{"Devices", float64(c.Devices), 1, 4096, "use 1 (the default), or the number of your GPUs"},
		{"Resolution", float64(c.Resolution), 8, 8192, "use 512 (the default), or the size the base model was trained at"},
		{"PriorLoss", c.PriorLoss, 0, 1e6, "use 1 (the default)"},
		{"ClipSkip", float64(c.ClipSkip), 1, 1e3, "use 1 (the default) or 2"},
		{"Height", float64(c.Height), 0, 8192, "use 0 (the same as Resolution) or a size in pixels"},
		{"Validation", c.Validation, 0, 1 - 1e-9, "use 0 (none) or a share such as 0.1"},
		{"MinTimestep", float64(c.MinTimestep), 0, sd.Timesteps - 1, "use 0 (the default)"},
		{"MaxTimestep", float64(c.MaxTimestep), float64(c.MinTimestep) + 1, sd.Timesteps, "use 1000 (the default), above MinTimestep"},
		{"HuberC", c.HuberC, math.SmallestNonzeroFloat64, 1e6, "use 0.1 (the default)"},
		{"HuberScale", c.HuberScale, math.SmallestNonzeroFloat64, 1e6, "use 1 (the default)"},
		{"MinSNRGamma", c.MinSNRGamma, 0, inf, "use 0 (off) or 5"},
		{"VLikeLoss", c.VLikeLoss, 0, 1e6, "use 0 (off)"},
		{"NoiseOffset", c.NoiseOffset, 0, 10, "use 0 (off), or 0.05 to 0.1"},
		{"AdaptiveNoise", c.AdaptiveNoise, -10, 10, "use 0 (off)"},
		{"PyramidLevels", float64(c.PyramidLevels), 0, 64, "use 0 (off), or 6 to 10"},
		{"PyramidDiscount", c.PyramidDiscount, 0, 1, "use 0.3 (the default)"},
		{"Perturbation", c.Perturbation, 0, 10, "use 0 (off)"},
		{"SampleEvery", float64(c.SampleEvery), 0, 1e9, "use 0 (none) or a number of steps"},
		{"SampleEveryEpochs", float64(c.SampleEveryEpochs), 0, 1e9, "use 0 (none) or a number of epochs"},
		{"ValidateEvery", float64(c.ValidateEvery), 0, 1e9, "use 0 (none) or a number of steps"},
		{"ValidateEveryEpochs", float64(c.ValidateEveryEpochs), 0, 1e9, "use 0 (none) or a number of epochs"},
		{"ValidationBatches", float64(c.ValidationBatches), 1, 1e6, "use 4 (the default)"},
		{"SaveEvery", float64(c.SaveEvery), 0, 1e9, "use 0 (only when asked) or a number of steps"},
		{"SaveEveryEpochs", float64(c.SaveEveryEpochs), 0, 1e9, "use 0 (none) or a number of epochs"},
		{"SaveKeepEpochs", float64(c.SaveKeepEpochs), 0, 1e9, "use 0 (all) or a number of files"},
		{"SaveKeep", float64(c.SaveKeep), 0, 1e9, "use 0 (all) or a number of files"},
	} {
		if !(l.value >= l.min && l.value <= l.max) {
			return fault.New(fault.Invalid, "configure training", l.field, "%v is out of range", l.value).Fix("%s", l.fix)
		}
	}
	for _, w := range []struct {
		field, value string
		words        []string
	}{
		{"Scheduler", c.Scheduler, Schedules},
		{"Optimizer", c.Optimizer, Optimizers},
		{"LossType", c.LossType, []string{"l2", "l1", "huber", "smooth_l1"}},
		{"HuberSchedule", c.HuberSchedule, []string{"snr", "exponential", "constant"}},
		{"ResizeInterpolation", c.ResizeInterpolation, dataset.Interpolations},
		{"SaveDType", c.SaveDType, []string{"fp16", "bf16", "fp32"}},
	} {
		if !slices.Contains(w.words, w.value) {
			return fault.New(fault.Invalid, "configure training", w.field, "%q is not known", w.value).
				Fix("use one of %s", strings.Join(w.words, ", "))
		}
	}
	if err := c.checkEmbeddings(); err != nil {
		return err
	}
	return c.checkTogether()
}

// checkTogether refuses values that contradict each other.
func (c Config) checkTogether() error {
	bad := func(field, format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "configure training", field, format, args...)
	}
	switch {
	case c.UNetOnly && c.TextOnly && len(c.Embeddings) == 0:
		return bad("UNetOnly", "nothing is left to train with TextOnly as well").Fix("turn one of them off, or train Embeddings alone")
	case c.MaxTokens != 75 && c.MaxTokens != 150 && c.MaxTokens != 225:
		return bad("MaxTokens", "%d is not a number of tokens the trainers know", c.MaxTokens).Fix("use 75, 150 or 225")
	case c.Steps == 0 && c.Epochs == 0:
		return bad("Steps", "is 0 and Epochs too").Fix("set one of them")
	case c.Scheduler == "constant" && c.Warmup > 0:
		return bad("Warmup", "%d has no effect on the constant schedule", c.Warmup).Fix(`use Scheduler "constant_with_warmup"`)
	case c.GrowthRate > 0 && c.GrowthRate <= 1:
		return bad("GrowthRate", "%v would never let the step size grow", c.GrowthRate).Fix("use 0 (no limit) or a factor above 1")
	case c.BatchSize%c.Devices != 0:
		return bad("Devices", "%d devices do not share batches of %d evenly", c.Devices, c.BatchSize).Fix("use a divisor of BatchSize")
	case c.DimFromWeights && c.Weights == "":
		return bad("DimFromWeights", "is set, and Weights names no file").Fix("name the adapter to go on with")
	case len(c.BaseWeightsMultiplier) > len(c.BaseWeights):
		return bad("BaseWeightsMultiplier", "has %d strengths for %d files", len(c.BaseWeightsMultiplier), len(c.BaseWeights)).Fix("give one for each of BaseWeights")
	case slices.ContainsFunc(c.BaseWeightsMultiplier, func(v float64) bool { return !finite(v) }):
		return bad("BaseWeightsMultiplier", "%v is not all numbers", c.BaseWeightsMultiplier).Fix("use 1, or any strength")
	case c.MaskDir != "" && c.AlphaMask:
		return bad("MaskDir", "is set and AlphaMask too").Fix("choose one source of masks")
	}
	if _, err := c.blockRates(adapter.Blocks(adapter.Layers(sd.SD1Config()))); err != nil {
		return fault.New(fault.Invalid, "configure training", "", "%w", err).Fix(`write a share for each block, "0,0.5,1", or a curve such as "sine+.25"`)
	}
	if c.draws() {
		if _, err := c.samples(); err != nil {
			return err
		}
	}
	if c.Scheduler == "piecewise_constant" {
		if _, _, err := c.schedule(1).pieces(); err != nil {
			return bad("SchedulerPieces", "%q: %w", c.SchedulerPieces, err).Fix(`write it like "1:100,0.1:200,0.01"`)
		}
	}
	return nil
}
