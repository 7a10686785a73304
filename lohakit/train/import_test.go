package train

import (
	"os"
	"path/filepath"
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
	want.OutputDir, want.MinBucket, want.MaxBucket, want.Epochs = "out", 320, 960, in.Config.Epochs
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

func TestImportKohya(t *testing.T) {
	in, err := parseImport([]byte(`
[model]
pretrained_model_name_or_path = "base.safetensors"
[network]
network_module = "lycoris.kohya"
network_dim = 16
network_alpha = 8
network_args = ["conv_dim=8", "algo=locon", "preset=attn-mlp", "use_tucker=True", "unknown=1"]
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
		c.Resolution != 768 || c.MinSNRGamma != 5 || c.TextLR != 0.5 || c.Warmup != 100 {
		t.Errorf("%+v", c)
	}
	if len(in.Notes) != 1 || !strings.Contains(in.Notes[0], "unknown") {
		t.Errorf("notes %q", in.Notes)
	}
}

func TestImportGUI(t *testing.T) {
	in, err := parseImport([]byte(`{"LoRA_type": "LyCORIS/LoHa", "LyCORIS_preset": "full", "network_dim": 4, "network_alpha": 2, "conv_dim": 2,
		"conv_alpha": "1", "learning_rate": "1e-4", "max_train_steps": "2000", "lr_warmup": 10, "lr_scheduler": "constant_with_warmup",
		"max_resolution": "512,512", "optimizer": "Lion", "optimizer_args": "weight_decay=0.05", "seed": "7", "epoch": 0, "unet_lr": "0",
		"noise_offset_type": "Original", "noise_offset": 0.05, "multires_noise_iterations": 6, "save_precision": "float"}`))
	if err != nil {
		t.Fatal(err)
	}
	c := in.Config
	if c.Kind != adapter.LoHa || c.Dim != 4 || c.ConvDim != 2 || c.LR != 1e-4 || c.Steps != 2000 || c.Warmup != 200 || c.Optimizer != "Lion" ||
		c.WeightDecay != 0.05 || c.Seed != 7 || c.NoiseOffset != 0.05 || c.PyramidLevels != 0 || c.SaveDType != "fp32" || len(in.Notes) != 0 {
		t.Errorf("%+v, notes %q", c, in.Notes)
	}
}

func TestImportRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": 1}`:                        "is not a configuration",
		`{"net_dim": "eight"}`:            "network_dim: eight is not a number",
		`network_dim = [3]`:               "network_dim",
		`resolution = "512,768"`:          "not square",
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
