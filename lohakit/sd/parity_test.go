//go:build parity

package sd

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLargerTextEncoderAgainstReference(t *testing.T) {
	larger(t, "text", func(t *testing.T, file string) {
		recorded, p, c := recordedText(t, file, 0)
		compareTextStates(t, recorded, p, c, 1, 2, c.Layers)
		compareTextGradients(t, recorded, p, c)
	})
}

func TestLargerUNetAgainstReference(t *testing.T) {
	larger(t, "unet", func(t *testing.T, file string) { compareUNet(t, file, 8, 32) })
}

func TestLargerAutoencoderAgainstReference(t *testing.T) {
	larger(t, "vae", func(t *testing.T, file string) {
		recorded, m := recordedVAE(t, file, 0)
		compareEncode(t, recorded, m)
		compareDecode(t, recorded, m)
	})
}

// larger runs a comparison at the sizes that `make parity` records to .cache/parity: half, and full as in SD 1.x.
func larger(t *testing.T, network string, compare func(t *testing.T, file string)) {
	for _, size := range []string{"half", "full"} {
		t.Run(size, func(t *testing.T) {
			file := filepath.Join("..", "..", "..", ".cache", "parity", network+"_"+size+".safetensors")
			if _, err := os.Stat(filepath.Join("testdata", file)); err != nil {
				t.Skip("not recorded")
			}
			compare(t, file)
		})
	}
}
