package train

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Metadata returns the header that the trainers write into an adapter's file, so that other programs show how it was made; name is the
// file's. All values are strings, structures are JSON. What describes the network is added by Adapter.Save. Config's own JSON is under
// lohakit.config.
func (r *Run) Metadata(name string) map[string]string {
	m := map[string]string{}
	facts, structures := r.facts(name), map[string]any{"lohakit.config": r.Config, "ss_tag_frequency": r.tagFrequency(),
		"ss_dataset_dirs": r.folders(false)}
	if r.Data.FromFile() {
		structures["ss_datasets"] = []any{r.datasetFacts()}
	} else {
		maps.Copy(facts, r.folderFacts())
		structures["ss_reg_dataset_dirs"], structures["ss_bucket_info"] = r.folders(true), bucketInfo(r.Data)
	}
	for key, value := range facts {
		m[key] = python(value)
	}
	for key, value := range structures {
		if data, err := json.Marshal(value); err == nil {
			m[key] = string(data)
		}
	}
	maps.Copy(m, r.baseFacts())
	maps.Copy(m, r.modelspec("lora", "diffusers", cmp.Or(r.Config.Title, name)))
	return m
}

// modelspec is the part of the header that the model metadata standard names, all there is in an embedding's file.
func (r *Run) modelspec(kind, implementation, name string) map[string]string {
	prediction := map[bool]string{true: "v", false: "epsilon"}[r.Config.VPrediction || r.Model.Config.Prediction == sd.V]
	area := r.Data.Options.Resolution
	m := map[string]string{"modelspec.sai_model_spec": "1.0.1", "modelspec.architecture": "stable-diffusion-v1/" + kind,
		"modelspec.implementation": implementation, "modelspec.title": name, "modelspec.date": time.Now().UTC().Format("2006-01-02T15:04:05"),
		"modelspec.resolution": fmt.Sprintf("%dx%d", area.W, area.H), "modelspec.prediction_type": prediction,
		"modelspec.encoder_layer": strconv.Itoa(r.Config.ClipSkip)}
	if c := r.Config; c.MinTimestep > 0 || c.MaxTimestep < sd.Timesteps {
		m["modelspec.timestep_range"] = fmt.Sprintf("%d,%d", c.MinTimestep, c.MaxTimestep)
	}
	for key, text := range map[string]string{"author": r.Config.Author, "description": r.Config.Description, "license": r.Config.License,
		"tags": r.Config.Tags} {
		if text != "" {
			m["modelspec."+key] = text
		}
	}
	return m
}

// facts are the run's own values under kohya's keys; nil stands for what is off or does not exist here.
func (r *Run) facts(name string) map[string]any {
	c := r.Config
	rates := c.rates()
	seconds := func(t time.Time) string { return fmt.Sprintf("%.3f", float64(t.UnixMicro())/1e6) }
	epochs := func(steps int) int { return (steps*c.GradAccumulation + r.perEpoch - 1) / r.perEpoch }
	held := 0
	for _, item := range r.Data.Items {
		if item.Held {
			held++
		}
	}
	session := fnv.New32a()
	fmt.Fprint(session, r.started.UnixNano(), c.Seed)
	return map[string]any{
		"ss_session_id": session.Sum32(), "ss_output_name": name,
		"ss_training_started_at": seconds(r.started), "ss_training_finished_at": seconds(time.Now()),
		"ss_learning_rate": c.LR, "ss_unet_lr": rates[0], "ss_text_encoder_lr": rates[1],
		"ss_num_train_images": r.draws(false), "ss_num_validation_images": held, "ss_num_reg_images": r.draws(true),
		"ss_num_batches_per_epoch": r.perEpoch, "ss_num_epochs": epochs(r.total), "ss_epoch": epochs(r.done), "ss_steps": r.done,
		"ss_max_train_steps": r.total, "ss_gradient_checkpointing": c.GradCheckpointing, "ss_gradient_accumulation_steps": c.GradAccumulation,
		"ss_lr_warmup_steps": c.Warmup, "ss_lr_scheduler": c.Scheduler, "ss_network_dropout": orNone(c.NeuronDropout),
		"ss_mixed_precision": map[bool]string{true: "bf16", false: "no"}[c.MixedBF16], "ss_full_fp16": false, "ss_fp8_base": false,
		"ss_fp8_base_unet": false, "ss_lowram": false, "ss_clip_skip": c.ClipSkip, "ss_max_token_length": c.MaxTokens,
		"ss_cache_latents": !c.Color && !c.RandomCrop, "ss_seed": c.Seed, "ss_noise_offset": orNone(c.NoiseOffset),
		"ss_noise_offset_random_strength": c.OffsetRandom, "ss_adaptive_noise_scale": orNone(c.AdaptiveNoise),
		"ss_multires_noise_iterations": orNone(float64(c.PyramidLevels)), "ss_multires_noise_discount": c.PyramidDiscount,
		"ss_ip_noise_gamma": orNone(c.Perturbation), "ss_ip_noise_gamma_random_strength": c.PerturbRandom,
		"ss_zero_terminal_snr": c.ZeroTerminalSNR, "ss_training_comment": orNull(c.Comment), "ss_sd_scripts_commit_hash": nil,
		"ss_optimizer": r.graphs.optimizer.Class(), "ss_max_grad_norm": c.MaxGradNorm, "ss_scale_weight_norms": orNone(c.MaxNorm),
		"ss_caption_dropout_rate": c.Dropout, "ss_caption_dropout_every_n_epochs": c.DropoutEveryNEpochs,
		"ss_caption_tag_dropout_rate": c.TagDropout, "ss_face_crop_aug_range": nil, "ss_prior_loss_weight": c.PriorLoss,
		"ss_min_snr_gamma": orNone(c.MinSNRGamma), "ss_debiased_estimation": c.Debiased, "ss_loss_type": c.LossType,
		"ss_huber_schedule": c.HuberSchedule, "ss_huber_c": c.HuberC, "ss_huber_scale": c.HuberScale,
		"ss_validation_split": r.Data.Options.Validation, "ss_validation_seed": orNone(float64(r.Data.Options.ValidationSeed)),
		"ss_max_validation_steps": c.ValidationBatches, "ss_validate_every_n_epochs": orNone(float64(c.ValidateEveryEpochs)),
		"ss_validate_every_n_steps": orNone(float64(c.ValidateEvery)),
		"ss_resize_interpolation":   orNull(c.ResizeInterpolation),
	}
}

// baseFacts are the names of the base model and, if it came from a file of its own, its autoencoder, and the hashes that web UIs know them by.
func (r *Run) baseFacts() map[string]string {
	m := map[string]string{}
	for what, path := range map[string]string{"sd_model": r.Model.Path, "vae": r.Model.VAEPath} {
		if path == "" {
			continue
		}
		m["ss_"+what+"_name"] = filepath.Base(path)
		if h := hashesOf(path); h[0] != "" {
			m["ss_"+what+"_hash"], m["ss_new_"+what+"_hash"] = h[0], h[1]
		}
	}
	return m
}

// hashed keeps the hashes of base models, which are large, by path, size and time of change.
var hashed sync.Map

// hashesOf returns a file's hashes; nothing for a folder.
func hashesOf(path string) (h [2]string) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return h
	}
	key := fmt.Sprint(path, info.Size(), info.ModTime())
	if known, ok := hashed.Load(key); ok {
		return known.([2]string)
	}
	if h[0], h[1], err = checkpoint.Hashes(path); err == nil {
		hashed.Store(key, h)
	}
	return h
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
