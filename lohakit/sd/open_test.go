package sd

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// stored is a model file in pieces, for tests to break.
type stored struct {
	tensors  []checkpoint.Tensor
	metadata map[string]string
}

// takeApart saves a new model of size c and reads the file's tensors.
func takeApart(t testing.TB, c Config) stored {
	t.Helper()
	m, err := New(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "whole.safetensors")
	if err := m.Save(path, checkpoint.F32); err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := stored{metadata: f.Metadata}
	for _, name := range f.Names() {
		tensor, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		tensor.Data = slices.Clone(tensor.Data)
		s.tensors = append(s.tensors, tensor)
	}
	return s
}

func (s *stored) index(t testing.TB, name string) int {
	t.Helper()
	i := slices.IndexFunc(s.tensors, func(tensor checkpoint.Tensor) bool { return tensor.Name == name })
	if i < 0 {
		t.Fatalf("no tensor %s", name)
	}
	return i
}

func (s *stored) drop(t testing.TB, name string) {
	i := s.index(t, name)
	s.tensors = slices.Delete(s.tensors, i, i+1)
}

func (s *stored) set(t testing.TB, name string, shape []int, value float32) {
	t.Helper()
	n := 1
	for _, d := range shape {
		n *= d
	}
	tensor, err := checkpoint.FromFloats(name, checkpoint.F32, shape, slices.Repeat([]float32{value}, n))
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(s.tensors, func(t checkpoint.Tensor) bool { return t.Name == name }); i >= 0 {
		s.tensors[i] = tensor
	} else {
		s.tensors = append(s.tensors, tensor)
	}
}

func TestOpenRefuses(t *testing.T) {
	const (
		unetConv = "model.diffusion_model.middle_block.0.in_layers.2.weight"
		textNorm = "cond_stage_model.transformer.text_model.final_layer_norm.bias"
		vaeQuant = "first_stage_model.quant_conv.bias"
		ids      = "cond_stage_model.transformer.text_model.embeddings.token_ids"
	)
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for name, c := range map[string]struct {
		damage func(s *stored)
		kind   fault.Kind
		says   string // part of the error
	}{
		"missing UNet tensor":        {func(s *stored) { s.drop(t, unetConv) }, fault.NotExist, "mid_block.resnets.0.conv1.weight"},
		"missing text tensor":        {func(s *stored) { s.drop(t, textNorm) }, fault.NotExist, "final_layer_norm.bias"},
		"missing autoencoder tensor": {func(s *stored) { s.drop(t, vaeQuant) }, fault.NotExist, "quant_conv.bias"},
		"wrong shape":                {func(s *stored) { s.set(t, unetConv, []int{32, 32, 1, 1}, 0) }, fault.Unsupported, "[32 32 1 1]"},
		"wrong rank":                 {func(s *stored) { s.set(t, vaeQuant, nil, 0) }, fault.Unsupported, "quant_conv.bias"},
		"empty":                      {func(s *stored) { s.set(t, textNorm, []int{0, 1 << 40}, 0) }, fault.Corrupt, "is empty"},
		"NaN":                        {func(s *stored) { s.set(t, textNorm, []int{24}, nan) }, fault.Numeric, "final_layer_norm.bias holds NaN"},
		"infinity":                   {func(s *stored) { s.set(t, vaeQuant, []int{8}, -inf) }, fault.Numeric, "quant_conv.bias holds -Inf"},
		"integers": {func(s *stored) {
			s.tensors[s.index(t, vaeQuant)] = checkpoint.Tensor{Name: vaeQuant, DType: checkpoint.I64, Shape: []int{8}, Data: make([]byte, 64)}
		}, fault.Unsupported, "quant_conv.bias"},
		"SDXL": {func(s *stored) { s.set(t, "conditioner.embedders.0.x", []int{1}, 0) }, fault.Unsupported, "SDXL"},
		"SD 2": {func(s *stored) { s.set(t, "cond_stage_model.model.transformer.x", []int{1}, 0) }, fault.Unsupported, "2.x"},
		"inpainting": {func(s *stored) {
			s.set(t, "model.diffusion_model.input_blocks.0.0.weight", []int{16, 9, 3, 3}, 0)
		}, fault.Unsupported, "inpainting"},
		"adapter":          {func(s *stored) { s.set(t, "lora_unet_x.lora_down.weight", []int{1}, 0) }, fault.Unsupported, "adapter"},
		"heads 0":          {func(s *stored) { s.metadata[keyHeads] = "0" }, fault.Corrupt, keyHeads},
		"heads in words":   {func(s *stored) { s.metadata[keyHeads] = "eight" }, fault.Corrupt, "eight"},
		"heads 5":          {func(s *stored) { s.metadata[keyHeads] = "5" }, fault.Corrupt, "5 heads"},
		"text heads 7":     {func(s *stored) { s.metadata[keyTextHeads] = "7" }, fault.Corrupt, "7 heads"},
		"groups 3":         {func(s *stored) { s.metadata[keyGroups] = "3" }, fault.Corrupt, "3 groups"},
		"scale NaN":        {func(s *stored) { s.metadata[keyScale] = "NaN" }, fault.Corrupt, "NaN"},
		"scale in words":   {func(s *stored) { s.metadata[keyScale] = "x" }, fault.Corrupt, keyScale},
		"prediction":       {func(s *stored) { s.metadata[keyPrediction] = "sample" }, fault.Unsupported, "sample"},
		"token ids absent": {func(s *stored) { s.drop(t, ids) }, fault.Corrupt, "49408"},
		"token ids twice": {func(s *stored) {
			s.tensors[s.index(t, ids)].Data = int32Bytes([]int32{5, 5, 6, 7, 8, 9, 10})
		}, fault.Corrupt, "5 follows 5"},
		"token ids as floats": {func(s *stored) { s.set(t, ids, []int{7}, 0) }, fault.Corrupt, "int32"},
		"no autoencoder": {func(s *stored) {
			s.tensors = slices.DeleteFunc(s.tensors, func(x checkpoint.Tensor) bool { return strings.HasPrefix(x.Name, "first_stage_model.") })
		}, fault.NotExist, "no autoencoder"},
		"nothing known": {func(s *stored) { s.tensors = s.tensors[:0]; s.set(t, "weight", []int{3}, 0) }, fault.Unsupported, "none of its"},
	} {
		t.Run(name, func(t *testing.T) {
			s := takeApart(t, tinyConv())
			c.damage(&s)
			path := filepath.Join(t.TempDir(), "damaged.safetensors")
			if err := checkpoint.Write(path, s.tensors, s.metadata); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "damaged.safetensors") {
				t.Errorf("got %v; want %v with %q and the file's name", err, c.kind, c.says)
			}
		})
	}
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "model.safetensors")
	if err := os.WriteFile(text, []byte("<!DOCTYPE html><html>404</html>"), 0o666); err != nil {
		t.Fatal(err)
	}
	for path, kind := range map[string]fault.Kind{
		filepath.Join(folder, "absent.safetensors"): fault.NotExist,
		folder: fault.NotExist,
		text:   fault.Corrupt,
	} {
		if _, err := Open(path); !fault.Is(err, kind) {
			t.Errorf("%s: %v, want %v", path, err, kind)
		}
	}
}

// Tensors that no network needs do no harm, whatever they hold.
func TestOpenIgnoresTheRest(t *testing.T) {
	s := takeApart(t, tinyConv())
	nan := float32(math.NaN())
	s.set(t, "cond_stage_model.transformer.text_model.embeddings.position_ids", []int{1, Window}, nan)
	s.set(t, "alphas_cumprod", []int{1000}, nan)
	s.set(t, "model_ema.diffusion_modelinput_blocks00weight", []int{16, 4, 3, 3}, nan)
	path := filepath.Join(t.TempDir(), "old.safetensors")
	if err := checkpoint.Write(path, s.tensors, s.metadata); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := m.UNet.Len() + m.Text.Len() + m.VAE.Len(); n != len(s.tensors)-4 { // those three and the token ids
		t.Errorf("%d weights of %d tensors", n, len(s.tensors))
	}
}

func TestOpenWithVAE(t *testing.T) {
	folder := t.TempDir()
	base, vae := filepath.Join(folder, "base.safetensors"), filepath.Join(folder, "vae.safetensors")
	s := takeApart(t, tinyConv())
	var without, alone []checkpoint.Tensor
	for _, tensor := range s.tensors {
		if name, ok := strings.CutPrefix(tensor.Name, "first_stage_model."); ok {
			tensor.Name = name
			alone = append(alone, tensor)
		} else {
			without = append(without, tensor)
		}
	}
	if err := checkpoint.Write(base, without, s.metadata); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Write(vae, alone, nil); err != nil {
		t.Fatal(err)
	}
	m, err := OpenWithVAE(base, vae)
	if err != nil {
		t.Fatal(err)
	}
	if m.VAE.Len() != len(alone) || m.Config.VAE.Latent != 4 {
		t.Errorf("%d tensors, %+v", m.VAE.Len(), m.Config.VAE)
	}
	if _, err := OpenWithVAE(base, base); !fault.Is(err, fault.NotExist) {
		t.Errorf("no autoencoder in either: %v", err)
	}
}

// FuzzOpen looks for files that crash Open, make it hang, or give a model that contradicts itself.
func FuzzOpen(f *testing.F) {
	c := Config{
		UNet:       UNetConfig{In: 1, Out: 1, Channels: []int{2}, Layers: 1, Attention: []bool{false}, CrossDim: 1, Heads: 1},
		Text:       TextConfig{Rows: 2, Width: 1, Layers: 1, Heads: 1, MLP: 1, Positions: 1, TokenIDs: []int32{7}},
		VAE:        VAEConfig{Patch: 1, Latent: 1, Scale: 1},
		Prediction: V,
	}
	m, err := New(c, 1)
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "seed.safetensors")
	if err := m.Save(path, checkpoint.F16); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, file []byte) {
		path := filepath.Join(t.TempDir(), "fuzz.safetensors")
		if err := os.WriteFile(path, file, 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := Open(path)
		if err != nil {
			return
		}
		if err := m.Config.Check(); err != nil {
			t.Fatal(err)
		}
	})
}
