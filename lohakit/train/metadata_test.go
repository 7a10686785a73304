package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/sd"
)

// headerKeys are what kohya's trainer writes (train_network.py at 48d368fa) for folders in its own form, besides the autoencoder's.
const headerKeys = `session_id training_started_at training_finished_at output_name learning_rate text_encoder_lr unet_lr num_train_images
	num_validation_images num_reg_images num_batches_per_epoch num_epochs epoch steps gradient_checkpointing gradient_accumulation_steps
	max_train_steps lr_warmup_steps lr_scheduler network_module network_dim network_alpha network_dropout network_args mixed_precision full_fp16
	v2 base_model_version clip_skip max_token_length cache_latents seed lowram noise_offset multires_noise_iterations multires_noise_discount
	adaptive_noise_scale zero_terminal_snr training_comment sd_scripts_commit_hash optimizer max_grad_norm caption_dropout_rate
	caption_dropout_every_n_epochs caption_tag_dropout_rate face_crop_aug_range prior_loss_weight min_snr_gamma scale_weight_norms ip_noise_gamma
	ip_noise_gamma_random_strength noise_offset_random_strength debiased_estimation loss_type huber_schedule huber_c huber_scale fp8_base
	fp8_base_unet validation_seed validation_split max_validation_steps validate_every_n_epochs validate_every_n_steps resize_interpolation
	sd_model_name sd_model_hash new_sd_model_hash batch_size_per_device total_batch_size resolution color_aug flip_aug random_crop shuffle_caption
	enable_bucket bucket_no_upscale min_bucket_reso max_bucket_reso keep_tokens bucket_info tag_frequency dataset_dirs reg_dataset_dirs`

// saveRun trains nothing, saves, and returns the file and its header.
func saveRun(t *testing.T, r *Run) (path string, header map[string]string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tilty.safetensors")
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return path, f.Metadata
}

// The header of a saved file has every key the trainers write, and what can be computed again from the files gives the same.
func TestHeader(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base.safetensors")
	if err := tinyModel(t).Save(base, checkpoint.F32); err != nil {
		t.Fatal(err)
	}
	vae := filepath.Join(t.TempDir(), "better.vae.safetensors")
	if err := tinyModel(t).Save(vae, checkpoint.F16); err != nil {
		t.Fatal(err)
	}
	model, err := sd.OpenWithVAE(base, vae)
	if err != nil {
		t.Fatal(err)
	}
	cfg := tinyConfig()
	cfg.NoBuckets, cfg.GradAccumulation = false, 2
	data, err := dataset.Load("testdata/images", dataset.Options{Regularization: "testdata/images"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(model, data, cfg)
	if err != nil {
		t.Fatal(err)
	}
	path, header := saveRun(t, r)
	for _, key := range strings.Fields(headerKeys) {
		if _, ok := header["ss_"+key]; !ok {
			t.Errorf("ss_%s is missing", key)
		}
	}
	for _, key := range []string{"sai_model_spec", "architecture", "implementation", "title", "resolution", "date", "prediction_type", "encoder_layer"} {
		if header["modelspec."+key] == "" {
			t.Errorf("modelspec.%s is missing", key)
		}
	}
	for key, want := range map[string]string{"ss_network_module": "lycoris.kohya", "ss_network_dim": "8", "ss_network_alpha": "1", "ss_output_name": "tilty",
		"ss_v2": "False", "ss_resolution": "(32, 32)", "ss_num_train_images": "8", "ss_num_reg_images": "8", "ss_total_batch_size": "4",
		"ss_noise_offset": "None", "ss_flip_aug": "False", "ss_enable_bucket": "True", "ss_sd_model_name": "base.safetensors",
		"ss_optimizer": "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))"} {
		if header[key] != want {
			t.Errorf("%s is %q, want %q", key, header[key], want)
		}
	}

	// The tags, counted in the caption files; two folders are there twice, as training and as regularization images.
	counts := map[string]map[string]int{"1_stripe": {"stripe": 2}, "2_square": {}}
	texts, _ := filepath.Glob("testdata/images/2_square/*.txt")
	for _, text := range texts {
		content, err := os.ReadFile(text)
		if err != nil {
			t.Fatal(err)
		}
		for tag := range strings.SplitSeq(string(content), ",") {
			counts["2_square"][strings.TrimSpace(tag)]++
		}
	}
	for _, folder := range counts {
		for tag := range folder {
			folder[tag] *= 2
		}
	}
	var frequency map[string]map[string]int
	if err := json.Unmarshal([]byte(header["ss_tag_frequency"]), &frequency); err != nil || !reflect.DeepEqual(frequency, counts) {
		t.Errorf("tags %v, in the files %v (%v)", frequency, counts, err)
	}

	// The buckets: what the first epoch draws, of each size.
	var info struct {
		Buckets map[string]struct {
			Resolution [2]int
			Count      int
		}
		Error float64 `json:"mean_img_ar_error"`
	}
	if err := json.Unmarshal([]byte(header["ss_bucket_info"]), &info); err != nil {
		t.Fatal(err)
	}
	drawn, off := map[[2]int]int{}, 0.0
	for _, b := range r.Data.Epoch(1) {
		drawn[[2]int{b.Size.W, b.Size.H}] += len(b.Items)
	}
	for _, item := range r.Data.Items {
		d := float64(item.Bucket.W)/float64(item.Bucket.H) - float64(item.Size.W)/float64(item.Size.H)
		off += max(d, -d) / float64(len(r.Data.Items))
	}
	told := map[[2]int]int{}
	for _, b := range info.Buckets {
		told[b.Resolution] = b.Count
	}
	if !maps.Equal(drawn, told) || len(told) < 2 || info.Error < off-1e-12 || info.Error > off+1e-12 {
		t.Errorf("buckets %v, error %v; drawn %v, error %v", told, info.Error, drawn, off)
	}

	// The hashes, of the base model's and the autoencoder's files and of this file's tensors.
	for of, path := range map[string]string{"sd_model": base, "vae": vae} {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(whole)
		window := sha256.Sum256(whole[min(len(whole), 0x100000):min(len(whole), 0x110000)])
		if header["ss_new_"+of+"_hash"] != hex.EncodeToString(sum[:]) || header["ss_"+of+"_hash"] != hex.EncodeToString(window[:])[:8] {
			t.Errorf("hashes of %s: %s and %s", of, header["ss_new_"+of+"_hash"], header["ss_"+of+"_hash"])
		}
	}
	if in, err := ImportHeader(header); err != nil || in.BaseModel != "base.safetensors" || in.VAE != "better.vae.safetensors" {
		t.Errorf("read back as %s and %s, %v", in.BaseModel, in.VAE, err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file[8+binary.LittleEndian.Uint64(file):])
	if header["sshs_model_hash"] != hex.EncodeToString(sum[:]) || len(header["sshs_legacy_hash"]) != 8 {
		t.Errorf("hashes %s and %s", header["sshs_model_hash"], header["sshs_legacy_hash"])
	}
}

// A file gives back how it was trained: exactly by this package's own key, and by the trainers' keys all that those hold.
func TestHeaderReadsBack(t *testing.T) {
	cfg := tinyConfig()
	cfg.Rules = nil
	cfg.Kind, cfg.Alpha, cfg.ConvAlpha, cfg.ModuleDropout = adapter.LoCon, 2, 3, 0.1
	cfg.Optimizer, cfg.Beta1, cfg.Scheduler, cfg.Warmup, cfg.TextLR = "Lion", 0.8, "cosine", 3, 1e-4
	cfg.NoBuckets, cfg.Flip, cfg.Shuffle, cfg.KeepTokens, cfg.NoiseOffset, cfg.MinSNRGamma = false, true, true, 1, 0.05, 5
	cfg.Dropout, cfg.TagDropout, cfg.ClipSkip, cfg.Seed, cfg.GradAccumulation, cfg.Validation = 0.1, 0.2, 1, 77, 2, 0.1
	path, header := saveRun(t, tinyRun(t, cfg))
	in, err := Import(path)
	if err != nil || !reflect.DeepEqual(in.Config, cfg) {
		t.Errorf("%v\ngot  %s\nwant %s", err, in.Config.Name(), cfg.Name())
	}
	delete(header, "lohakit.config")
	if in, err = ImportHeader(header); err != nil {
		t.Fatal(err)
	}
	want := cfg
	want.UNetLR, want.MinBucket, want.MaxBucket, want.OutputName = cfg.LR, 20, 60, "tilty" // which the header writes out
	if got := in.Config.Name(); got != want.Name() {
		t.Errorf("got  %s\nwant %s", got, want.Name())
	}
	if len(in.Notes) != 0 {
		t.Errorf("notes %q", in.Notes)
	}
	header["ss_face_crop_aug_range"], header["ss_from_the_future"] = "1.0,2.0", "7"
	if in, err = ImportHeader(header); err != nil || len(in.Notes) != 2 {
		t.Errorf("what has no effect or is unknown: %q, %v", in.Notes, err)
	}
	if _, err := ImportHeader(map[string]string{"format": "pt"}); err == nil {
		t.Error("a header that tells nothing passed")
	}
}

// A dataset file is described in one list, as the trainers do.
func TestHeaderOfDatasetFile(t *testing.T) {
	folder, err := filepath.Abs("testdata/images")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "set.toml")
	text := "[[datasets]]\nresolution = [48, 32]\nbatch_size = 3\nbucket_reso_steps = 16\nmin_bucket_reso = 16\n[[datasets.subsets]]\nimage_dir = '" + folder + "/2_square'\nnum_repeats = 4\n" +
		"caption_extension = '.txt'\nkeep_tokens = 2\nshuffle_caption = true\ncaption_prefix = 'a'\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	data, err := dataset.LoadTOML(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(tinyModel(t), data, tinyConfig())
	if err != nil {
		t.Fatal(err)
	}
	_, header := saveRun(t, r)
	var sets []struct {
		Batch      int    `json:"batch_size_per_device"`
		Resolution [2]int `json:"resolution"`
		Subsets    []struct {
			Images  int    `json:"img_count"`
			Repeats int    `json:"num_repeats"`
			Folder  string `json:"image_dir"`
		}
	}
	if err := json.Unmarshal([]byte(header["ss_datasets"]), &sets); err != nil || len(sets) != 1 || sets[0].Batch != 3 || sets[0].Resolution != [2]int{48, 32} ||
		len(sets[0].Subsets) != 1 || sets[0].Subsets[0].Images != 3 || sets[0].Subsets[0].Repeats != 4 || sets[0].Subsets[0].Folder != "2_square" {
		t.Errorf("%s (%v)", header["ss_datasets"], err)
	}
	if _, flat := header["ss_resolution"]; flat {
		t.Error("the keys for folders are there too")
	}
	delete(header, "lohakit.config")
	in, err := ImportHeader(header)
	if c := in.Config; err != nil || c.BatchSize != 3 || c.Resolution != 48 || c.Height != 32 || !c.NoBuckets || c.KeepTokens != 2 || !c.Shuffle ||
		c.Prefix != "a" {
		t.Errorf("read back %s, %v", c.Name(), err)
	}
	if slices.Contains(strings.Fields(in.Config.Name()), "Flip") {
		t.Error("flipping is on")
	}
}
