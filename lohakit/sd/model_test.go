package sd

import (
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// tiny is a model with a patch autoencoder and a compact token table; tinyConv has the real topology throughout.
func tiny() Config {
	return Config{
		UNet: UNetConfig{In: 6, Out: 6, Channels: []int{16, 32}, Layers: 1, Attention: []bool{true, false}, CrossDim: 24, Heads: 4},
		Text: TextConfig{Rows: 12, Width: 24, Layers: 2, Heads: 3, MLP: 48, Positions: Window,
			TokenIDs: []int32{267, 1611, 2225, 5797, 16066, BOS, EOS}},
		VAE:        VAEConfig{Patch: 4, Latent: 6, Scale: 0.7},
		Prediction: V,
	}
}

func tinyConv() Config {
	c := tiny()
	c.UNet.In, c.UNet.Out = 4, 4
	c.VAE = VAEConfig{Channels: []int{8, 16}, Layers: 1, Latent: 4, Scale: LatentScale}
	return c
}

func values(t testing.TB, x *tensors.Tensor) []float32 {
	t.Helper()
	flat, err := tensors.CopyFlatData[float32](x)
	if err != nil {
		t.Fatal(err)
	}
	return flat
}

func TestSaveOpen(t *testing.T) {
	for name, c := range map[string]Config{"patch": tiny(), "convolutional": tinyConv()} {
		for _, dtype := range []checkpoint.DType{checkpoint.F32, checkpoint.F16, checkpoint.BF16} {
			t.Run(name+" "+dtype.String(), func(t *testing.T) {
				m, err := New(c, 3)
				if err != nil {
					t.Fatal(err)
				}
				m.Metadata = map[string]string{"modelspec.title": "tiny", keyHeads: "99"}
				path := filepath.Join(t.TempDir(), "tiny.safetensors")
				if err := m.Save(path, dtype); err != nil {
					t.Fatal(err)
				}
				back, err := Open(path)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(back.Config, m.Config) {
					t.Errorf("config came back as %+v, was %+v", back.Config, m.Config)
				}
				if back.Metadata["modelspec.title"] != "tiny" || back.Metadata[keyHeads] != "4" {
					t.Errorf("metadata %v", back.Metadata)
				}
				tolerance := map[checkpoint.DType]float64{checkpoint.F32: 0, checkpoint.F16: 1e-3, checkpoint.BF16: 8e-3}[dtype]
				for _, part := range checkpoint.Parts {
					was, is := m.part(part), back.part(part)
					if was.Len() != is.Len() {
						t.Fatalf("%v: %d tensors of %d", part, is.Len(), was.Len())
					}
					for _, name := range was.Names() {
						if !slices.Equal(was.Shape(name), is.Shape(name)) {
							t.Errorf("%s: %v, was %v", name, is.Shape(name), was.Shape(name))
						}
						if d := relative(values(t, is.Get(name)), values(t, was.Get(name))); d > tolerance {
							t.Errorf("%s differs by %g", name, d)
						}
					}
				}
			})
		}
	}
}

// relative is the length of a−b over the length of b; 0 if both are 0.
func relative(a, b []float32) float64 {
	var diff, norm float64
	for i := range b {
		d := float64(a[i]) - float64(b[i])
		diff, norm = diff+d*d, norm+float64(b[i])*float64(b[i])
	}
	if diff == 0 {
		return 0
	}
	return math.Sqrt(diff / norm)
}

func TestSaveRefuses(t *testing.T) {
	m, err := New(tiny(), 1)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := m.Save(path, checkpoint.I32); !fault.Is(err, fault.Invalid) {
		t.Errorf("I32: %v", err)
	}
	for value, dtype := range map[float32]checkpoint.DType{float32(math.NaN()): checkpoint.F32, 1e5: checkpoint.F16} {
		m.UNet.Set("conv_in.bias", tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{value}, 16), 16))
		if err := m.Save(path, dtype); !fault.Is(err, fault.Numeric) {
			t.Errorf("%v as %v: %v", value, dtype, err)
		}
		if _, err := Open(path); !fault.Is(err, fault.NotExist) {
			t.Errorf("a refused save left a file: %v", err)
		}
	}
}
