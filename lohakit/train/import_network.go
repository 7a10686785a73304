package train

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
)

func networkModule(in *Imported, v any) error {
	switch v {
	case "lycoris.kohya", "networks.lora", "locon.locon_kohya":
		return nil
	}
	return fmt.Errorf("%v is not handled; lycoris.kohya and networks.lora are", v)
}

// networkDropout is what LyCORIS takes too, and does nothing with except in its bypass mode, on the output of a layer's difference.
func networkDropout(in *Imported, v any) error {
	p, err := number(v)
	switch {
	case err == nil && in.lycoris && p > 0:
		in.note("network_dropout %v has no effect in LyCORIS outside bypass_mode, and is not used", v)
	case err == nil && !in.lycoris:
		in.Config.NeuronDropout = p
	}
	return err
}

// networkArgs reads LyCORIS' settings. Where they are silent on convolutions, these follow the linear layers.
func networkArgs(in *Imported, v any) error {
	args, err := pairs(v)
	if err != nil {
		return err
	}
	c := &in.Config
	c.ConvDim, c.ConvAlpha = 0, 1
	if in.lycoris {
		c.Kind, c.ConvDim, c.ConvAlpha = adapter.LoCon, c.Dim, c.Alpha
	}
	preset, bypass := "", false
	maps.DeleteFunc(args, func(_, value string) bool { return value == "" || value == "None" || value == "<nil>" })
	numbers := map[string]*float64{"conv_alpha": &c.ConvAlpha, "rank_dropout": &c.RankDropout, "module_dropout": &c.ModuleDropout,
		"loraplus_lr_ratio": &c.LoRAPlus, "loraplus_unet_lr_ratio": &c.LoRAPlusUNet, "loraplus_text_encoder_lr_ratio": &c.LoRAPlusText}
	own := map[string]func(value string) error{ // of networks.lora
		"block_lr_zero_threshold": func(value string) (err error) { c.BlockLRZeroThreshold, err = number(value); return err },
		"block_dims":              func(value string) error { return values(&c.BlockDims, value) },
		"block_alphas":            func(value string) error { return values(&c.BlockAlphas, value) },
		"conv_block_dims":         func(value string) error { return values(&c.ConvBlockDims, value) },
		"conv_block_alphas":       func(value string) error { return values(&c.ConvBlockAlphas, value) },
		"down_lr_weight":          func(value string) error { c.DownLRWeight = value; return nil },
		"mid_lr_weight":           func(value string) error { c.MidLRWeight = value; return nil },
		"up_lr_weight":            func(value string) error { c.UpLRWeight = value; return nil },
	}
	wholes := map[string]*int{"conv_dim": &c.ConvDim, "factor": &c.Factor}
	flags := map[string]*bool{"use_tucker": &c.Tucker, "use_cp": &c.Tucker, "use_conv_cp": &c.Tucker, "dora_wd": &c.DoRA,
		"rs_lora": &c.RSLoRA, "decompose_both": &c.DecomposeBoth, "full_matrix": &c.FullMatrix, "train_norm": &c.TrainNorm,
		"rank_dropout_scale": &c.RankDropoutScale, "use_scalar": &c.UseScalar, "unbalanced_factorization": &c.UnbalancedFactorization}
	for _, key := range slices.Sorted(maps.Keys(args)) {
		value := args[key]
		switch {
		case key == "algo":
			kind, ok := map[string]adapter.Kind{"lora": adapter.LoCon, "locon": adapter.LoCon, "loha": adapter.LoHa, "lokr": adapter.LoKr,
				"ia3": adapter.IA3, "full": adapter.Full}[strings.ToLower(value)]
			if !ok {
				return fmt.Errorf("algo %q is not handled", value)
			}
			c.Kind = kind
		case key == "preset" && strings.HasSuffix(value, ".toml"):
			preset = value
		case key == "preset":
			c.Preset = value
		case numbers[key] != nil:
			if *numbers[key], err = number(value); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		case wholes[key] != nil:
			if *wholes[key], err = strconv.Atoi(value); err != nil {
				return fmt.Errorf("%s: %q is not a whole number", key, value)
			}
		case flags[key] != nil:
			*flags[key] = strings.EqualFold(value, "true") || value == "1"
		case own[key] != nil && !in.lycoris:
			if err := own[key](value); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		case key == "bypass_mode":
			bypass = strings.EqualFold(value, "true")
		case key == "disable_conv_cp":
			c.Tucker = !strings.EqualFold(value, "true")
		case key == "wd_on_out", key == "wd_on_output":
			c.DoRAOnInput = !strings.EqualFold(value, "true")
		default:
			in.note("network_args %s is not known, %q is not used", key, value)
		}
	}
	if bypass { // W·x + ΔW·x is (W+ΔW)·x
		if c.RankDropout > 0 && c.Kind == adapter.LoCon {
			in.note("rank_dropout leaves out output channels here, in LyCORIS' bypass_mode ranks")
		}
		if c.Kind == adapter.LoKr {
			in.note("bypass_mode of LyCORIS forgets LoKr's alpha in training and not in the file; here both have it")
		}
	}
	c.Factor = max(0, c.Factor)
	c.RankDropoutBySample = !in.lycoris && c.RankDropout > 0
	if c.BlockDims == nil && c.DownLRWeight+c.MidLRWeight+c.UpLRWeight == "" { // without which kohya's trainer does not read the others
		c.BlockAlphas, c.ConvBlockDims = nil, nil
	}
	if c.ConvBlockDims == nil {
		c.ConvBlockAlphas = nil
	}
	if preset != "" { // which says more than a name, and of what the others have settled
		c.Spec, err = adapter.ReadPreset(preset, c.Spec)
	}
	return err
}

// optimizer takes an update rule with the settings its class has by default.
func (in *Imported) optimizer(name string) {
	c := &in.Config
	c.Optimizer, c.Beta1, c.Beta2, c.Eps, c.WeightDecay = name, 0.9, 0.999, 1e-8, 0
	switch name {
	case "AdamW", "AdamW8bit":
		c.WeightDecay = 0.01
	case "Lion":
		c.Beta2 = 0.99
	}
}

func optimizerType(in *Imported, v any) error {
	names := map[string]string{"adamw8bit": "AdamW8bit", "adamw": "AdamW", "lion": "Lion", "lion8bit": "Lion", "sgdnesterov": "SGDNesterov",
		"sgdnesterov8bit": "SGDNesterov", "sgd": "SGDNesterov", "adafactor": "Adafactor", "dadaptation": "DAdaptation", "dadaptadam": "DAdaptAdam",
		"dadaptadampreprint": "DAdaptation", "prodigy": "Prodigy", "pagedadamw8bit": "AdamW8bit", "pagedadamw": "AdamW"}
	name, ok := names[strings.ToLower(fmt.Sprint(v))]
	if !ok {
		return fmt.Errorf("%v is not handled; use one of %s", v, strings.Join(Optimizers, ", "))
	}
	in.optimizer(name)
	return nil
}

func optimizerArgs(in *Imported, v any) error {
	args, err := pairs(v)
	if err != nil {
		return err
	}
	c := &in.Config
	numbers := map[string]*float64{"weight_decay": &c.WeightDecay, "eps": &c.Eps, "d0": &c.D0, "d_coef": &c.DCoef, "growth_rate": &c.GrowthRate,
		"momentum": &c.Beta1}
	flags := map[string]*bool{"use_bias_correction": &c.BiasCorrection, "safeguard_warmup": &c.SafeguardWarmup}
	for _, key := range slices.Sorted(maps.Keys(args)) {
		value := args[key]
		switch {
		case numbers[key] != nil:
			if *numbers[key], err = number(value); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		case flags[key] != nil:
			*flags[key] = strings.EqualFold(value, "true")
		case key == "betas":
			one, two, _ := strings.Cut(strings.Trim(value, "()[] "), ",")
			if c.Beta1, err = number(one); err == nil {
				c.Beta2, err = number(two)
			}
			if err != nil {
				return fmt.Errorf("betas: %q is not a pair of numbers", value)
			}
		case key == "decouple" && strings.EqualFold(value, "true"):
		default:
			in.note("optimizer_args %s is not known, %q is not used", key, value)
		}
	}
	return nil
}
