package train

import (
	"fmt"
	"os"
	"path/filepath"
)

// imports are kohya's options that mean something here.
var imports = map[string]option{
	"pretrained_model_name_or_path":     text(func(i *Imported) *string { return &i.BaseModel }),
	"vae":                               text(func(i *Imported) *string { return &i.VAE }),
	"train_data_dir":                    text(func(i *Imported) *string { return &i.Images }),
	"reg_data_dir":                      text(func(i *Imported) *string { return &i.Regularize }),
	"dataset_config":                    text(func(i *Imported) *string { return &i.Dataset }),
	"output_dir":                        text(func(i *Imported) *string { return &i.Config.OutputDir }),
	"output_name":                       text(func(i *Imported) *string { return &i.Config.OutputName }),
	"save_precision":                    savePrecision,
	"save_every_n_steps":                whole(func(c *Config) *int { return &c.SaveEvery }),
	"save_every_n_epochs":               whole(func(c *Config) *int { return &c.SaveEveryEpochs }),
	"save_last_n_epochs":                whole(func(c *Config) *int { return &c.SaveKeepEpochs }),
	"save_last_n_steps":                 func(in *Imported, v any) error { return setWhole(&in.keepSteps, v) },
	"save_n_epoch_ratio":                func(in *Imported, v any) error { return setWhole(&in.saveRatio, v) },
	"save_state":                        flag(func(c *Config) *bool { return &c.SaveState }),
	"training_comment":                  text(func(i *Imported) *string { return &i.Config.Comment }),
	"metadata_title":                    text(func(i *Imported) *string { return &i.Config.Title }),
	"metadata_author":                   text(func(i *Imported) *string { return &i.Config.Author }),
	"metadata_description":              text(func(i *Imported) *string { return &i.Config.Description }),
	"metadata_license":                  text(func(i *Imported) *string { return &i.Config.License }),
	"metadata_tags":                     text(func(i *Imported) *string { return &i.Config.Tags }),
	"network_module":                    networkModule,
	"network_dim":                       whole(func(c *Config) *int { return &c.Dim }),
	"network_alpha":                     real(func(c *Config) *float64 { return &c.Alpha }),
	"network_args":                      networkArgs,
	"network_dropout":                   networkDropout,
	"network_weights":                   text(func(i *Imported) *string { return &i.Config.Weights }),
	"dim_from_weights":                  flag(func(c *Config) *bool { return &c.DimFromWeights }),
	"base_weights":                      baseWeights,
	"base_weights_multiplier":           baseWeightsMultiplier,
	"network_train_unet_only":           flag(func(c *Config) *bool { return &c.UNetOnly }),
	"network_train_text_encoder_only":   flag(func(c *Config) *bool { return &c.TextOnly }),
	"optimizer_type":                    optimizerType,
	"optimizer_args":                    optimizerArgs,
	"use_8bit_adam":                     func(in *Imported, _ any) error { in.optimizer("AdamW8bit"); return nil },
	"use_lion_optimizer":                func(in *Imported, _ any) error { in.optimizer("Lion"); return nil },
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
	"gradient_checkpointing":            flag(func(c *Config) *bool { return &c.GradCheckpointing }),
	"mixed_precision":                   func(in *Imported, v any) error { in.Config.MixedBF16 = v == "bf16"; return nil },
	"seed":                              seed(func(c *Config) *uint64 { return &c.Seed }),
	"clip_skip":                         whole(func(c *Config) *int { return &c.ClipSkip }),
	"max_token_length":                  whole(func(c *Config) *int { return &c.MaxTokens }),
	"noise_offset":                      real(func(c *Config) *float64 { return &c.NoiseOffset }),
	"noise_offset_random_strength":      flag(func(c *Config) *bool { return &c.OffsetRandom }),
	"adaptive_noise_scale":              real(func(c *Config) *float64 { return &c.AdaptiveNoise }),
	"multires_noise_iterations":         whole(func(c *Config) *int { return &c.PyramidLevels }),
	"multires_noise_discount":           real(func(c *Config) *float64 { return &c.PyramidDiscount }),
	"ip_noise_gamma":                    real(func(c *Config) *float64 { return &c.Perturbation }),
	"ip_noise_gamma_random_strength":    flag(func(c *Config) *bool { return &c.PerturbRandom }),
	"weighted_captions":                 flag(func(c *Config) *bool { return &c.WeightedCaptions }),
	"stop_text_encoder_training":        textStop,
	"stop_text_encoder_training_pct":    textStop,
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
	"enable_bucket":                     enableBucket,
	"min_bucket_reso":                   whole(func(c *Config) *int { return &c.MinBucket }),
	"max_bucket_reso":                   whole(func(c *Config) *int { return &c.MaxBucket }),
	"bucket_reso_steps":                 whole(func(c *Config) *int { return &c.BucketStep }),
	"resize_interpolation":              text(func(i *Imported) *string { return &i.Config.ResizeInterpolation }),
	"face_crop_aug_range":               faceCrop,
	"bucket_no_upscale":                 flag(func(c *Config) *bool { return &c.NoUpscale }),
	"flip_aug":                          flag(func(c *Config) *bool { return &c.Flip }),
	"color_aug":                         flag(func(c *Config) *bool { return &c.Color }),
	"random_crop":                       flag(func(c *Config) *bool { return &c.RandomCrop }),
	"shuffle_caption":                   flag(func(c *Config) *bool { return &c.Shuffle }),
	"keep_tokens":                       whole(func(c *Config) *int { return &c.KeepTokens }),
	"caption_dropout_rate":              real(func(c *Config) *float64 { return &c.Dropout }),
	"caption_dropout_every_n_epochs":    whole(func(c *Config) *int { return &c.DropoutEveryNEpochs }),
	"caption_extension":                 captionExtension,
	"caption_separator":                 text(func(i *Imported) *string { return &i.Config.Separator }),
	"secondary_separator":               text(func(i *Imported) *string { return &i.Config.SecondarySeparator }),
	"keep_tokens_separator":             text(func(i *Imported) *string { return &i.Config.KeepTokensSeparator }),
	"caption_prefix":                    text(func(i *Imported) *string { return &i.Config.Prefix }),
	"caption_suffix":                    text(func(i *Imported) *string { return &i.Config.Suffix }),
	"enable_wildcard":                   flag(func(c *Config) *bool { return &c.Wildcards }),
	"token_warmup_min":                  whole(func(c *Config) *int { return &c.TokenWarmupMin }),
	"token_warmup_step":                 real(func(c *Config) *float64 { return &c.TokenWarmupStep }),
	"scale_weight_norms":                real(func(c *Config) *float64 { return &c.MaxNorm }),
	"sample_every_n_steps":              whole(func(c *Config) *int { return &c.SampleEvery }),
	"sample_every_n_epochs":             whole(func(c *Config) *int { return &c.SampleEveryEpochs }),
	"sample_at_first":                   flag(func(c *Config) *bool { return &c.SampleAtFirst }),
	"sample_prompts":                    samplePrompts,
	"sample_sampler":                    text(func(i *Imported) *string { return &i.Config.SampleSampler }),
	"validate_every_n_steps":            whole(func(c *Config) *int { return &c.ValidateEvery }),
	"validate_every_n_epochs":           whole(func(c *Config) *int { return &c.ValidateEveryEpochs }),
	"max_validation_steps":              whole(func(c *Config) *int { return &c.ValidationBatches }),
	"validation_split":                  real(func(c *Config) *float64 { return &c.Validation }),
	"validation_seed":                   seed(func(c *Config) *uint64 { return &c.ValidationSeed }),
	"caption_tag_dropout_rate":          real(func(c *Config) *float64 { return &c.TagDropout }),
	"token_string":                      text(func(i *Imported) *string { return &i.word.Name }),
	"init_word":                         text(func(i *Imported) *string { return &i.word.Init }),
	"num_vectors_per_token":             vectorsPerToken,
	"weights":                           text(func(i *Imported) *string { return &i.word.Weights }),
}

// withoutEffect are kohya's options that this program does not need or does in one way only: they are noted when they are set.
var withoutEffect = []string{
	"block_alphas", "block_dims", "block_lr_zero_threshold", "cache_info", "cache_latents",
	"cache_latents_to_disk", "config_file", "conv_alphas", "conv_block_alphas", "conv_block_dims", "conv_dims", "dataset_class",
	"dataset_repeats", "ddp_timeout", "debug_dataset", "deepspeed", "down_lr_weight", "dynamo_backend",
	"fp8_base", "fp8_base_unet", "full_bf16", "full_fp16", "fused_backward_pass",
	"highvram", "huggingface_repo_id", "in_json", "initial_epoch", "initial_step", "log_config",
	"log_prefix", "log_tracker_config", "log_tracker_name", "log_with", "logging_dir", "loraplus_lr_ratio",
	"loraplus_text_encoder_lr_ratio", "loraplus_unet_lr_ratio", "lowram", "lowvram", "lr_scheduler_args", "lr_scheduler_type",
	"masked_loss", "max_data_loader_n_workers", "mem_eff_attn", "mid_lr_weight", "no_half_vae", "no_metadata", "output_config",
	"persistent_data_loader_workers", "resume",
	"save_last_n_epochs_state", "save_last_n_steps_state", "save_model_as",
	"save_state_on_train_end", "sdpa", "skip_cache_check", "skip_image_resolution", "skip_until_initial_step",
	"tokenizer_cache_dir", "torch_compile", "train_inpainting",
	"up_lr_weight", "use_object_template", "use_style_template", "v2", "vae_batch_size", "wandb_api_key", "wandb_run_name",
	"xformers",
}

func savePrecision(in *Imported, v any) error {
	name, ok := map[string]string{"fp16": "fp16", "bf16": "bf16", "float": "fp32", "fp32": "fp32"}[fmt.Sprint(v)]
	if !ok {
		return fmt.Errorf("%v is not fp16, bf16 or float", v)
	}
	in.Config.SaveDType = name
	return nil
}

func baseWeights(in *Imported, v any) error {
	for _, path := range several(v) {
		in.Config.BaseWeights = append(in.Config.BaseWeights, fmt.Sprint(path))
	}
	return nil
}

func baseWeightsMultiplier(in *Imported, v any) error {
	for _, one := range several(v) {
		n, err := number(one)
		if err != nil {
			return err
		}
		in.Config.BaseWeightsMultiplier = append(in.Config.BaseWeightsMultiplier, n)
	}
	return nil
}

// several is a value as the list that options of several values have.
func several(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// warmup reads a number of steps, or a share of all steps.
func warmup(in *Imported, v any) error {
	n, err := number(v)
	switch {
	case err != nil:
		return err
	case !(n >= 0 && n < 1e9):
		return fmt.Errorf("%v is neither a number of steps nor a share of them", v)
	case n < 1:
		in.warmup = n
	default:
		in.Config.Warmup = int(n)
	}
	return nil
}

// faceCrop is passed over: without buckets and cached latents it cuts around faces whose places an old tool wrote into files' names.
func faceCrop(in *Imported, v any) error {
	in.note("face_crop_aug_range has no effect here, %v is not used: kohya's trainer reads it only without buckets, for files named NAME_x_y_w_h", v)
	return nil
}

// textStop reads a number of steps, or a share of all steps as gui makes it of the GUI's percent.
func textStop(in *Imported, v any) error {
	n, err := number(v)
	switch {
	case err != nil:
		return err
	case n < 0:
		in.Config.UNetOnly = true
	case n < 1:
		in.textStop = n
	default:
		in.Config.TextStop = int(n)
	}
	in.note("stop_text_encoder_training is followed here, also for a LoRA; kohya's train_network.py passes over it")
	return nil
}

func vectorsPerToken(in *Imported, v any) error {
	n, err := number(v)
	in.word.Vectors = int(n)
	return err
}

// captionExtension reads the extension of caption files; ".txt" is this package's default.
func captionExtension(in *Imported, v any) error {
	name, ok := v.(string)
	if !ok {
		return fmt.Errorf("%v is not text", v)
	}
	if in.Config.Extension = name; name == ".txt" || name == "txt" {
		in.Config.Extension = ""
	}
	return nil
}

func enableBucket(in *Imported, v any) error {
	on := false
	err := setFlag(&on, v)
	in.Config.NoBuckets = !on
	return err
}

// samplePrompts takes over a file of prompts, one a line, if it is there.
func samplePrompts(in *Imported, v any) error {
	path, ok := v.(string)
	if !ok {
		return fmt.Errorf("%v is not text", v)
	}
	if _, err := os.Stat(path); err != nil || filepath.Ext(path) != ".txt" {
		in.note("sample_prompts is not used: %s is no file of prompts here, one a line (.txt)", path)
		return nil
	}
	in.Config.SamplePrompts = path
	return nil
}
