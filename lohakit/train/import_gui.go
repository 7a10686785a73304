package train

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fromGUI are the kohya_ss GUI's fields that kohya calls otherwise.
var fromGUI = map[string]string{
	"max_resolution": "resolution", "optimizer": "optimizer_type", "epoch": "max_train_epochs", "lora_network_weights": "network_weights",
}

// guiOnly are the GUI's fields about itself, and those that gui has used.
var guiOnly = []string{
	"LoRA_type", "LyCORIS_preset", "unit", "save_as_bool", "conv_dim", "conv_alpha", "factor", "use_cp", "use_tucker", "decompose_both", "train_on_input",
	"dora_wd", "rank_dropout", "rank_dropout_scale", "module_dropout", "train_norm", "lr_warmup", "noise_offset_type",
	"num_cpu_threads_per_process", "no_token_padding", "model_list", "gpu_ids", "multi_gpu", "num_machines", "num_processes",
	"main_process_port", "extra_accelerate_launch_args", "dynamo_mode", "dynamo_use_dynamic", "dynamo_use_fullgraph", "async_upload",
	"huggingface_path_in_repo", "huggingface_repo_type", "huggingface_repo_visibility", "huggingface_token", "save_state_to_huggingface",
	"resume_from_huggingface", "use_wandb", "additional_parameters", "ask_for_file", "apply_preset", "train_inpainting",
}

// guiNetworks are the GUI's kinds of network: the module that trains them, and LyCORIS' name.
var guiNetworks = map[string]struct{ module, algo string }{
	"Standard": {"networks.lora", ""}, "Kohya LoCon": {"networks.lora", ""}, "LoCon": {"lycoris.kohya", "locon"},
	"LyCORIS/LoCon": {"lycoris.kohya", "locon"}, "LyCORIS/LoHa": {"lycoris.kohya", "loha"}, "LyCORIS/LoKr": {"lycoris.kohya", "lokr"},
	"LyCORIS/iA3": {"lycoris.kohya", "ia3"}, "LyCORIS/Native Fine-Tuning": {"lycoris.kohya", "full"},
}

// guiNetworkArgs are the fields that the GUI hands on to LyCORIS, and what that calls them.
var guiNetworkArgs = map[string]string{"LyCORIS_preset": "preset", "conv_dim": "conv_dim", "conv_alpha": "conv_alpha", "use_cp": "use_tucker",
	"use_tucker": "use_tucker", "dora_wd": "dora_wd", "decompose_both": "decompose_both", "factor": "factor", "rank_dropout": "rank_dropout",
	"rank_dropout_scale": "rank_dropout_scale", "module_dropout": "module_dropout", "train_norm": "train_norm", "use_scalar": "use_scalar",
	"bypass_mode": "bypass_mode", "constrain": "constraint", "rescaled": "rescaled", "unit": "block_size"}

// guiKohyaArgs are the fields that it hands on to networks.lora, under these names.
var guiKohyaArgs = []string{"down_lr_weight", "mid_lr_weight", "up_lr_weight", "block_lr_zero_threshold", "block_dims", "block_alphas",
	"conv_block_dims", "conv_block_alphas", "rank_dropout", "module_dropout"}

// guiLoRAPlus are the fields that it hands on to any network.
var guiLoRAPlus = []string{"loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio"}

// otherModels are how the GUI's fields for other base models begin. They hold values whether or not they are used.
var otherModels = []string{"sdxl", "flux", "sd3_", "hunyuan_", "anima_", "lumina_", "t5xxl", "clip_"}

// guiZeroIsOff are the options that the GUI leaves out when they are 0.
var guiZeroIsOff = []string{"max_train_steps", "max_train_epochs", "min_snr_gamma", "noise_offset", "multires_noise_iterations",
	"adaptive_noise_scale", "ip_noise_gamma", "unet_lr", "text_encoder_lr", "save_every_n_steps", "save_every_n_epochs", "lr_warmup_steps",
	"caption_dropout_every_n_epochs", "caption_dropout_rate", "network_dropout", "vae_batch_size", "save_last_n_steps", "save_last_n_steps_state",
	"save_last_n_epochs", "save_last_n_epochs_state", "stop_text_encoder_training", "stop_text_encoder_training_pct", "sample_every_n_steps",
	"sample_every_n_epochs", "scale_weight_norms", "v_pred_like_loss", "max_data_loader_n_workers", "max_bucket_reso", "min_bucket_reso",
	"loraplus_lr_ratio", "loraplus_text_encoder_lr_ratio", "loraplus_unet_lr_ratio", "keep_tokens"}

// gui turns the GUI's own settings into the trainer's.
func gui(fields map[string]any) (map[string]any, error) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if (name == "sdxl" || strings.HasSuffix(name, "_checkbox")) && fields[name] == true {
			return nil, fmt.Errorf("%s is on, it is not for Stable Diffusion 1.x", name)
		}
	}
	options := rename(fields, fromGUI, guiOnly)
	maps.DeleteFunc(options, func(name string, v any) bool {
		if n, err := number(v); err == nil && n == 0 && slices.Contains(guiZeroIsOff, name) {
			return true
		}
		return name != "clip_skip" && slices.ContainsFunc(otherModels, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
	kind := "Standard"
	if v := fields["LoRA_type"]; set(v) {
		kind = fmt.Sprint(v)
	}
	network, ok := guiNetworks[kind]
	if !ok {
		return nil, fmt.Errorf("LoRA_type %s is not handled; use one of %s", kind, strings.Join(slices.Sorted(maps.Keys(guiNetworks)), ", "))
	}
	args := map[string]any{}
	options["network_module"], options["network_args"] = network.module, args
	if network.algo != "" {
		args["algo"] = network.algo
		for from, to := range guiNetworkArgs {
			if v := fields[from]; set(v) && fmt.Sprint(v) != "0" && (from != "unit" || fmt.Sprint(v) != "1") {
				args[to] = v
			}
		}
	} else {
		if kind == "Kohya LoCon" {
			args["conv_dim"], args["conv_alpha"] = fields["conv_dim"], fields["conv_alpha"]
		}
		handOn(guiKohyaArgs, options, fields, args)
	}
	handOn(guiLoRAPlus, options, fields, args)
	if percent, err := number(fields["lr_warmup"]); err == nil && percent > 0 {
		options["lr_warmup_steps"] = percent / 100
	}
	for _, name := range []string{"stop_text_encoder_training", "stop_text_encoder_training_pct"} {
		if percent, err := number(options[name]); err == nil && percent > 0 {
			delete(options, name)
			if percent < 100 {
				options[name] = percent / 100
			}
		}
	}
	if fields["noise_offset_type"] == "Multires" {
		delete(options, "noise_offset")
	} else {
		delete(options, "multires_noise_iterations")
	}
	extra, _ := fields["additional_parameters"].(string)
	return options, commandLine(extra, options)
}

// handOn moves the fields that say something from the options to the network's arguments.
func handOn(names []string, options, fields, args map[string]any) {
	for _, name := range names {
		delete(options, name)
		if v := fields[name]; set(v) && fmt.Sprint(v) != "0" {
			args[name] = v
		}
	}
}

// commandLine reads options as they are typed after the trainer's name, --name value, --name=value or --flag, which count over what is in
// into.
func commandLine(line string, into map[string]any) error {
	words := strings.Fields(line)
	for i := 0; i < len(words); i++ {
		name, ok := strings.CutPrefix(words[i], "--")
		if !ok {
			return fmt.Errorf("additional_parameters: %q does not begin with --", words[i])
		}
		name, value, given := strings.Cut(name, "=")
		var list []any
		for !given && i+1 < len(words) && !strings.HasPrefix(words[i+1], "--") {
			i++
			list = append(list, strings.Trim(words[i], `"'`))
		}
		switch {
		case given:
			into[name] = strings.Trim(value, `"'`)
		case len(list) == 0:
			into[name] = true
		case len(list) == 1 && !strings.HasSuffix(name, "_args"):
			into[name] = list[0]
		default:
			into[name] = list
		}
	}
	return nil
}
