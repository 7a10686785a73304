package train

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/adapter"
)

// A configuration as the program of the model card's experiments wrote it, with the values of its default run.
const easyScriptsJSON = `{
    "base_model": "nai-full-pruned.safetensors", "img_folder": "train", "output_folder": "out", "save_json_folder": null,
    "reg_img_folder": null, "optimizer_type": "AdamW8bit", "optimizer_args": {"weight_decay": "0.1", "betas": "0.9,0.99"},
    "scheduler": "constant", "cosine_restarts": 1, "scheduler_power": 1, "learning_rate": 0.0002, "unet_lr": null, "text_encoder_lr": null,
    "warmup_lr_ratio": null, "unet_only": false, "net_dim": 8, "alpha": 1, "train_resolution": 512, "height_resolution": null,
    "batch_size": 8, "num_epochs": 4, "max_steps": 6000, "clip_skip": 1, "test_seed": 23, "mixed_precision": "fp16",
    "save_precision": "fp16", "lyco": true, "network_args": {"conv_dim": "4", "conv_alpha": "1", "algo": "loha"}, "buckets": true,
    "min_bucket_resolution": 320, "max_bucket_resolution": 960, "xformers": true, "cache_latents": true,
    "max_clip_token_length": 150, "prior_loss_weight": 1, "max_grad_norm": 1, "keep_tokens": null, "noise_offset": null,
    "tag_occurrence_txt_file": true, "caption_extension": ".txt", "surprise": 3}`

func TestImportEasyScripts(t *testing.T) {
	in, err := parseImport([]byte(easyScriptsJSON))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.OutputDir, want.MinBucket, want.MaxBucket, want.BucketStep = "out", 320, 960, 64
	if got, want := in.Config.Name(), want.Name(); got != want {
		t.Errorf("the card's default run reads as %q, want %q", got, want)
	}
	if in.BaseModel != "nai-full-pruned.safetensors" || in.Images != "train" {
		t.Errorf("%+v", in)
	}
	if notes := strings.Join(in.Notes, "; "); !strings.Contains(notes, "surprise is not known") || !strings.Contains(notes, "xformers") {
		t.Errorf("notes %s", notes)
	}
}

// The textual-inversion trainer's word becomes a placeholder that is trained alone, or beside the adapter where there is one.
func TestImportWord(t *testing.T) {
	in, err := parseImport([]byte("token_string = \"tilty-x\"\ninit_word = \"girl hat\"\nnum_vectors_per_token = 4\nuse_style_template = true\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []Placeholder{{Name: "tilty-x", Vectors: 4, Init: "girl hat"}}; !slices.Equal(in.Config.Embeddings, want) {
		t.Errorf("%+v", in.Config.Embeddings)
	}
	if notes := strings.Join(in.Notes, "; "); strings.Contains(notes, "tilty-x") || !in.Config.UNetOnly || !in.Config.TextOnly || !strings.Contains(notes, "use_style_template has no effect") {
		t.Errorf("notes %s", notes)
	}
	in, err = parseImport([]byte("token_string = \"tilty-x\"\ninit_word = \"girl\"\nweights = \"earlier.safetensors\"\nnum_vectors_per_token = 2\n"))
	if want := []Placeholder{{Name: "tilty-x", Vectors: 2, Weights: "earlier.safetensors"}}; err != nil || !slices.Equal(in.Config.Embeddings, want) {
		t.Errorf("%+v, %v", in.Config.Embeddings, err)
	}
	if in, err = parseImport([]byte("token_string = \"tilty-x\"\nnetwork_module = \"lycoris.kohya\"\n")); err != nil || in.Config.Embeddings[0].Vectors != 1 || in.Config.UNetOnly || len(in.Notes) != 0 {
		t.Errorf("%+v, %v", in, err)
	}
	if _, err = parseImport([]byte("token_string = \"cat\"\n")); err == nil || !strings.Contains(err.Error(), "cat") {
		t.Errorf("a word of the vocabulary: %v", err)
	}
}

// Accumulated steps that are counted by epochs are fewer here than in kohya's trainer, which is said.
func TestImportAccumulation(t *testing.T) {
	for text, notes := range map[string]int{"max_train_epochs = 2": 1, "max_train_steps = 2": 0} {
		in, err := parseImport([]byte("gradient_accumulation_steps = 4\n" + text + "\n"))
		if err != nil || in.Config.GradAccumulation != 4 || len(in.Notes) != notes {
			t.Errorf("%s: notes %q, %v", text, in.Notes, err)
		}
	}
}

// Every field that LoRA_Easy_Training_Scripts of March 2023 writes is known: it sets something, or is noted when it has no effect, or
// is about that program itself. What a file leaves out has that program's defaults, not this one's.
func TestEveryEasyScriptsField(t *testing.T) {
	fields := map[string]any{"base_model": "b", "img_folder": "i", "output_folder": "o", "reg_img_folder": "r", "sample_prompts": "p.txt",
		"change_output_name": "name", "training_comment": "c", "save_json_folder": "j", "save_json_name": "j", "load_json_path": "j",
		"multi_run_folder": "m", "json_load_skip_list": []string{"x"}, "save_json_only": true, "tag_occurrence_txt_file": true,
		"sort_tag_occurrence_alphabetically": true, "optimizer_type": "Lion", "optimizer_args": map[string]string{"weight_decay": "0.2"},
		"scheduler": "cosine_with_restarts", "cosine_restarts": 3, "scheduler_power": 2, "lr_scheduler_type": "x", "lr_scheduler_args": []string{"a=1"},
		"learning_rate": 1e-3, "unet_lr": 2e-3, "text_encoder_lr": 3e-3, "warmup_lr_ratio": 0.1, "unet_only": true, "text_only": false,
		"net_dim": 6, "alpha": 3, "train_resolution": 512, "height_resolution": 768, "batch_size": 2, "num_epochs": 3, "max_steps": 400,
		"clip_skip": 2, "test_seed": 5, "mixed_precision": "bf16", "save_precision": "bf16", "lyco": true,
		"network_args": map[string]string{"algo": "lokr", "factor": "4", "conv_dim": "2"}, "save_every_n_epochs": 1, "save_n_epoch_ratio": 1,
		"save_last_n_epochs": 1, "save_last_n_epochs_state": 1, "sample_sampler": "ddim", "sample_every_n_steps": 1, "sample_every_n_epochs": 1,
		"buckets": true, "min_bucket_resolution": 256, "max_bucket_resolution": 1024, "bucket_reso_steps": 32, "bucket_no_upscale": true,
		"shuffle_captions": true, "keep_tokens": 1, "xformers": true, "cache_latents": true, "flip_aug": true, "color_aug": true,
		"random_crop": true, "v2": false, "v_parameterization": true, "gradient_checkpointing": true, "gradient_acc_steps": 2,
		"noise_offset": 0.1, "mem_eff_attn": true, "lora_model_for_resume": "l", "save_state": true, "resume": "s", "vae": "v", "log_dir": "l",
		"log_prefix": "l", "tokenizer_cache_dir": "t", "dataset_config": "d.toml", "lowram": true, "no_meta": true,
		"caption_dropout_rate": 0.1, "caption_dropout_every_n_epochs": 2, "caption_tag_dropout_rate": 0.2, "prior_loss_weight": 0.5,
		"max_grad_norm": 2, "save_as": "safetensors", "caption_extension": ".cap", "max_clip_token_length": 225, "num_workers": 2,
		"persistent_workers": true, "face_crop_aug_range": "1,2", "network_module": nil, "use_8bit_adam": false, "use_lion": false,
		"locon": false, "locon_dim": nil, "locon_alpha": nil}
	parse := func() Imported {
		t.Helper()
		data, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		in, err := parseImport(data)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	in := parse()
	want := "Kind=lokr Dim=6 Alpha=3 ConvDim=2 ConvAlpha=3 Factor=4 Extension=.cap Dropout=0.1 DropoutEveryNEpochs=2 KeepTokens=1 Shuffle " +
		"TagDropout=0.2 Weights=l LR=0.001 UNetLR=0.002 TextLR=0.003 UNetOnly Scheduler=cosine_with_restarts Warmup=40 SchedulerCycles=3 SchedulerPower=2 " +
		"Optimizer=Lion WeightDecay=0.2 MaxGradNorm=2 GradAccumulation=2 Steps=400 BatchSize=2 Height=768 MinBucket=256 MaxBucket=1024 " +
		"BucketStep=32 NoUpscale Flip Color RandomCrop PriorLoss=0.5 Seed=5 GradCheckpointing MixedBF16 MaxTokens=225 ClipSkip=2 VPrediction NoiseOffset=0.1 " +
		"SaveEveryEpochs=1 SaveKeepEpochs=1 SaveState SaveDType=bf16 OutputDir=o OutputName=name Comment=c"
	if got := in.Config.Name(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	notes := strings.Join(in.Notes, "\n")
	if strings.Contains(notes, "is not known") {
		t.Errorf("notes\n%s", notes)
	}
	for _, name := range []string{"lr_scheduler_type", "xformers",
		"face_crop_aug_range", "resume"} {
		if !strings.Contains(notes, name+" has no effect here") {
			t.Errorf("%s is passed over in silence", name)
		}
	}
	if in.Dataset != "d.toml" || in.Regularize != "r" || in.Images != "i" || in.BaseModel != "b" || in.VAE != "v" {
		t.Errorf("%+v", in)
	}

	fields = map[string]any{"img_folder": "i", "locon": true, "locon_dim": 4, "locon_alpha": 2, "use_lion": true}
	c := parse().Config
	if c.Kind != adapter.LoCon || c.Dim != 32 || c.Alpha != 16 || c.ConvDim != 4 || c.ConvAlpha != 2 || c.Tucker || c.Optimizer != "Lion" ||
		c.Scheduler != "cosine" || c.LR != 1e-4 || c.BatchSize != 1 || c.Steps != 0 || c.Epochs != 1 || c.ClipSkip != 2 || c.NoBuckets {
		t.Errorf("what is left out: %s", c.Name())
	}
}

// fieldList reads a list of another program's fields, one a line.
func fieldList(t *testing.T, path string, least int) (names []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			names = append(names, line)
		}
	}
	if len(names) < least {
		t.Fatalf("%s lists %d", path, len(names))
	}
	return names
}

// Every option of kohya's trainer sets something or is noted, and so is every field of the GUI that is not about itself.
func TestEveryKohyaOption(t *testing.T) {
	for _, name := range fieldList(t, "testdata/kohya_options.txt", 160) {
		if known := imports[name] != nil; known == slices.Contains(withoutEffect, name) {
			t.Errorf("%s: read %v, and without effect the same", name, known)
		}
	}
	for _, name := range fieldList(t, "testdata/gui_fields.txt", 170) {
		if to, ok := fromGUI[name]; ok {
			name = to
		}
		if imports[name] == nil && !slices.Contains(withoutEffect, name) && !slices.Contains(guiOnly, name) && guiNetworkArgs[name] == "" {
			t.Errorf("the GUI's %s is not known", name)
		}
	}
}

// A preset file of LyCORIS is read with the configuration that names it.
func TestImportPresetFile(t *testing.T) {
	in, err := parseImport([]byte("network_module = \"lycoris.kohya\"\nnetwork_args = [\"algo=locon\", \"preset=../adapter/testdata/preset.toml\"]"))
	if err != nil || len(in.Config.Rules) < 5 || in.Config.Preset != "full" {
		t.Errorf("%+v, %v", in.Config.Spec, err)
	}
	if _, err := parseImport([]byte("network_module = \"lycoris.kohya\"\nnetwork_args = [\"preset=none.toml\"]")); err == nil || !strings.Contains(err.Error(), "none.toml") {
		t.Errorf("a preset file that is not there: %v", err)
	}
}

// What a kohya configuration leaves out has that trainer's defaults.
func TestKohyaDefaults(t *testing.T) {
	in, err := parseImport([]byte("network_module = \"networks.lora\"\nresolution = 512\nnetwork_args = [\"conv_dim=8\"]\nlr_warmup_steps = 0.05\nlr_scheduler = \"cosine\""))
	if err != nil {
		t.Fatal(err)
	}
	c := in.Config
	// networks.lora with conv_dim is LoCon over the layers LyCORIS had first, conv_alpha 1.
	if c.Kind != adapter.LoCon || c.Preset != "lycoris-0.1.2" || c.Dim != 4 || c.ConvDim != 8 || c.ConvAlpha != 1 || c.LR != 2e-6 || c.Optimizer != "AdamW" ||
		c.Beta2 != 0.999 || c.WeightDecay != 0.01 || c.Steps != 1600 || c.Warmup != 80 || c.BatchSize != 1 || !c.NoBuckets || c.MaxTokens != 75 ||
		c.Extension != ".caption" || c.SaveDType != "fp32" {
		t.Errorf("%s", c.Name())
	}
}

func TestImportKohya(t *testing.T) {
	in, err := parseImport([]byte(`
[model]
pretrained_model_name_or_path = "base.safetensors"
[network]
network_module = "lycoris.kohya"
network_dim = 16
network_alpha = 8
network_args = ["conv_dim=8", "algo=locon", "preset=attn-mlp", "use_tucker=True", "unknown=1"]
network_weights = "earlier.safetensors"
dim_from_weights = true
base_weights = ["style.safetensors", "detail.safetensors"]
base_weights_multiplier = [0.5]
weighted_captions = true
resize_interpolation = "bicubic"
ip_noise_gamma = 0.1
ip_noise_gamma_random_strength = true
stop_text_encoder_training = 300
[optimizer]
optimizer_type = "Prodigy"
optimizer_args = ["weight_decay=0.01", "betas=(0.9, 0.999)", "d_coef=2", "use_bias_correction=True"]
learning_rate = 1
lr_scheduler = "cosine"
lr_warmup_steps = 100
[training]
max_train_epochs = 10
resolution = "768,768"
min_snr_gamma = 5
text_encoder_lr = [0.5]
network_train_unet_only = false
`))
	if err != nil {
		t.Fatal(err)
	}
	c := in.Config
	if c.Kind != adapter.LoCon || c.Dim != 16 || c.Alpha != 8 || c.ConvDim != 8 || c.ConvAlpha != 8 || !c.Tucker || c.Preset != "attn-mlp" ||
		c.Optimizer != "Prodigy" || c.Beta2 != 0.999 || c.DCoef != 2 || !c.BiasCorrection || c.Epochs != 10 || c.Steps != 0 ||
		c.Resolution != 768 || c.MinSNRGamma != 5 || c.TextLR != 0.5 || c.Warmup != 100 ||
		c.Weights != "earlier.safetensors" || !c.DimFromWeights || len(c.BaseWeights) != 2 || !slices.Equal(c.BaseWeightsMultiplier, []float64{0.5}) ||
		!c.WeightedCaptions || c.ResizeInterpolation != "bicubic" || c.Dataset().Subset.ResizeInterpolation != "bicubic" || !c.PerturbRandom || c.Perturbation != 0.1 || c.TextStop != 300 {
		t.Errorf("%+v", c)
	}
	if len(in.Notes) != 2 || !strings.Contains(in.Notes[0], "unknown") || !strings.Contains(in.Notes[1], "stop_text_encoder_training") {
		t.Errorf("notes %q", in.Notes)
	}
}

// networks.lora's dropout and options by block are taken over; LyCORIS has no neuron dropout, and drops the rows of a difference.
func TestImportNetworkArguments(t *testing.T) {
	const args = "network_dropout = 0.1\nnetwork_args = [\"rank_dropout=0.2\", \"module_dropout=0.3\", \"loraplus_lr_ratio=16\""
	in, err := parseImport([]byte("network_module = \"networks.lora\"\n" + args + ", \"down_lr_weight=cosine+.1\", \"block_dims=" +
		strings.TrimSuffix(strings.Repeat("3,", 25), ",") + "\"]"))
	c := in.Config
	if err != nil || len(in.Notes) > 0 || c.NeuronDropout != 0.1 || c.RankDropout != 0.2 || !c.RankDropoutBySample || c.ModuleDropout != 0.3 ||
		c.DownLRWeight != "cosine+.1" || len(c.BlockDims) != 25 || c.LoRAPlus != 16 {
		t.Errorf("%s, notes %q, %v", c.Name(), in.Notes, err)
	}
	in, err = parseImport([]byte("network_module = \"lycoris.kohya\"\n" + args + ", \"down_lr_weight=cosine\"]"))
	c = in.Config
	if err != nil || c.NeuronDropout != 0 || c.RankDropout != 0.2 || c.RankDropoutBySample || c.ModuleDropout != 0.3 || c.LoRAPlus != 16 ||
		c.DownLRWeight != "" || len(in.Notes) != 2 {
		t.Errorf("%s, notes %q, %v", c.Name(), in.Notes, err)
	}
	in, err = parseImport([]byte("network_module = \"lycoris.kohya\"\nnetwork_args = [\"algo=lokr\", \"use_scalar=True\", \"unbalanced_factorization=True\", \"bypass_mode=True\"]"))
	if c = in.Config; err != nil || !c.UseScalar || !c.UnbalancedFactorization || len(in.Notes) != 1 || !strings.Contains(in.Notes[0], "bypass_mode") {
		t.Errorf("%s, notes %q, %v", c.Name(), in.Notes, err)
	}
	in, err = parseImport([]byte(`{"LoRA_type": "Standard", "stop_text_encoder_training": 30, "max_train_steps": 500}`)) // percent
	if c = in.Config; err != nil || c.TextStop != 150 || len(in.Notes) != 1 {
		t.Errorf("%s, notes %q, %v", c.Name(), in.Notes, err)
	}
	in, err = parseImport([]byte(`{"LoRA_type": "Standard", "up_lr_weight": "sine", "mid_lr_weight": "", "rank_dropout": 0.1, "network_dropout": 0.2, "loraplus_unet_lr_ratio": 4,
		"block_lr_zero_threshold": "0.05"}`))
	c = in.Config
	if err != nil || c.UpLRWeight != "sine" || !c.RankDropoutBySample || c.NeuronDropout != 0.2 || c.LoRAPlusUNet != 4 || c.BlockLRZeroThreshold != 0.05 || len(in.Notes) > 0 {
		t.Errorf("%s, notes %q, %v", c.Name(), in.Notes, err)
	}
}

func TestImportGUI(t *testing.T) {
	in, err := parseImport([]byte(`{"LoRA_type": "LyCORIS/LoHa", "LyCORIS_preset": "full", "network_dim": 4, "network_alpha": 2, "conv_dim": 2,
		"conv_alpha": "1", "learning_rate": "1e-4", "max_train_steps": "2000", "lr_warmup": 10, "lr_scheduler": "constant_with_warmup",
		"max_resolution": "512,512", "optimizer": "Lion", "optimizer_args": "weight_decay=0.05", "seed": "7", "epoch": 0, "unet_lr": "0",
		"noise_offset_type": "Original", "noise_offset": 0.05, "multires_noise_iterations": 6, "save_precision": "float", "sdxl": false,
		"hunyuan_vae_chunk_size": 16, "flux1_checkbox": false, "module_dropout": 0.1, "unit": 1,
		"additional_parameters": "--min_snr_gamma=5 --debiased_estimation_loss --huber_c 0.2 --no_such_option 3"}`))
	if err != nil {
		t.Fatal(err)
	}
	c := in.Config
	if c.Kind != adapter.LoHa || c.Dim != 4 || c.ConvDim != 2 || c.LR != 1e-4 || c.Steps != 2000 || c.Warmup != 200 || c.Optimizer != "Lion" ||
		c.WeightDecay != 0.05 || c.Seed != 7 || c.NoiseOffset != 0.05 || c.PyramidLevels != 0 || c.SaveDType != "fp32" || c.ModuleDropout != 0.1 || c.MinSNRGamma != 5 ||
		!c.Debiased || c.HuberC != 0.2 || len(in.Notes) != 1 || !strings.Contains(in.Notes[0], "no_such_option is not known") {
		t.Errorf("%+v, notes %q", c, in.Notes)
	}
}

func TestImportRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": 1}`:                                "is not a configuration",
		`{"net_dim": "eight"}`:                    "network_dim: eight is not a number",
		`network_dim = [3]`:                       "network_dim",
		`resolution = "512,768,2"`:                "not a width and a height",
		`{"LoRA_type": "Flux1"}`:                  "LoRA_type Flux1 is not handled",
		`{"sdxl": true, "LoRA_type": "Standard"}`: "not for Stable Diffusion 1.x",
		`{"LoRA_type": "Standard", "additional_parameters": "min_snr_gamma 5"}`: "does not begin with --",
		`lr_warmup_steps = -1`:            "lr_warmup_steps",
		`learning_rate = -1`:              "LR",
		`save_precision = [1]`:            "save_precision",
		`network_module = "networks.oft"`: "network_module",
		`= 3`:                             "neither JSON nor TOML",
	} {
		if _, err := parseImport([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := Import(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("a missing file passed")
	}
	path := filepath.Join(t.TempDir(), "a.json")
	if err := os.WriteFile(path, []byte(easyScriptsJSON), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(path); err != nil {
		t.Error(err)
	}
}

func FuzzImport(f *testing.F) {
	f.Add([]byte(easyScriptsJSON))
	f.Add([]byte("[a]\nnetwork_module = \"lycoris.kohya\"\nnetwork_args = [\"algo=loha\", \"conv_dim=4\"]\nresolution = [512, 512]"))
	f.Add([]byte(`{"LoRA_type": "LyCORIS/LoKr", "factor": -1, "lr_warmup": "10"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if in, err := parseImport(data); err == nil && in.Config.Check() != nil {
			t.Error("a configuration that does not pass Check")
		}
	})
}

// The header of a file gives back the configuration: exactly from this package's own key, and as far as they go from the trainers' keys.
func TestImportHeader(t *testing.T) {
	in, err := ImportHeader(map[string]string{"ss_network_module": "lycoris.kohya", "ss_network_dim": "8", "ss_network_alpha": "1.0",
		"ss_network_args":  `{"conv_dim": "4", "conv_alpha": "1", "algo": "loha", "use_tucker": "True", "preset": "full"}`,
		"ss_learning_rate": "0.0002", "ss_unet_lr": "None", "ss_text_encoder_lr": "None", "ss_lr_scheduler": "constant", "ss_max_train_steps": "6000",
		"ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))", "ss_seed": "23", "ss_clip_skip": "1",
		"ss_max_token_length": "150", "ss_batch_size_per_device": "8", "ss_resolution": "(512, 512)", "ss_flip_aug": "False",
		"ss_enable_bucket": "True", "ss_sd_model_hash": "89d59c3d", "ss_min_snr_gamma": "None"})
	if err != nil {
		t.Fatal(err)
	}
	if got := in.Config.Name(); got != "default" {
		t.Errorf("the card's default run reads as %q", got)
	}
	if len(in.Notes) != 0 {
		t.Errorf("notes %q", in.Notes)
	}
}
