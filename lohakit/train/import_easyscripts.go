package train

import (
	"fmt"
	"maps"
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
	"num_workers": "max_data_loader_n_workers", "persistent_workers": "persistent_data_loader_workers", "use_lion": "use_lion_optimizer",
}

// easyScriptsOnly are that program's fields about itself, and those that easyScripts has used.
var easyScriptsOnly = []string{"save_json_folder", "save_json_name", "load_json_path", "multi_run_folder", "json_load_skip_list", "save_json_only",
	"tag_occurrence_txt_file", "sort_tag_occurrence_alphabetically", "lyco", "locon", "locon_dim", "locon_alpha", "height_resolution"}

// easyScriptsDefaults are the values that matter of the fields a file leaves out.
var easyScriptsDefaults = map[string]any{"optimizer_type": "AdamW8bit", "optimizer_args": map[string]any{"weight_decay": "0.1", "betas": "0.9,0.99"},
	"scheduler": "cosine", "learning_rate": 1e-4, "net_dim": 32.0, "alpha": 16.0, "train_resolution": 512.0, "batch_size": 1.0, "num_epochs": 1.0,
	"clip_skip": 2.0, "test_seed": 23.0, "save_precision": "fp16", "buckets": true, "min_bucket_resolution": 320.0,
	"max_bucket_resolution": 960.0, "max_clip_token_length": 150.0, "caption_extension": ".txt"}

// easyScripts does what that program does before it calls the trainer, and returns the trainer's options.
func (in *Imported) easyScripts(fields map[string]any) map[string]any {
	all := maps.Clone(easyScriptsDefaults)
	maps.Copy(all, fields)
	if fields["optimizer_type"] == nil && (fields["use_lion"] == true || fields["use_8bit_adam"] == true) {
		delete(all, "optimizer_type") // in the older form these tell it
	}
	options := rename(all, fromEasyScripts, easyScriptsOnly)
	in.Config.StateBlock = Default().StateBlock // of bitsandbytes at that time
	switch {
	case fields["lyco"] == true:
		options["network_module"] = "lycoris.kohya"
		in.Config.Tucker = true // which LyCORIS gave convolutions then unless told otherwise
		in.note("LyCORIS of March 2023 started from other values, adapted 278 layers of the UNet, and misused the second core of convolutions: " +
			"Init, Preset and Compat repeat that where it matters")
	case fields["locon"] == true: // its older form
		options["network_module"] = "locon.locon_kohya"
		options["network_args"] = map[string]any{"algo": "lora", "conv_dim": fields["locon_dim"], "conv_alpha": fields["locon_alpha"]}
	}
	if set(options["max_train_steps"]) { // with both given, this program counts steps and the trainer epochs
		delete(options, "max_train_epochs")
	}
	if height := fields["height_resolution"]; set(height) {
		options["resolution"] = fmt.Sprintf("%v,%v", all["train_resolution"], height)
	}
	return options
}
