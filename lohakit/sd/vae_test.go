package sd

import (
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
)

func recordedVAE(t *testing.T, file string, groups int) (recorded map[string]*tensors.Tensor, m *Model) {
	t.Helper()
	recorded, p := fixture(t, file, "weights.")
	c, err := VAEConfigOf(p, groups, LatentScale)
	if err != nil {
		t.Fatal(err)
	}
	return recorded, &Model{Config: Config{VAE: c}, VAE: p}
}

func TestAutoencoderAgainstReference(t *testing.T) {
	recorded, m := recordedVAE(t, "vae.safetensors", 8)
	compareEncode(t, recorded, m)
	compareDecode(t, recorded, m)
	draw, err := m.Encode(recorded["image"], recorded["noise"])
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "Model.Encode", draw, recorded["draw"])
}

func compareEncode(t *testing.T, recorded map[string]*tensors.Tensor, m *Model) {
	out := evaluate(t, m.VAE, func(w Weights, in []*Node) []*Node {
		mean, logvar := Moments(m.Config.VAE, w, in[0])
		draw := Encode(m.Config.VAE, w, in[0], in[1])
		return []*Node{mean, logvar, draw, Gradient(ReduceAllSum(Mul(draw, in[2])), in[0])[0]}
	}, recorded["image"], recorded["noise"], recorded["encode.projection"])
	for i, name := range []string{"mean", "logvar", "draw", "encode.gradient"} {
		compare(t, name, out[i], recorded[name])
	}
}

func compareDecode(t *testing.T, recorded map[string]*tensors.Tensor, m *Model) {
	out := evaluate(t, m.VAE, func(w Weights, in []*Node) []*Node {
		image := Decode(m.Config.VAE, w, in[0])
		return []*Node{image, Gradient(ReduceAllSum(Mul(image, in[1])), in[0])[0]}
	}, recorded["latents"], recorded["decode.projection"])
	compare(t, "decoded", out[0], recorded["decoded"])
	compare(t, "decode.gradient", out[1], recorded["decode.gradient"])
}

// With as many latent values as pixel values the patch autoencoder begins lossless; gradients reach both its matrices.
func TestPatchAutoencoder(t *testing.T) {
	c := VAEConfig{Patch: 2, Latent: 12, Scale: 0.5}
	m := &Model{Config: Config{VAE: c}, VAE: InitVAE(c, 1)}
	if _, err := VAEConfigOf(m.VAE, 0, c.Scale); err != nil {
		t.Fatal(err)
	}
	image := tensors.FromFlatDataAndDimensions(ramp(2*3*6*8), 2, 3, 6, 8)
	latents, err := m.Encode(image, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := latents.Shape().Dimensions; d[1] != 12 || d[2] != 3 || d[3] != 4 {
		t.Fatalf("latents %v", d)
	}
	back, err := m.Decode(latents)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "image", back, image)

	gradients := evaluate(t, m.VAE, func(w Weights, in []*Node) []*Node {
		out := Decode(c, w, Encode(c, w, in[0], nil))
		return Gradient(ReduceAllSum(Mul(out, in[0])), w.Get("patch.weight"), w.Get("unpatch.weight"))
	}, image)
	// out is linear in either matrix (the biases are 0), so that the derivative along the matrix itself is the value.
	total := dot32(values(t, back), values(t, image))
	for i, name := range []string{"patch.weight", "unpatch.weight"} {
		if along := dot32(values(t, gradients[i]), values(t, m.VAE.Get(name))); !near(along, total, 1e-4) {
			t.Errorf("%s: gradient along itself %v, want %v", name, along, total)
		}
	}
}

func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i*37%101)/50 - 1
	}
	return x
}

func dot32(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func near(a, b, tolerance float64) bool { return a-b < tolerance*b && b-a < tolerance*b }

func TestImageShapes(t *testing.T) {
	_, m := recordedVAE(t, "vae.safetensors", 8)
	for _, dims := range [][]int{{1, 3, 24, 30}, {1, 1, 24, 32}, {3, 24, 32}} {
		if _, err := m.Encode(tensors.FromScalarAndDimensions(float32(0), dims...), nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("encode %v: %v", dims, err)
		}
	}
	if _, err := m.Decode(tensors.FromScalarAndDimensions(float32(0), 1, 3, 4, 4)); !fault.Is(err, fault.Invalid) {
		t.Errorf("decode 3 channels: %v", err)
	}
}
