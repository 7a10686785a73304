package train

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/dataset"
)

// Metadata returns the header that the trainers write into an adapter's file, so that other programs show how it was made; name is the
// file's. All values are strings, structures are JSON. Config's own JSON is under lohakit.config.
func (r *Run) Metadata(name string) map[string]string {
	c, m := r.Config, map[string]string{}
	module := "lycoris.kohya"
	if c.Kind == adapter.LoRA && c.ConvDim == 0 {
		module = "networks.lora"
	}
	unet, text := c.rates()
	seconds := func(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMicro())/1e6) }
	for key, value := range map[string]any{
		"ss_output_name": name, "ss_training_started_at": seconds(r.started), "ss_training_finished_at": seconds(time.Now()),
		"ss_learning_rate": c.LR, "ss_unet_lr": unet, "ss_text_encoder_lr": text,
		"ss_num_train_images": r.draws(false), "ss_num_reg_images": r.draws(true), "ss_num_batches_per_epoch": r.perEpoch,
		"ss_num_epochs": (r.total*c.GradAccumulation + r.perEpoch - 1) / r.perEpoch,
		"ss_epoch":      (r.done*c.GradAccumulation + r.perEpoch - 1) / r.perEpoch,
		"ss_steps":      r.done, "ss_max_train_steps": r.total, "ss_gradient_checkpointing": false,
		"ss_gradient_accumulation_steps": c.GradAccumulation, "ss_lr_warmup_steps": c.Warmup, "ss_lr_scheduler": c.Scheduler,
		"ss_network_module": module, "ss_network_dim": c.Dim, "ss_network_alpha": c.Alpha,
		"ss_mixed_precision": map[bool]string{true: "bf16", false: "no"}[c.MixedBF16],
		"ss_v2":              false, "ss_base_model_version": "sd_v1", "ss_clip_skip": c.ClipSkip, "ss_max_token_length": c.MaxTokens,
		"ss_cache_latents": !c.Color && !c.RandomCrop, "ss_seed": c.Seed, "ss_noise_offset": orNone(c.NoiseOffset),
		"ss_multires_noise_iterations": orNone(float64(c.PyramidLevels)), "ss_multires_noise_discount": c.PyramidDiscount,
		"ss_adaptive_noise_scale": orNone(c.AdaptiveNoise), "ss_zero_terminal_snr": c.ZeroTerminalSNR,
		"ss_optimizer": r.graphs.optimizer.Class(), "ss_max_grad_norm": c.MaxGradNorm, "ss_caption_dropout_rate": c.Dropout,
		"ss_caption_tag_dropout_rate": c.TagDropout, "ss_prior_loss_weight": c.PriorLoss, "ss_min_snr_gamma": orNone(c.MinSNRGamma),
		"ss_ip_noise_gamma": orNone(c.Perturbation), "ss_noise_offset_random_strength": c.OffsetRandom,
		"ss_debiased_estimation": c.Debiased, "ss_loss_type": c.LossType, "ss_huber_schedule": c.HuberSchedule, "ss_huber_c": c.HuberC,
		"ss_huber_scale": c.HuberScale, "ss_batch_size_per_device": c.BatchSize, "ss_total_batch_size": c.BatchSize * c.GradAccumulation,
		"ss_resolution": fmt.Sprintf("(%d, %d)", c.Resolution, c.Resolution), "ss_color_aug": c.Color, "ss_flip_aug": c.Flip,
		"ss_random_crop": c.RandomCrop, "ss_shuffle_caption": c.Shuffle, "ss_keep_tokens": c.KeepTokens,
		"ss_enable_bucket": !c.NoBuckets, "ss_bucket_no_upscale": c.NoUpscale,
		"ss_min_bucket_reso": r.Data.Options.MinBucket, "ss_max_bucket_reso": r.Data.Options.MaxBucket,
	} {
		m[key] = python(value)
	}
	structures := map[string]any{"ss_network_args": r.networkArgs(), "ss_tag_frequency": r.tagFrequency(),
		"ss_dataset_dirs": r.folders(false), "ss_reg_dataset_dirs": r.folders(true), "ss_bucket_info": bucketInfo(r.Data), "lohakit.config": c}
	for key, value := range structures {
		if data, err := json.Marshal(value); err == nil {
			m[key] = string(data)
		}
	}
	maps.Copy(m, map[string]string{"modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": "stable-diffusion-v1/lora",
		"modelspec.title": name, "modelspec.date": time.Now().UTC().Format("2006-01-02T15:04:05"),
		"modelspec.resolution": fmt.Sprintf("%dx%d", c.Resolution, c.Resolution)})
	return m
}

// python prints a value as Python's str does, which is what readers of these headers expect.
func python(v any) string {
	switch v := v.(type) {
	case bool:
		return pythonBool(v)
	case nil:
		return "None"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// orNone is None for options that are off.
func orNone(v float64) any {
	if v == 0 {
		return nil
	}
	return v
}

func (r *Run) networkArgs() map[string]string {
	c := r.Config
	args := map[string]string{"algo": string(c.Kind), "preset": c.Preset}
	if c.ConvDim > 0 {
		args["conv_dim"], args["conv_alpha"] = strconv.Itoa(c.ConvDim), python(c.ConvAlpha)
		args["use_tucker"] = pythonBool(c.Tucker)
	}
	if c.DoRA {
		args["dora_wd"] = "True"
	}
	return args
}

// draws counts an epoch's samples.
func (r *Run) draws(regularization bool) int {
	n := 0
	for _, item := range r.Data.Items {
		if r.Data.Subsets[item.Subset].Regularization == regularization {
			n += item.Repeats
		}
	}
	return n
}

// folders lists the datasets' folders as the trainers do: {name: {n_repeats, img_count}}.
func (r *Run) folders(regularization bool) map[string]map[string]int {
	out := map[string]map[string]int{}
	for _, item := range r.Data.Items {
		sub := r.Data.Subsets[item.Subset]
		if sub.Regularization != regularization {
			continue
		}
		if out[sub.Name()] == nil {
			out[sub.Name()] = map[string]int{"n_repeats": sub.Repeats}
		}
		out[sub.Name()]["img_count"]++
	}
	return out
}

// tagFrequency counts every folder's tags.
func (r *Run) tagFrequency() map[string]map[string]int {
	out := map[string]map[string]int{}
	for i, sub := range r.Data.Subsets {
		counts := map[string]int{}
		for _, tag := range r.Data.Tags(i) {
			counts[tag.Name] = tag.Count
		}
		out[sub.Name()] = counts
	}
	return out
}

func bucketInfo(s *dataset.Set) map[string]any {
	buckets := map[string]any{}
	for i, b := range s.Buckets() {
		buckets[strconv.Itoa(i)] = map[string]any{"resolution": []int{b.Size.W, b.Size.H}, "count": b.Samples}
	}
	return map[string]any{"buckets": buckets}
}
