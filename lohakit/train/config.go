package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Config is everything that decides how a run goes. Default returns the model card's values; the JSON of a Config gives the same run
// again. Fields keep the trainers' names. Of the values, "card" marks those that the model card of LyCORIS-experiments states, "tool"
// those that the program which wrote its configurations leaves at its defaults.
type Config struct {
	adapter.Spec     // what is trained: Kind, Dim, Alpha, ConvDim, ConvAlpha … (card: LoHa 8/4, alpha 1)
	dataset.Captions // what becomes of a caption at each draw: Shuffle, KeepTokens, Dropout, TagDropout … (tool: nothing)

	// What it begins with.
	Weights               string    // adapter file whose tensors and alphas the layers begin with: the trainers' network_weights; none
	DimFromWeights        bool      // take kind, dims and layers from that file too, instead of Spec's (Spec's dropout stays); false
	BaseWeights           []string  // adapter files merged into the base model first, in this order; none
	BaseWeightsMultiplier []float64 // strength of each; 1 for those beyond its end

	// How fast it learns.
	LR               float64 // learning rate, above 0; 2e-4 (card); 1 for the optimizers that find their own step size
	UNetLR           float64 // of the UNet's part; 0 stands for LR
	TextLR           float64 // of the text encoder's part; 0 stands for LR (card: the same as the UNet's)
	UNetOnly         bool    // leave the text encoder as it is; false (card)
	TextOnly         bool    // leave the UNet as it is; false (card); with UNetOnly as well Embeddings are trained alone: textual inversion
	TextStop         int     // step after which the text encoder's part stays as it is: stop_text_encoder_training; 0 never
	Scheduler        string  // one of Schedules; "constant" (card)
	Warmup           int     // steps over which the rate rises from 0; 0 (tool)
	SchedulerCycles  int     // of cosine_with_restarts; 1 (tool)
	SchedulerPower   float64 // of polynomial; 1 (tool)
	SchedulerMinLR   float64 // share of LR at the end of cosine_with_min_lr and warmup_stable_decay, 0…1; 0
	SchedulerDecay   int     // steps of the last part of warmup_stable_decay; 0
	SchedulerScale   int     // time scale of inverse_sqrt, in steps; 0 stands for Warmup
	SchedulerPieces  string  // of piecewise_constant: "1:100,0.1:200,0.01"
	Optimizer        string  // one of Optimizers; "AdamW8bit" (card: Adam with 8-bit states)
	Beta1            float64 // decay of the first moment, 0…1; 0.9 (tool)
	Beta2            float64 // decay of the second moment, 0…1; 0.99 (tool)
	Eps              float64 // added to the root of the second moment; 1e-8
	WeightDecay      float64 // share of rate × weight taken off each step, 0…; 0.1 (tool)
	StateBlock       int     // elements that share a maximum in 8-bit states; 2048 (the experiments' bitsandbytes 0.35.0); 256 today
	D0               float64 // first guess of D-Adaptation and Prodigy; 1e-6
	DCoef            float64 // factor on Prodigy's estimate; 1
	GrowthRate       float64 // most that the estimate grows in a step; 0 stands for no limit
	BiasCorrection   bool    // Adam's bias correction in D-Adaptation and Prodigy; false
	SafeguardWarmup  bool    // keep warm-up out of Prodigy's estimate; false
	MaxGradNorm      float64 // gradients longer than this are scaled down to it; 1 (tool); 0 off
	MaxNorm          float64 // no layer's difference is longer than this (Frobenius norm) after a step: scale_weight_norms; 0 off; 1 is customary
	GradAccumulation int     // batches whose gradients are averaged into one step, the next epoch's where one ends (kohya's step is short there); 1 (tool)

	// How much faster or slower some of it learns. A list of shares is written "0,0.5,1", what is missing being 1, or as one of the curves
	// cosine, sine, linear, reverse_linear and zeros, which may be raised: "sine+.25".
	DownLRWeight         string  // shares of the UNet's rate that its blocks downwards have, from the first convolution on (see adapter.Blocks); none
	MidLRWeight          string  // of the middle block; none
	UpLRWeight           string  // of the blocks upwards, from the middle on; none
	BlockLRZeroThreshold float64 // blocks whose share is not above it are not adapted; 0
	LoRAPlus             float64 // factor on the rate of a LoRA's second factor, lora_up (LoRA+); 0 off; 16 in its paper
	LoRAPlusUNet         float64 // of the UNet's part; 0 stands for LoRAPlus
	LoRAPlusText         float64 // of the text encoder's part; 0 stands for LoRAPlus

	// How long, on what.
	Steps               int     // optimizer steps in all; 6000 (card: where it judges characters); 0 counts Epochs
	Epochs              int     // passes over the dataset when Steps is 0; 1 (tool)
	BatchSize           int     // samples per step; 8 (the card's author's later configurations)
	Resolution          int     // side in pixels of the square whose area a bucket may have; 512 (card)
	Height              int     // that area's height where it is not square, Resolution then being its width; 0 stands for Resolution (tool)
	MinBucket           int     // shortest bucket side in pixels; 0 stands for 320 (tool) in proportion to Resolution / 512
	MaxBucket           int     // longest bucket side in pixels; 0 stands for 960 (tool) in proportion
	BucketStep          int     // bucket sides are multiples of it, pixels; 0 stands for 64 (tool) in proportion, at least 8
	NoBuckets           bool    // cut every image to Resolution × Resolution; false (tool)
	NoUpscale           bool    // never enlarge an image; false (tool)
	Flip                bool    // mirror half of the draws; false (tool)
	Color               bool    // vary colours; false (tool)
	RandomCrop          bool    // cut random parts; false (tool)
	ResizeInterpolation string  // how images are scaled: one of dataset.Interpolations; "": area when they shrink, else lanczos (tool)
	Validation          float64 // share of every folder's images that is held out, for Validate, 0 ≤ share < 1; 0 (tool)
	ValidationSeed      uint64  // of which images these are; 0 stands for Seed
	PriorLoss           float64 // weight of regularization images in the loss, 0…; 1 (tool)
	LatentsMean         bool    // train on the mean of the encoder's distribution; false: on one draw from it (tool)
	LatentsCache        string  // folder where encoded images are kept for later runs; none
	Seed                uint64  // of weights, order, noise and captions; 23 (tool)
	Devices             int     // share every batch among the first so many devices, a divisor of BatchSize; 1
	GradCheckpointing   bool    // compute activations again in the backward pass instead of keeping them: less memory, more time; false (tool)
	MixedBF16           bool    // compute in bfloat16, keep trained weights in float32; false
	MaxTokens           int     // tokens of a caption that are read: 75, 150 or 225; 150 (tool)
	WeightedCaptions    bool    // read (a:1.3) and [a] in captions: a token's state is multiplied by its weight, without evening out the mean; false
	ClipSkip            int     // text encoder layer counted from the end, 1…; 1 (card)

	// Embeddings trained together with the adapter: pivotal tuning.
	Embeddings []Placeholder // words of their own that captions and prompts may use; none
	Bundle     bool          // write them into the adapter's file too, as LyCORIS bundles them: A1111 and its kin read that, others do not; false

	// What it learns.
	VPrediction     bool    // train v although the model's file does not say that it predicts v; false
	ZeroTerminalSNR bool    // the last timestep is pure noise; false
	MinTimestep     int     // lowest timestep drawn, 0…999; 0
	MaxTimestep     int     // timesteps drawn are below this, 1…1000; 1000
	LossType        string  // "l2" (tool), "l1", "huber", "smooth_l1"
	HuberSchedule   string  // how the Huber threshold varies with the timestep: "snr", "exponential", "constant"; "snr"
	HuberC          float64 // its constant, above 0; 0.1
	HuberScale      float64 // factor on it, above 0; 1
	MinSNRGamma     float64 // weigh losses by min(SNR,γ)/SNR; 0 off (the experiments' trainer had none); 5 is customary
	Debiased        bool    // weigh losses by 1/√SNR; false
	ScaleVLikeNoise bool    // weigh a v loss like an epsilon loss; false
	VLikeLoss       float64 // share of a v-like weight in an epsilon loss; 0 off
	NoiseOffset     float64 // strength of a constant added to the noise of each channel, 0…; 0 (tool)
	OffsetRandom    bool    // draw that strength from 0…NoiseOffset; false
	AdaptiveNoise   float64 // added to that strength, times |mean of the latent|; 0
	PyramidLevels   int     // levels of coarser noise; 0 off
	PyramidDiscount float64 // strength of level i is this to the i-th power, 0…1; 0.3
	Perturbation    float64 // input perturbation γ, 0…; 0 off
	PerturbRandom   bool    // draw that γ from 0…Perturbation at each step; false
	AlphaMask       bool    // weigh the loss by the images' alpha channels; false
	MaskDir         string  // folder of mask images that weigh the loss; none

	// What is shown on the way.
	SampleEvery         int    // steps between previews, drawn into the cell and OutputDir/sample; 0 none (tool)
	SampleEveryEpochs   int    // epochs between previews, which takes the place of SampleEvery; 0 none (tool)
	SampleAtFirst       bool   // draw them before the first step too; false (tool)
	SamplePrompts       string // a prompt a line, with options such as "--n blurry --d 1 --s 30 --l 7.5", or the path of a .txt file of them; none
	SampleSampler       string // of those that name none; "ddim" (tool)
	ValidateEvery       int    // steps between validations: loss on fixed noise, see Run.Validate; 0 none (tool)
	ValidateEveryEpochs int    // epochs between validations, beside those of ValidateEvery; 0 none
	ValidationBatches   int    // batches of a validation; 4

	// What is kept.
	SaveEvery       int    // steps between saved files; 0 only when asked
	SaveKeep        int    // how many of these stay, the newest; 0 all
	SaveEveryEpochs int    // epochs between saved files, the last one's excepted; 0 none (tool)
	SaveKeepEpochs  int    // how many of these stay, the newest; 0 all
	SaveState       bool   // keep what Resume needs beside each saved file, Save's too, as NAME-state.safetensors, and delete it with that; false (tool)
	SaveDType       string // of saved tensors: "fp16" (tool), "bf16", "fp32"
	OutputDir       string // folder they are saved in; "."
	OutputName      string // what they are called, before "-step00000500" and "-000004"; "adapter"

	// What their headers tell besides.
	Comment                      string // the trainers' training_comment; none
	Title                        string // for people: metadata_title, and so on; the file's name
	Author, Description, License string // none
	Tags                         string // separated by commas; none
}

// Optimizers are the names a Config's Optimizer takes.
var Optimizers = []string{"AdamW8bit", "AdamW", "Lion", "SGDNesterov", "Adafactor", "DAdaptation", "DAdaptAdam", "Prodigy"}

// Default returns the configuration of the model card, reconstructed where the card is silent.
func Default() Config {
	return Config{
		Spec: adapter.Default(),
		LR:   2e-4, Scheduler: "constant", SchedulerCycles: 1, SchedulerPower: 1,
		Optimizer: "AdamW8bit", Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1, StateBlock: 2048, D0: 1e-6, DCoef: 1,
		MaxGradNorm: 1, GradAccumulation: 1,
		Steps: 6000, Epochs: 1, BatchSize: 8, Resolution: 512, PriorLoss: 1, Seed: 23, Devices: 1, MaxTokens: 150, ClipSkip: 1,
		MaxTimestep: sd.Timesteps, LossType: "l2", HuberSchedule: "snr", HuberC: 0.1, HuberScale: 1, PyramidDiscount: 0.3,
		SampleSampler: "ddim", ValidationBatches: 4,
		SaveDType: "fp16", OutputDir: ".", OutputName: "adapter",
	}
}

// Dataset returns the options with which this configuration reads a dataset.
func (c Config) Dataset() dataset.Options {
	return dataset.Options{
		Resolution: c.area(), BatchSize: c.BatchSize, NoBuckets: c.NoBuckets, NoUpscale: c.NoUpscale,
		MinBucket: c.MinBucket, MaxBucket: c.MaxBucket, BucketStep: c.BucketStep, Seed: c.Seed, Validation: c.Validation, ValidationSeed: c.ValidationSeed,
		Subset: dataset.Subset{
			Flip: c.Flip, Color: c.Color, RandomCrop: c.RandomCrop, ResizeInterpolation: c.ResizeInterpolation, AlphaMask: c.AlphaMask, MaskDir: c.MaskDir,
			Captions: c.Captions,
		},
	}
}

// area is the size whose area a bucket may have.
func (c Config) area() dataset.Size {
	if c.Height == 0 {
		return dataset.Square(c.Resolution)
	}
	return dataset.Size{W: c.Resolution, H: c.Height}
}

// schedule returns the learning-rate schedule over a number of steps.
func (c Config) schedule(steps int) Schedule {
	return Schedule{Name: c.Scheduler, Warmup: c.Warmup, Steps: steps, Cycles: c.SchedulerCycles, Power: c.SchedulerPower,
		Timescale: c.SchedulerScale, MinRatio: c.SchedulerMinLR, Decay: c.SchedulerDecay, LR: c.LR, Boundaries: c.SchedulerPieces}
}

// loss returns what the loss is made of.
func (c Config) loss() LossOptions {
	return LossOptions{VPrediction: c.VPrediction, ZeroTerminalSNR: c.ZeroTerminalSNR, Type: c.LossType, HuberSchedule: c.HuberSchedule,
		HuberC: c.HuberC, HuberScale: c.HuberScale, MinSNRGamma: c.MinSNRGamma, Debiased: c.Debiased,
		ScaleVLikeNoise: c.ScaleVLikeNoise, VLikeLoss: c.VLikeLoss}
}

// noise returns what the noise is made of.
func (c Config) noise() NoiseOptions {
	return NoiseOptions{Offset: c.NoiseOffset, OffsetRandom: c.OffsetRandom, AdaptiveScale: c.AdaptiveNoise,
		PyramidIterations: c.PyramidLevels, PyramidDiscount: c.PyramidDiscount, Perturbation: c.Perturbation, PerturbationRandom: c.PerturbRandom}
}

// optimizer returns the update rule.
func (c Config) optimizer() Optimizer {
	adam := AdamW{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, WeightDecay: c.WeightDecay}
	switch c.Optimizer {
	case "AdamW":
		return adam
	case "Lion":
		return Lion{Beta1: c.Beta1, Beta2: c.Beta2, WeightDecay: c.WeightDecay}
	case "SGDNesterov":
		return SGD{Momentum: c.Beta1, WeightDecay: c.WeightDecay}
	case "Adafactor":
		return Adafactor{RelativeStep: true, ScaleParameter: true, ClipThreshold: 1, DecayRate: -0.8, Eps1: 1e-30, Eps2: 1e-3, WeightDecay: c.WeightDecay}
	case "DAdaptation", "DAdaptAdam":
		return DAdaptAdam{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, WeightDecay: c.WeightDecay, Decouple: true, D0: c.D0,
			GrowthRate: c.GrowthRate, BiasCorrection: c.BiasCorrection, Preprint: c.Optimizer == "DAdaptation"}
	case "Prodigy":
		return Prodigy{Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, WeightDecay: c.WeightDecay, D0: c.D0, DCoef: c.DCoef,
			GrowthRate: c.GrowthRate, BiasCorrection: c.BiasCorrection, SafeguardWarmup: c.SafeguardWarmup}
	}
	return AdamW8bit{AdamW: adam, Block: c.StateBlock, MinSize: 4096}
}

// Name says how the configuration differs from the default, and only that: "LR=0.0005 Dim=32"; "default" when it does not.
func (c Config) Name() string {
	var parts []string
	differences(reflect.ValueOf(c), reflect.ValueOf(Default()), &parts)
	if len(parts) == 0 {
		return "default"
	}
	return strings.Join(parts, " ")
}

// differences lists the fields in which two structs differ, in the order they are declared.
func differences(a, b reflect.Value, parts *[]string) {
	for i := range a.NumField() {
		field, x, y := a.Type().Field(i), a.Field(i), b.Field(i)
		switch {
		case !field.IsExported() || reflect.DeepEqual(x.Interface(), y.Interface()):
		case field.Anonymous:
			differences(x, y, parts)
		case x.Kind() == reflect.Bool && x.Bool():
			*parts = append(*parts, field.Name)
		default:
			*parts = append(*parts, fmt.Sprintf("%s=%v", field.Name, x.Interface()))
		}
	}
}

// ReadConfig reads a configuration written as JSON: fields that are left out keep their defaults, unknown ones are refused by name.
func ReadConfig(data []byte) (Config, error) {
	c, err := parseConfig(data)
	if err != nil {
		return c, err
	}
	return c, c.Check()
}

// parseConfig is ReadConfig without Check.
func parseConfig(data []byte) (Config, error) {
	c := Default()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&c)
	if err == nil {
		if _, more := decoder.Token(); more != io.EOF {
			err = fmt.Errorf("there is more after the object")
		}
	}
	if err != nil {
		return Default(), fault.New(fault.Invalid, "read configuration", "", "%w", err).Fix("use the field names of train.Config")
	}
	return c, nil
}
