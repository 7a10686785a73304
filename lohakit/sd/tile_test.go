package sd

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Tiles of a linear autoencoder join without a trace.
func TestTiledPatchDecode(t *testing.T) {
	c := VAEConfig{Patch: 2, Latent: 5, Scale: 0.5}
	m := &Model{Config: Config{VAE: c}, VAE: InitVAE(c, 1)}
	for _, size := range [][2]int{{9, 19}, {8, 21}, {5, 5}, {40, 3}} {
		z := tensors.FromFlatDataAndDimensions(ramp(2*5*size[0]*size[1]), 2, 5, size[0], size[1])
		whole, err := m.Decode(z)
		if err != nil {
			t.Fatal(err)
		}
		tiled, err := m.DecodeTiled(z, 8)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, "tiled", tiled, whole)
	}
	if _, err := m.DecodeTiled(tensors.FromScalarAndDimensions(float32(0), 1, 5, 9, 9), 3); !fault.Is(err, fault.Invalid) {
		t.Errorf("tile of 3: %v", err)
	}
}

// Tiles of a real autoencoder cannot join exactly; they come closer to the whole image than diffusers' tiles of the same size, which
// leave slivers at the far edges.
func TestTiledDecodeAgainstReference(t *testing.T) {
	recorded, m := recordedVAE(t, "vae.safetensors", 8)
	tiled, err := m.DecodeTiled(recorded["large"], 8)
	if err != nil {
		t.Fatal(err)
	}
	whole := values(t, recorded["large.whole"])
	ours, theirs := relative(values(t, tiled), whole), relative(values(t, recorded["large.tiled"]), whole)
	t.Logf("from the whole image: %.3f, reference %.3f", ours, theirs)
	if ours > theirs {
		t.Errorf("%.3f from the whole image, the reference's tiles %.3f", ours, theirs)
	}
}

func TestCut(t *testing.T) {
	for n := 1; n < 200; n++ {
		for _, tile := range []int{4, 7, 8, 64} {
			total := make([]float64, n*2)
			for _, s := range cut(n, tile, 2) {
				if s.size > tile || s.start < 0 || s.start+s.size > n {
					t.Fatalf("%d by %d: strip %d+%d", n, tile, s.start, s.size)
				}
				for p, w := range s.weight {
					total[2*s.start+p] += float64(w)
				}
			}
			for p, w := range total {
				if math.Abs(w-1) > 1e-6 {
					t.Fatalf("%d by %d: shares of pixel %d add up to %v", n, tile, p, w)
				}
			}
		}
	}
}
