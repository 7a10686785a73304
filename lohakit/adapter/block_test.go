package adapter

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/sd"
)

// Every layer of Stable Diffusion 1.5 is in the block that kohya's trainer says, and has the dim and alpha it gives it: see
// testdata/record_kohya.py.
func TestBlocksAreKohyas(t *testing.T) {
	var recorded struct {
		Index   map[string]int
		Options struct {
			Dims      []int     `json:"block_dims"`
			Alphas    []float64 `json:"block_alphas"`
			ConvDims  []int     `json:"conv_block_dims"`
			ConvAlpha []float64 `json:"conv_block_alphas"`
		}
		Dims map[string][2]float64
	}
	data, err := os.ReadFile("testdata/kohya.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &recorded); err != nil || len(recorded.Index) != 282 || len(recorded.Dims) < 200 {
		t.Fatal(len(recorded.Index), len(recorded.Dims), err)
	}
	layers := Layers(sd.SD1Config())
	if n := Blocks(layers); n != 25 {
		t.Errorf("%d blocks", n)
	}
	found := 0
	for _, l := range layers {
		if want, ok := recorded.Index[l.Name]; ok {
			found++
			if l.Block != want {
				t.Errorf("%s is in block %d, kohya's trainer has it in %d", l.Name, l.Block, want)
			}
		}
	}
	if found != len(recorded.Index) {
		t.Errorf("%d of %d layers", found, len(recorded.Index))
	}

	o := recorded.Options
	spec := Spec{Kind: LoCon, Dim: 4, Alpha: 1, ConvAlpha: 1, Preset: "lycoris-0.1.2", BlockDims: o.Dims, BlockAlphas: o.Alphas, ConvBlockDims: o.ConvDims,
		ConvBlockAlphas: o.ConvAlpha}
	plan, err := Plan(layers, spec)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, p := range plan {
		if !strings.HasPrefix(p.Layer.Name, "lora_unet_") {
			continue
		}
		compared++
		want, ok := recorded.Dims[p.Layer.Name]
		if ls, _ := spec.forLayer(p.Layer); !ok || float64(ls.dim) != want[0] || p.alpha != want[1] {
			t.Errorf("%s: %d, alpha %v; kohya's trainer has %v", p.Layer.Name, ls.dim, p.alpha, want)
		}
	}
	if compared != len(recorded.Dims) {
		t.Errorf("%d layers are adapted, kohya's trainer has %d", compared, len(recorded.Dims))
	}

	spec.BlockDims = o.Dims[:7]
	if _, err := Plan(layers, spec); err == nil || !strings.Contains(err.Error(), "BlockDims") {
		t.Errorf("seven dims: %v", err)
	}
}
