package adapter

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

func tensor(name string, shape ...int) checkpoint.Tensor {
	values := make([]float32, product(shape))
	for i := range values {
		values[i] = float32(i%7) * 0.25
	}
	t, err := checkpoint.FromFloats(name, checkpoint.F16, shape, values)
	if err != nil {
		panic(err)
	}
	return t
}

func written(t testing.TB, list ...checkpoint.Tensor) string {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := checkpoint.Write(path, list, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadNames(t *testing.T) {
	want := "lora_te_text_model_encoder_layers_0_mlp_fc2"
	for _, name := range []string{want, "lora_te_encoder_layers_0_mlp_fc2", "lora_te_text_model_text_model_encoder_layers_0_mlp_fc2"} {
		a, err := Load(written(t, tensor(name+".lora_up.weight", 8, 2), tensor(name+".lora_down.weight", 2, 16)))
		if err != nil {
			t.Fatal(err)
		}
		if a.Names()[0] != want || a.modules[want].alpha != 2 {
			t.Errorf("%s: loaded as %v, alpha %v; a missing alpha means dim", name, a.Names(), a.modules[want].alpha)
		}
		if err := a.Match(tiny(t)); err != nil {
			t.Error(err)
		}
	}
}

// The names that diffusers and PEFT have given layers of LoRA, and where they keep alpha.
func TestLoadPEFTNames(t *testing.T) {
	const unet, text = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_", "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
	const module = "mid_block.attentions.0.transformer_blocks.0.attn1."
	for _, c := range []struct{ down, up, want string }{
		{"unet." + module + "to_q.lora_A.weight", "unet." + module + "to_q.lora_B.weight", unet + "q"},
		{"unet." + module + "to_q.lora.down.weight", "unet." + module + "to_q.lora.up.weight", unet + "q"},
		{"unet." + module + "processor.to_out_lora.down.weight", "unet." + module + "processor.to_out_lora.up.weight", unet + "out_0"},
		{module + "processor.to_k_lora.down.weight", module + "processor.to_k_lora.up.weight", unet + "k"},
		{"base_model.model." + module + "to_out.0.lora_A.weight", "base_model.model." + module + "to_out.0.lora_B.weight", unet + "out_0"},
		{"text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight",
			"text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.up.weight", text},
		{"base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight", "base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_B.weight", text},
		{"lycoris_" + strings.TrimPrefix(unet, "lora_unet_") + "q.lora_down.weight", "lycoris_" + strings.TrimPrefix(unet, "lora_unet_") + "q.lora_up.weight", unet + "q"},
	} {
		a, err := Load(written(t, tensor(c.down, 4, 8), tensor(c.up, 8, 4)))
		if err != nil {
			t.Errorf("%s: %v", c.down, err)
		} else if a.Names()[0] != c.want || a.modules[c.want].scale(4) != 1 {
			t.Errorf("%s: loaded as %v at scale %v, want %s at 1", c.down, a.Names(), a.modules[a.Names()[0]].scale(4), c.want)
		}
	}

	// PEFT's folder: alpha beside the file, another for some modules, and DoRA's lengths without their further axes.
	first := strings.Replace(module, "mid_block", "down_blocks.0", 1)
	list := []checkpoint.Tensor{tensor("base_model.model."+first+"to_q.lora_A.weight", 4, 8), tensor("base_model.model."+first+"to_q.lora_B.weight", 8, 4),
		tensor("base_model.model."+first+"to_q.lora_magnitude_vector.weight", 8),
		tensor("base_model.model.conv_in.lora_A.weight", 4, 4, 3, 3), tensor("base_model.model.conv_in.lora_B.weight", 8, 4, 1, 1),
		tensor("base_model.model.conv_in.lora_magnitude_vector", 1, 8, 1, 1)}
	path := written(t, list...)
	config := `{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "use_rslora": true, "alpha_pattern": {"conv_in": 2, "conv_.*": 16, "conv_i.": 32}}`
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "adapter_config.json"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	linear, conv := a.modules["lora_unet_"+strings.ReplaceAll(first, ".", "_")+"to_q"], a.modules["lora_unet_conv_in"]
	if linear.scale(4) != 4 || conv.scale(4) != 1 { // alpha/√r
		t.Errorf("scales %v and %v, want 4 and 1", linear.scale(4), conv.scale(4))
	}
	if err := a.Match(tiny(t)); err != nil {
		t.Error(err)
	}
}

// Embeddings bundled as LyCORIS' script does it are read beside the layers, and saved again byte for byte.
func TestBundledEmbeddings(t *testing.T) {
	path := written(t, tensor("lora_unet_conv_in.lora_up.weight", 8, 2, 1, 1), tensor("lora_unet_conv_in.lora_down.weight", 2, 4, 3, 3),
		tensor("bundle_emb.tilty.string_to_param.*", 3, 8), tensor("bundle_emb.<hat>.emb_params", 8))
	a, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, e := range a.Embeddings {
		found[e.Name] = e.Vectors()
	}
	if len(a.Names()) != 1 || !maps.Equal(found, map[string]int{"tilty": 3, "<hat>": 1}) {
		t.Fatalf("layers %v, embeddings %v", a.Names(), found)
	}
	once, twice := filepath.Join(t.TempDir(), "once.safetensors"), filepath.Join(t.TempDir(), "twice.safetensors")
	if err := a.Save(once, nil); err != nil {
		t.Fatal(err)
	}
	if a, err = Load(once); err != nil {
		t.Fatal(err)
	}
	if err := a.Save(twice, a.Metadata); err != nil {
		t.Fatal(err)
	}
	first, _ := os.ReadFile(once)
	second, _ := os.ReadFile(twice)
	if len(a.Embeddings) != 2 || !bytes.Equal(first, second) {
		t.Errorf("%d embeddings, %d and %d bytes", len(a.Embeddings), len(first), len(second))
	}
	_, err = Load(written(t, tensor("bundle_emb.tilty.clip_g", 1, 8)))
	if !fault.Is(err, fault.Unsupported) {
		t.Errorf("another form: %v", err)
	}
}

func TestLoadFaults(t *testing.T) {
	up, down := tensor("lora_unet_conv_in.lora_up.weight", 8, 2, 1, 1), tensor("lora_unet_conv_in.lora_down.weight", 2, 4, 3, 3)
	nan, _ := checkpoint.FromFloats("lora_unet_conv_in.lora_up.weight", checkpoint.F32, []int{1}, []float32{float32(math.NaN())})
	for _, c := range []struct {
		name string
		list []checkpoint.Tensor
		kind fault.Kind
		text string
	}{
		{"model", []checkpoint.Tensor{tensor("model.diffusion_model.out.2.bias", 4)}, fault.Unsupported, "model.diffusion_model.out.2.bias"},
		{"sdxl", []checkpoint.Tensor{tensor("lora_te1_text_model_x.lora_up.weight", 2, 2)}, fault.Unsupported, "SDXL"},
		{"kind", []checkpoint.Tensor{tensor("lora_unet_conv_in.oft_blocks", 2, 2)}, fault.Unsupported, "oft_blocks"},
		{"half", []checkpoint.Tensor{up}, fault.Corrupt, "lora_down.weight"},
		{"core", []checkpoint.Tensor{tensor("lora_unet_conv_in.hada_t1", 1, 1, 3, 3), tensor("lora_unet_conv_in.hada_w1_a", 1, 8)},
			fault.Corrupt, "lacks"},
		{"nan", []checkpoint.Tensor{nan, down}, fault.Numeric, "lora_up.weight"},
		{"two kinds", []checkpoint.Tensor{up, down, tensor("lora_unet_conv_in.hada_w1_a", 8, 2)}, fault.Corrupt, "two kinds"},
		{"empty", nil, fault.Unsupported, "adapter"},
		{"alpha", []checkpoint.Tensor{up, down, tensor("lora_unet_conv_in.alpha", 2)}, fault.Corrupt, "alpha"},
		{"scalar", []checkpoint.Tensor{tensor("lora_unet_conv_in.lora_up.weight"), down}, fault.Corrupt, "shape"},
		{"a tensor twice", []checkpoint.Tensor{tensor("lora_te_text_model_x.lora_up.weight", 2, 2), tensor("lora_te_text_model_text_model_x.lora_up.weight", 2, 2),
			tensor("lora_te_text_model_x.lora_down.weight", 2, 2)}, fault.Corrupt, "lora_te_text_model_text_model_x.lora_up.weight"},
		{"alpha twice", []checkpoint.Tensor{up, down, tensor("lora_unet_conv_in.alpha"), tensor("unet.conv_in.alpha")}, fault.Corrupt, "unet.conv_in.alpha"},
		{"an embedding twice", []checkpoint.Tensor{up, down, tensor("bundle_emb.tilty.emb_params", 8), tensor("bundle_emb.tilty.string_to_param.*", 8)},
			fault.Corrupt, "bundle_emb.tilty.emb_params"},
	} {
		_, err := Load(written(t, c.list...))
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want kind %v with %q", c.name, err, c.kind, c.text)
		}
	}
}

// Programs keep alpha and on_input as integers or truth values too, and in any order.
func TestLoadWholeNumbers(t *testing.T) {
	whole := func(name string, d checkpoint.DType, data ...byte) checkpoint.Tensor {
		return checkpoint.Tensor{Name: name, DType: d, Data: data}
	}
	up, down := tensor("lora_unet_conv_in.lora_up.weight", 8, 2, 1, 1), tensor("lora_unet_conv_in.lora_down.weight", 2, 4, 3, 3)
	for _, c := range []struct {
		alpha checkpoint.Tensor
		want  float64
	}{
		{whole("lora_unet_conv_in.alpha", checkpoint.I64, 0x2c, 1, 0, 0, 0, 0, 0, 0), 300},
		{whole("lora_unet_conv_in.alpha", checkpoint.I64, 0, 1, 0, 0, 0, 0, 0, 0), 256},
		{whole("lora_unet_conv_in.alpha", checkpoint.I32, 0xff, 0xff, 0xff, 0xff), -1},
		{whole("lora_unet_conv_in.alpha", checkpoint.U8, 200), 200},
	} {
		a, err := Load(written(t, up, down, c.alpha))
		if err != nil {
			t.Errorf("%v: %v", c.alpha, err)
		} else if got := a.modules["lora_unet_conv_in"].alpha; got != c.want {
			t.Errorf("alpha kept as %v is read as %v, want %v", c.alpha.DType, got, c.want)
		}
	}
	for _, d := range []checkpoint.DType{checkpoint.Bool, checkpoint.I64} { // which stand behind and before alpha in the file
		on := make([]byte, d.Bits()/8)
		on[0] = 1
		a, err := Load(written(t, tensor("lora_te_x.weight", 2), whole("lora_te_x.on_input", d, on...), tensor("lora_te_x.alpha")))
		if err != nil || !a.modules[a.Names()[0]].on {
			t.Errorf("on_input kept as %v is not read: %v", d, err)
		}
	}
}

// A file of several types is saved again as one that holds all their values.
func TestLoadMixedTypes(t *testing.T) {
	for _, c := range []struct{ up, down, want checkpoint.DType }{
		{checkpoint.F32, checkpoint.F16, checkpoint.F32}, {checkpoint.BF16, checkpoint.F16, checkpoint.F32},
		{checkpoint.BF16, checkpoint.BF16, checkpoint.BF16}, {checkpoint.F64, checkpoint.F64, checkpoint.F32},
	} {
		up, _ := checkpoint.FromFloats("lora_unet_conv_in.lora_up.weight", c.up, []int{8, 1}, []float32{1, 2, 3, 4, 5, 6, 7, 1e-7})
		down, _ := checkpoint.FromFloats("lora_unet_conv_in.lora_down.weight", c.down, []int{1, 1}, []float32{1})
		a, err := Load(written(t, up, down))
		if err != nil || a.Precision != c.want {
			t.Errorf("%v and %v: %v, %v", c.up, c.down, a.Precision, err)
		}
	}
}

func TestMatchFaults(t *testing.T) {
	m := tiny(t)
	a, err := Load(written(t, tensor("lora_unet_conv_inn.lora_up.weight", 8, 2), tensor("lora_unet_conv_inn.lora_down.weight", 2, 36)))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Match(m); !fault.Is(err, fault.NotExist) || !strings.Contains(err.Error(), "nearest: lora_unet_conv_in,") {
		t.Errorf("unknown layer: %v", err)
	}
	a, err = Load(written(t, tensor("lora_unet_conv_in.lora_up.weight", 9, 2), tensor("lora_unet_conv_in.lora_down.weight", 2, 36)))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Match(m); !fault.Is(err, fault.Invalid) {
		t.Errorf("wrong shape: %v", err)
	}
	b, err := Load(written(t, tensor("lora_unet_conv_in.lora_up.weight", 8, 2), tensor("lora_unet_conv_in.lora_down.weight", 2, 36),
		tensor("lora_unet_conv_in.dora_scale", 3, 1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Match(m); !fault.Is(err, fault.Invalid) {
		t.Errorf("wrong shape of dora_scale: %v", err)
	}
	if err := a.Merge(m, 1, 1); !fault.Is(err, fault.Invalid) {
		t.Errorf("merging a wrong shape: %v", err)
	}
}

// Tensors that do not make the layer's shape are told by Match, before a graph is built of them, and Product has none for them.
func TestMatchOddShapes(t *testing.T) {
	m := tiny(t)
	const conv, linear = "lora_unet_conv_in.", "lora_te_text_model_encoder_layers_0_mlp_fc2." // [8 4 3 3] and [8 16]
	layer := func(name string, shapes map[string][]int) (list []checkpoint.Tensor) {
		for suffix, shape := range shapes {
			list = append(list, tensor(name+suffix, shape...))
		}
		return list
	}
	for what, list := range map[string][]checkpoint.Tensor{
		"LoHa with more rows": layer(linear, map[string][]int{"hada_w1_a": {8, 1, 3}, "hada_w1_b": {1, 16}, "hada_w2_a": {8, 1}, "hada_w2_b": {1, 16}}),
		"LoHa of four axes":   layer(conv, map[string][]int{"hada_w1_a": {8, 1}, "hada_w1_b": {1, 4, 3, 3}, "hada_w2_a": {8, 1}, "hada_w2_b": {1, 36}}),
		"core of a linear layer": layer(linear, map[string][]int{"lora_up.weight": {8, 2}, "lora_down.weight": {2, 16},
			"lora_mid.weight": {2, 2}}),
		"LoKr with a third axis": layer(linear, map[string][]int{"lokr_w1": {2, 2, 3}, "lokr_w2": {4, 8}}),
		"LoKr of wrong factors":  layer(linear, map[string][]int{"lokr_w1": {2, 2}, "lokr_w2_a": {4, 1, 2}, "lokr_w2_b": {1, 8}}),
		"bias":                   layer(linear, map[string][]int{"diff": {8, 16}, "diff_b": {16}}),
		"two lengths": layer(linear, map[string][]int{"lora_up.weight": {8, 2}, "lora_down.weight": {2, 16},
			"dora_scale": {8, 16}}),
		"lengths of a full difference": layer(linear, map[string][]int{"diff": {8, 16}, "dora_scale": {9}}),
		"lengths of a normalisation":   layer("lora_unet_mid_block_attentions_0_norm.", map[string][]int{"w_norm": {12}, "dora_scale": {12}}),
		"offsets":                      layer("lora_unet_mid_block_attentions_0_norm.", map[string][]int{"w_norm": {12}, "b_norm": {8}}),
	} {
		a, err := Load(written(t, list...))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if err := a.Match(m); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
		shape := map[string][]int{conv: {8, 4, 3, 3}, linear: {8, 16}}[a.Names()[0]+"."]
		if _, err := a.Product(a.Names()[0], shape); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: a product, %v", what, err)
		}
	}
}

// A file may change layers that no preset does; they are trained like others.
func TestGroupsOfUnusualLayers(t *testing.T) {
	m := tiny(t)
	a, err := Load(written(t, tensor("lora_unet_conv_norm_out.w_norm", 8), tensor("lora_unet_conv_norm_out.b_norm", 8),
		tensor("lora_te_text_model_embeddings_token_embedding.lora_up.weight", 12, 1), tensor("lora_te_text_model_embeddings_token_embedding.lora_down.weight", 1, 8)))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Match(m); err != nil {
		t.Fatal(err)
	}
	groups := a.Groups(m.Config, nil)
	if len(groups) != 2 || groups[0].Part != checkpoint.Text || len(groups[0].Suffixes) != 2 || groups[1].Part != checkpoint.UNet || len(groups[1].Suffixes) != 2 {
		t.Errorf("%+v", groups)
	}
}

func TestSaveFaults(t *testing.T) {
	a, err := build(few, Spec{Kind: LoCon, Dim: 1}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	name := a.Params.Names()[0]
	path := filepath.Join(t.TempDir(), "a.safetensors")
	for value, want := range map[float32]string{float32(math.NaN()): "NaN", float32(math.Inf(1)): "Inf", 70000: "BF16"} {
		v := make([]float32, product(a.Params.Shape(name)))
		v[len(v)-1] = value
		a.Params.Set(name, tensors.FromFlatDataAndDimensions(v, a.Params.Shape(name)...))
		if err := a.Save(path, nil); !fault.Is(err, fault.Numeric) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("saving %v: %v", value, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("saving %v left a file", value)
		}
	}
	for _, alpha := range []float64{1e5, 1e-9} { // infinite and 0 as F16, which would be read as dim
		if a, err = build(few, Spec{Kind: LoCon, Dim: 1, Alpha: alpha}, 1, nil); err != nil {
			t.Fatal(err)
		}
		if err := a.Save(path, nil); !fault.Is(err, fault.Numeric) || !strings.Contains(err.Error(), "alpha") {
			t.Errorf("saving the alpha %v: %v", alpha, err)
		}
		a.Precision = checkpoint.BF16
		if err := a.Save(path, nil); err != nil {
			t.Errorf("saving the alpha %v as BF16: %v", alpha, err)
		}
	}
}

// The hash in the metadata is that of the file's bytes after the header, which is how web UIs compute it.
func TestContentHash(t *testing.T) {
	a, err := build(few, Default(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := a.Save(path, map[string]string{"sshs_model_hash": "stale"}); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file[8+binary.LittleEndian.Uint64(file):])
	if got := b.Metadata["sshs_model_hash"]; got != hex.EncodeToString(sum[:]) {
		t.Errorf("hash %s, the file's is %x", got, sum)
	}
}

// The older hash is that of 64 KiB at 1 MiB of the file written with only the ss_ keys, whatever else is in the header.
func TestLegacyHash(t *testing.T) {
	a, err := build(few, Spec{Kind: LoCon, Dim: 16384, Preset: "attn-mlp"}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	path, bare := filepath.Join(folder, "a.safetensors"), filepath.Join(folder, "bare.safetensors")
	if err := a.Save(path, map[string]string{"ss_steps": "12", "modelspec.title": "a title that lengthens the header", "lohakit.config": "{}"}); err != nil {
		t.Fatal(err)
	}
	b, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	lasting := map[string]string{}
	for key, value := range b.Metadata {
		if strings.HasPrefix(key, "ss_") {
			lasting[key] = value
		}
	}
	list, err := a.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Write(bare, list, lasting); err != nil {
		t.Fatal(err)
	}
	want, _, err := checkpoint.Hashes(bare)
	if err != nil || want == "e3b0c442" { // of nothing
		t.Fatal(want, err)
	}
	if got := b.Metadata["sshs_legacy_hash"]; got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
}

func TestSpecFaults(t *testing.T) {
	for field, change := range map[string]func(*Spec){
		"Kind":        func(s *Spec) { s.Kind = "lofa" },
		"Dim":         func(s *Spec) { s.Dim = 0 },
		"Alpha":       func(s *Spec) { s.Alpha = -1 },
		"ConvAlpha":   func(s *Spec) { s.ConvAlpha = math.NaN() },
		"RankDropout": func(s *Spec) { s.RankDropout = 1 },
		"Preset":      func(s *Spec) { s.Preset = "everything" },
		"Init":        func(s *Spec) { s.Init = "zero" },
		"Compat":      func(s *Spec) { s.Compat = "a1111" },
		"DoRA":        func(s *Spec) { s.Kind, s.DoRA = IA3, true },
		"Rules":       func(s *Spec) { s.Rules = []Rule{{Match: "["}} },
	} {
		s := Default()
		change(&s)
		if err := s.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	s := Default()
	s.Rules = []Rule{{Match: "down_blocks.0.resnets.0.konv1", Dim: 2}}
	if _, err := Plan(few, s); !fault.Is(err, fault.NotExist) || !strings.Contains(err.Error(), "nearest: down_blocks.0.resnets.0.conv1") {
		t.Errorf("a rule for no layer: %v", err)
	}
	s.Rules = []Rule{{Match: "*", Skip: true}}
	if _, err := Plan(few, s); !fault.Is(err, fault.Invalid) {
		t.Errorf("nothing to adapt: %v", err)
	}
}

// Trained under the old behaviour, hada_t1 moves and hada_t2 does not; the detector must see that, and nothing in other histories.
func TestUntrainedCores(t *testing.T) {
	layers := Layers(tiny(t).Config)
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		name   string
		t1, t2 bool // which cores training moves
		want   bool
	}{{"new", false, false, false}, {"old trainer", true, false, true}, {"today", true, true, false}} {
		a, err := build(layers, Default(), 9, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range a.Params.Names() {
			if c.t1 && strings.HasSuffix(name, "hada_t1") || c.t2 && strings.HasSuffix(name, "hada_t2") {
				v := floats(t, a.Params.Get(name))
				for i := range v {
					v[i] += float32(rng.NormFloat64() * 0.1)
				}
				a.Params.Set(name, tensors.FromFlatDataAndDimensions(v, a.Params.Shape(name)...))
			}
		}
		r, err := a.DetectUntrainedCores()
		if err != nil || r.Suspect != c.want {
			t.Errorf("%s: %+v, %v", c.name, r, err)
		}
		n, err := a.Repair()
		if err != nil || n != r.Modules || n == 0 {
			t.Errorf("%s: repaired %d of %d, %v", c.name, n, r.Modules, err)
		}
		layer := "lora_unet_conv_in"
		x, y := floats(t, a.Params.Get(layer+".hada_t1")), floats(t, a.Params.Get(layer+".hada_t2"))
		if relative(x, y) != 0 {
			t.Errorf("%s: cores differ after repair", c.name)
		}
	}
}

// Over many draws, rank dropout keeps 1−p of the output channels and module dropout 1−p of the layers, differently in every layer.
func TestDropout(t *testing.T) {
	base := fewWeights()
	spec := Spec{Kind: Full, Dim: 1, RankDropout: 0.25, ModuleDropout: 0.4}
	a, err := build(few[:2], spec, 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	scramble(t, a)
	program := xla.Compile("dropout", func(in []*Node) []*Node {
		own := make([]*Node, a.Params.Len())
		for i := range own {
			own[i] = InsertAxes(in[base.Len()+i], 0)
		}
		w := a.Grouped(a.Groups(sd.SD1Config(), nil), own).Apply(base.Bind(in), NewChance(in[base.Len()+a.Params.Len()], nil, 1))
		var out []*Node
		for _, l := range few[:2] {
			out = append(out, Sub(w.Get(l.Path+".weight"), base.Bind(in).Get(l.Path+".weight")))
		}
		return out
	})
	const draws = 400
	modules, rows, same := 0, 0, 0
	for seed := range draws {
		state, err := RNGStateFromSeed(int64(seed))
		if err != nil {
			t.Fatal(err)
		}
		out, err := program.Run(base.Inputs(), a.Params.Inputs(), state)
		if err != nil {
			t.Fatal(err)
		}
		kept := [2]int{}
		for i, delta := range out {
			v := floats(t, delta)
			width := len(v) / 8
			for row := range 8 {
				if v[row*width] != 0 {
					kept[i]++
				}
			}
			if kept[i] > 0 {
				modules++
				rows += kept[i]
			}
		}
		if kept[0] > 0 == (kept[1] > 0) {
			same++
		}
	}
	keptModules := float64(modules) / (2 * draws)
	keptRows := float64(rows) / float64(8*modules)
	agreement := float64(same) / draws
	if math.Abs(keptModules-0.6) > 0.06 || math.Abs(keptRows-0.75) > 0.04 || math.Abs(agreement-0.52) > 0.09 {
		t.Errorf("kept %.3f of modules (0.6), %.3f of rows (0.75); both layers alike in %.3f (0.52)", keptModules, keptRows, agreement)
	}
}

// Whatever bytes a file holds, Load returns an adapter or a fault, and an adapter it returns can be saved.
func FuzzLoad(f *testing.F) {
	for _, list := range [][]checkpoint.Tensor{
		{tensor("lora_unet_conv_in.lora_up.weight", 8, 2), tensor("lora_unet_conv_in.lora_down.weight", 2, 36), tensor("lora_unet_conv_in.alpha")},
		{tensor("lora_unet_conv_in.hada_w1_a", 2, 1), tensor("lora_unet_conv_in.hada_w1_b", 1, 2)},
		{tensor("lora_te_x.weight", 2), tensor("lora_te_x.on_input")},
	} {
		path := written(f, list...)
		file, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	model := tiny(f)
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "a.safetensors")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := Load(path)
		if err != nil {
			return
		}
		a.Match(model)
		if err := a.Save(path, a.Metadata); err != nil {
			t.Errorf("loaded but not saved: %v", err)
		}
	})
}
