package train

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
)

// option reads one option's value.
type option func(in *Imported, v any) error

// real, whole, text and flag make options that set one field.
func real(field func(*Config) *float64) option {
	return func(in *Imported, v any) error {
		n, err := number(v)
		*field(&in.Config) = n
		return err
	}
}

func whole(field func(*Config) *int) option {
	return func(in *Imported, v any) error {
		n, err := number(v)
		if err == nil && (n != math.Trunc(n) || math.Abs(n) > 1e9) {
			return fmt.Errorf("%v is not a whole number", v)
		}
		*field(&in.Config) = int(n)
		return err
	}
}

func text(field func(*Imported) *string) option {
	return func(in *Imported, v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("%v is not text", v)
		}
		*field(in) = s
		return nil
	}
}

func flag(field func(*Config) *bool) option {
	return func(in *Imported, v any) error {
		switch v {
		case true, "true", "True", 1.0, int64(1):
			*field(&in.Config) = true
		case 0.0, int64(0), "0", "false", "False":
			*field(&in.Config) = false
		default:
			return fmt.Errorf("%v is not true or false", v)
		}
		return nil
	}
}

// imports are kohya's options that mean something here.
var imports = map[string]option{
	"pretrained_model_name_or_path":     text(func(i *Imported) *string { return &i.BaseModel }),
	"train_data_dir":                    text(func(i *Imported) *string { return &i.Images }),
	"reg_data_dir":                      text(func(i *Imported) *string { return &i.Regularize }),
	"dataset_config":                    text(func(i *Imported) *string { return &i.Dataset }),
	"output_dir":                        text(func(i *Imported) *string { return &i.Config.OutputDir }),
	"output_name":                       text(func(i *Imported) *string { return &i.Config.OutputName }),
	"save_precision":                    savePrecision,
	"save_every_n_steps":                whole(func(c *Config) *int { return &c.SaveEvery }),
	"network_module":                    networkModule,
	"network_dim":                       whole(func(c *Config) *int { return &c.Dim }),
	"network_alpha":                     real(func(c *Config) *float64 { return &c.Alpha }),
	"network_args":                      networkArgs,
	"network_train_unet_only":           flag(func(c *Config) *bool { return &c.UNetOnly }),
	"network_train_text_encoder_only":   flag(func(c *Config) *bool { return &c.TextOnly }),
	"optimizer_type":                    optimizerType,
	"optimizer_args":                    optimizerArgs,
	"use_8bit_adam":                     func(in *Imported, _ any) error { in.Config.Optimizer = "AdamW8bit"; return nil },
	"use_lion_optimizer":                func(in *Imported, _ any) error { in.Config.Optimizer = "Lion"; return nil },
	"learning_rate":                     real(func(c *Config) *float64 { return &c.LR }),
	"unet_lr":                           real(func(c *Config) *float64 { return &c.UNetLR }),
	"text_encoder_lr":                   textLR,
	"max_grad_norm":                     real(func(c *Config) *float64 { return &c.MaxGradNorm }),
	"lr_scheduler":                      text(func(i *Imported) *string { return &i.Config.Scheduler }),
	"lr_warmup_steps":                   warmup,
	"lr_decay_steps":                    whole(func(c *Config) *int { return &c.SchedulerDecay }),
	"lr_scheduler_num_cycles":           whole(func(c *Config) *int { return &c.SchedulerCycles }),
	"lr_scheduler_power":                real(func(c *Config) *float64 { return &c.SchedulerPower }),
	"lr_scheduler_timescale":            whole(func(c *Config) *int { return &c.SchedulerScale }),
	"lr_scheduler_min_lr_ratio":         real(func(c *Config) *float64 { return &c.SchedulerMinLR }),
	"max_train_steps":                   whole(func(c *Config) *int { return &c.Steps }),
	"max_train_epochs":                  whole(func(c *Config) *int { return &c.Epochs }),
	"train_batch_size":                  whole(func(c *Config) *int { return &c.BatchSize }),
	"gradient_accumulation_steps":       whole(func(c *Config) *int { return &c.GradAccumulation }),
	"mixed_precision":                   func(in *Imported, v any) error { in.Config.MixedBF16 = v == "bf16"; return nil },
	"seed":                              seed,
	"clip_skip":                         whole(func(c *Config) *int { return &c.ClipSkip }),
	"max_token_length":                  whole(func(c *Config) *int { return &c.MaxTokens }),
	"noise_offset":                      real(func(c *Config) *float64 { return &c.NoiseOffset }),
	"noise_offset_random_strength":      flag(func(c *Config) *bool { return &c.OffsetRandom }),
	"adaptive_noise_scale":              real(func(c *Config) *float64 { return &c.AdaptiveNoise }),
	"multires_noise_iterations":         whole(func(c *Config) *int { return &c.PyramidLevels }),
	"multires_noise_discount":           real(func(c *Config) *float64 { return &c.PyramidDiscount }),
	"ip_noise_gamma":                    real(func(c *Config) *float64 { return &c.Perturbation }),
	"zero_terminal_snr":                 flag(func(c *Config) *bool { return &c.ZeroTerminalSNR }),
	"min_timestep":                      whole(func(c *Config) *int { return &c.MinTimestep }),
	"max_timestep":                      whole(func(c *Config) *int { return &c.MaxTimestep }),
	"loss_type":                         text(func(i *Imported) *string { return &i.Config.LossType }),
	"huber_schedule":                    text(func(i *Imported) *string { return &i.Config.HuberSchedule }),
	"huber_c":                           real(func(c *Config) *float64 { return &c.HuberC }),
	"huber_scale":                       real(func(c *Config) *float64 { return &c.HuberScale }),
	"min_snr_gamma":                     real(func(c *Config) *float64 { return &c.MinSNRGamma }),
	"scale_v_pred_loss_like_noise_pred": flag(func(c *Config) *bool { return &c.ScaleVLikeNoise }),
	"v_pred_like_loss":                  real(func(c *Config) *float64 { return &c.VLikeLoss }),
	"debiased_estimation_loss":          flag(func(c *Config) *bool { return &c.Debiased }),
	"v_parameterization":                flag(func(c *Config) *bool { return &c.VPrediction }),
	"prior_loss_weight":                 real(func(c *Config) *float64 { return &c.PriorLoss }),
	"conditioning_data_dir":             text(func(i *Imported) *string { return &i.Config.MaskDir }),
	"alpha_mask":                        flag(func(c *Config) *bool { return &c.AlphaMask }),
	"resolution":                        resolution,
	"enable_bucket":                     func(in *Imported, v any) error { in.Config.NoBuckets = !set(v); return nil },
	"min_bucket_reso":                   whole(func(c *Config) *int { return &c.MinBucket }),
	"max_bucket_reso":                   whole(func(c *Config) *int { return &c.MaxBucket }),
	"bucket_reso_steps":                 whole(func(c *Config) *int { return &c.BucketStep }),
	"bucket_no_upscale":                 flag(func(c *Config) *bool { return &c.NoUpscale }),
	"flip_aug":                          flag(func(c *Config) *bool { return &c.Flip }),
	"color_aug":                         flag(func(c *Config) *bool { return &c.Color }),
	"random_crop":                       flag(func(c *Config) *bool { return &c.RandomCrop }),
	"shuffle_caption":                   flag(func(c *Config) *bool { return &c.Shuffle }),
	"keep_tokens":                       whole(func(c *Config) *int { return &c.KeepTokens }),
	"caption_dropout_rate":              real(func(c *Config) *float64 { return &c.Dropout }),
	"caption_tag_dropout_rate":          real(func(c *Config) *float64 { return &c.TagDropout }),
}

// withoutEffect are kohya's options that this program does not need or does in one way only: they are noted when they are set.
var withoutEffect = []string{"caption_extension", "cache_latents", "cache_latents_to_disk", "xformers", "sdpa", "mem_eff_attn",
	"gradient_checkpointing", "full_fp16", "full_bf16", "fp8_base", "lowram", "highvram", "max_data_loader_n_workers", "vae",
	"persistent_data_loader_workers", "logging_dir", "log_with", "log_prefix", "log_tracker_name", "no_metadata", "training_comment",
	"tokenizer_cache_dir", "sample_every_n_steps", "sample_every_n_epochs", "sample_at_first", "sample_prompts", "sample_sampler", "v2",
	"save_model_as", "save_every_n_epochs", "save_n_epoch_ratio", "save_last_n_epochs", "save_last_n_epochs_state", "save_last_n_steps",
	"save_last_n_steps_state", "save_state", "save_state_on_train_end", "resume", "network_weights", "dim_from_weights",
	"scale_weight_norms", "network_dropout", "weighted_captions", "face_crop_aug_range", "caption_dropout_every_n_epochs", "vae_batch_size",
	"masked_loss", "caption_separator", "lr_scheduler_type", "lr_scheduler_args", "max_validation_steps", "validation_split", "no_half_vae"}

func savePrecision(in *Imported, v any) error {
	name, ok := map[string]string{"fp16": "fp16", "bf16": "bf16", "float": "fp32", "fp32": "fp32"}[fmt.Sprint(v)]
	if !ok {
		return fmt.Errorf("%v is not fp16, bf16 or float", v)
	}
	in.Config.SaveDType = name
	return nil
}

func networkModule(in *Imported, v any) error {
	switch v {
	case "lycoris.kohya", "networks.lora", "locon.locon_kohya":
		return nil
	}
	return fmt.Errorf("%v is not handled; lycoris.kohya and networks.lora are", v)
}

// networkArgs reads LyCORIS' settings. Where they are silent on convolutions, these follow the linear layers.
func networkArgs(in *Imported, v any) error {
	args, err := pairs(v)
	if err != nil {
		return err
	}
	c := &in.Config
	if in.lycoris {
		c.Kind, c.ConvDim, c.ConvAlpha = adapter.LoCon, c.Dim, c.Alpha
	}
	numbers := map[string]*float64{"conv_alpha": &c.ConvAlpha, "rank_dropout": &c.RankDropout, "module_dropout": &c.ModuleDropout}
	wholes := map[string]*int{"conv_dim": &c.ConvDim, "factor": &c.Factor}
	flags := map[string]*bool{"use_tucker": &c.Tucker, "use_cp": &c.Tucker, "use_conv_cp": &c.Tucker, "dora_wd": &c.DoRA,
		"rs_lora": &c.RSLoRA, "decompose_both": &c.DecomposeBoth, "full_matrix": &c.FullMatrix, "train_norm": &c.TrainNorm}
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
		case key == "disable_conv_cp":
			c.Tucker = !strings.EqualFold(value, "true")
		default:
			in.note("network_args %s is not known, %q is not used", key, value)
		}
	}
	c.Factor = max(0, c.Factor)
	return nil
}

func optimizerType(in *Imported, v any) error {
	names := map[string]string{"adamw8bit": "AdamW8bit", "adamw": "AdamW", "lion": "Lion", "lion8bit": "Lion", "sgdnesterov": "SGDNesterov",
		"sgdnesterov8bit": "SGDNesterov", "adafactor": "Adafactor", "dadaptation": "DAdaptation", "dadaptadam": "DAdaptAdam",
		"dadaptadampreprint": "DAdaptation", "prodigy": "Prodigy", "pagedadamw8bit": "AdamW8bit", "pagedadamw": "AdamW"}
	name, ok := names[strings.ToLower(fmt.Sprint(v))]
	if !ok {
		return fmt.Errorf("%v is not handled; use one of %s", v, strings.Join(Optimizers, ", "))
	}
	in.Config.Optimizer = name
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

// textLR reads the text encoder's rate, which newer files write as a list.
func textLR(in *Imported, v any) error {
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	return real(func(c *Config) *float64 { return &c.TextLR })(in, v)
}

// warmup reads a number of steps; a share of all steps is settled when those are known.
func warmup(in *Imported, v any) error {
	n, err := number(v)
	if err == nil && n >= 1 {
		in.Config.Warmup = int(min(n, 1e9))
	}
	return err
}

func seed(in *Imported, v any) error {
	n, err := number(v)
	if err == nil && !(n >= 0 && n < 1<<53) {
		return fmt.Errorf("%v is not a seed", v)
	}
	in.Config.Seed = uint64(n)
	return err
}

// resolution reads 512, "512", "512,512" and [512, 512]; the sides must be equal.
func resolution(in *Imported, v any) error {
	if list, ok := v.([]any); ok {
		var words []string
		for _, e := range list {
			words = append(words, fmt.Sprint(e))
		}
		v = strings.Join(words, ",")
	}
	words := strings.Split(fmt.Sprint(v), ",")
	side, err := strconv.Atoi(strings.TrimSpace(words[0]))
	if err != nil {
		return fmt.Errorf("%v is not a size", v)
	}
	for _, w := range words[1:] {
		if strings.TrimSpace(w) != strings.TrimSpace(words[0]) {
			return fmt.Errorf("%v is not square; use a dataset TOML for that", v)
		}
	}
	in.Config.Resolution = side
	return nil
}
