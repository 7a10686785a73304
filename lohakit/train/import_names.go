package train

import (
	"fmt"
	"strings"
)

// fromEasyScripts are the fields of LoRA_Easy_Training_Scripts (March 2023) that kohya calls otherwise.
var fromEasyScripts = map[string]string{
	"base_model": "pretrained_model_name_or_path", "img_folder": "train_data_dir", "reg_img_folder": "reg_data_dir",
	"output_folder": "output_dir", "change_output_name": "output_name", "scheduler": "lr_scheduler", "cosine_restarts": "lr_scheduler_num_cycles",
	"scheduler_power": "lr_scheduler_power", "warmup_lr_ratio": "lr_warmup_steps", "unet_only": "network_train_unet_only",
	"text_only": "network_train_text_encoder_only", "net_dim": "network_dim", "alpha": "network_alpha", "train_resolution": "resolution",
	"batch_size": "train_batch_size", "num_epochs": "max_train_epochs", "max_steps": "max_train_steps", "test_seed": "seed",
	"buckets": "enable_bucket", "min_bucket_resolution": "min_bucket_reso", "max_bucket_resolution": "max_bucket_reso",
	"shuffle_captions": "shuffle_caption", "gradient_acc_steps": "gradient_accumulation_steps", "lora_model_for_resume": "network_weights",
	"max_clip_token_length": "max_token_length", "save_as": "save_model_as", "log_dir": "logging_dir", "no_meta": "no_metadata",
	"num_workers": "max_data_loader_n_workers", "persistent_workers": "persistent_data_loader_workers",
}

// easyScriptsOnly are that program's fields about itself.
var easyScriptsOnly = []string{"save_json_folder", "save_json_name", "load_json_path", "multi_run_folder", "json_load_skip_list", "save_json_only",
	"tag_occurrence_txt_file", "sort_tag_occurrence_alphabetically", "loss", "locon_dim", "locon_alpha", "use_lion"}

// easyScripts settles what that program does before it calls the trainer.
func easyScripts(options map[string]any) {
	if options["lyco"] == true || options["locon"] == true {
		options["network_module"] = "lycoris.kohya"
		if !set(options["network_args"]) {
			options["network_args"] = map[string]any{}
		}
	}
	if set(options["max_train_steps"]) { // with both given, this program counts steps and the trainer epochs
		delete(options, "max_train_epochs")
	}
	if height, width := options["height_resolution"], options["resolution"]; set(height) {
		options["resolution"] = fmt.Sprintf("%v,%v", width, height)
	}
	for _, used := range []string{"lyco", "locon", "height_resolution"} {
		delete(options, used)
	}
}

// fromGUI are the kohya_ss GUI's fields that kohya calls otherwise.
var fromGUI = map[string]string{
	"max_resolution": "resolution", "optimizer": "optimizer_type", "epoch": "max_train_epochs",
}

// guiOnly are the GUI's fields about itself, or that gui has used.
var guiOnly = []string{"LoRA_type", "conv_dim", "conv_alpha", "factor", "use_cp", "use_tucker", "decompose_both", "train_on_input", "dora_wd",
	"lr_warmup", "noise_offset_type", "stop_text_encoder_training", "stop_text_encoder_training_pct", "num_cpu_threads_per_process",
	"no_token_padding", "LyCORIS_preset", "algo", "model_list", "use_latent_files", "gpu_ids", "multi_gpu", "num_machines", "num_processes",
	"main_process_port", "extra_accelerate_launch_args", "dynamo_backend", "dynamo_mode", "dynamo_use_dynamic", "dynamo_use_fullgraph",
	"async_upload", "huggingface_path_in_repo", "huggingface_repo_id", "huggingface_repo_type", "huggingface_repo_visibility",
	"huggingface_token", "save_state_to_huggingface", "resume_from_huggingface", "wandb_api_key", "wandb_run_name", "log_tracker_config",
	"metadata_author", "metadata_description", "metadata_license", "metadata_tags", "metadata_title", "sdxl", "sdxl_cache_text_encoder_outputs",
	"sdxl_no_half_vae", "flux1_checkbox", "sd3_checkbox", "additional_parameters"}

// gui turns the GUI's own settings into the trainer's.
func gui(options map[string]any) {
	kind, _ := options["LoRA_type"].(string)
	algo := map[string]string{"LyCORIS/LoHa": "loha", "LyCORIS/LoCon": "locon", "LyCORIS/LoKr": "lokr", "LyCORIS/iA3": "ia3",
		"LyCORIS/Native Fine-Tuning": "full"}[kind]
	args := map[string]any{}
	switch {
	case algo != "":
		options["network_module"] = "lycoris.kohya"
		args["algo"] = algo
		for from, to := range map[string]string{"LyCORIS_preset": "preset", "conv_dim": "conv_dim", "conv_alpha": "conv_alpha",
			"use_cp": "use_tucker", "use_tucker": "use_tucker", "dora_wd": "dora_wd", "decompose_both": "decompose_both", "factor": "factor"} {
			if v := options[from]; set(v) {
				args[to] = v
			}
		}
	case strings.Contains(kind, "LoCon"):
		options["network_module"] = "networks.lora"
		args["conv_dim"], args["conv_alpha"] = options["conv_dim"], options["conv_alpha"]
	default:
		options["network_module"] = "networks.lora"
	}
	if len(args) > 0 {
		options["network_args"] = args
	}
	if percent, err := number(options["lr_warmup"]); err == nil && percent > 0 {
		options["lr_warmup_steps"] = percent / 100
	}
	if options["noise_offset_type"] == "Multires" {
		delete(options, "noise_offset")
	} else {
		delete(options, "multires_noise_iterations")
	}
	// The GUI writes 0 for what is off.
	for _, key := range []string{"max_train_steps", "epoch", "min_snr_gamma", "noise_offset", "multires_noise_iterations", "adaptive_noise_scale",
		"ip_noise_gamma", "unet_lr", "text_encoder_lr", "save_every_n_steps", "max_train_epochs", "lr_warmup_steps"} {
		if n, err := number(options[key]); err == nil && n == 0 {
			delete(options, key)
		}
	}
}
