package adapter

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
)

// modulesTable reads the 354 layers that LyCORIS adapts in Stable Diffusion 1.5: name, kind, out, in, kernel, and whether each of three
// target sets has it.
func modulesTable(t testing.TB) (rows [][]string) {
	f, err := os.Open("testdata/modules_sd15.tsv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Scan()
	for lines.Scan() {
		rows = append(rows, strings.Split(lines.Text(), "\t"))
	}
	return rows
}

func TestLayersOfSD15(t *testing.T) {
	rows := modulesTable(t)
	shapes := map[string]string{}
	sets := map[string]map[string]bool{"attn-mlp": {}, "lycoris-0.1.2": {}, "full": {}}
	for _, r := range rows {
		shapes[r[0]] = fmt.Sprintf("[%s %s]", r[2], r[3])
		switch r[1] {
		case "conv1", "conv3":
			shapes[r[0]] = fmt.Sprintf("[%s %s %s %s]", r[2], r[3], r[4], r[4])
		}
		for i, set := range []string{"attn-mlp", "lycoris-0.1.2", "full"} {
			if r[5+i] == "1" {
				sets[set][r[0]] = true
			}
		}
	}
	layers := Layers(sd.SD1Config())
	for preset, want := range sets {
		spec := Default()
		spec.Preset = preset
		got := map[string]bool{}
		for _, l := range spec.Select(layers) {
			got[l.Name] = true
			if fmt.Sprint(l.Shape) != shapes[l.Name] || !want[l.Name] {
				t.Errorf("%s: %s %v is not in the reference, which has %s", preset, l.Name, l.Shape, shapes[l.Name])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d layers, want %d", preset, len(got), len(want))
		}
	}
}

func TestPresetCounts(t *testing.T) {
	layers := Layers(sd.SD1Config())
	for _, c := range []struct {
		preset   string
		te, unet int
	}{
		{"full", 72, 282}, {"lycoris-0.1.2", 72, 278}, {"attn-mlp", 72, 192}, {"full-lin", 72, 230}, {"unet-only", 0, 282},
		{"unet-transformer-only", 0, 192}, {"unet-convblock-only", 0, 88}, {"attn-only", 48, 128}, {"te-only", 72, 0}, {"ia3", 36, 80},
	} {
		spec := Default()
		spec.Preset = c.preset
		count := map[checkpoint.Part]int{}
		for _, l := range spec.Select(layers) {
			count[l.Part]++
		}
		if count[checkpoint.Text] != c.te || count[checkpoint.UNet] != c.unet {
			t.Errorf("%s: %d text-encoder and %d UNet layers, want %d and %d", c.preset, count[checkpoint.Text], count[checkpoint.UNet], c.te, c.unet)
		}
	}
}

// The bytes of fp16 files without metadata, as LyCORIS and kohya's trainer wrote them with the real names and shapes.
func TestFileSizes(t *testing.T) {
	layers := Layers(sd.SD1Config())
	for _, c := range []struct {
		name           string
		spec           Spec
		layers, params int
		bytes          int64
	}{
		{"kohya LoRA 8", Spec{Kind: LoRA, Dim: 8, Preset: "attn-mlp"}, 264, 4718592, 9547800},
		{"LyCORIS LoRA 8 without convolutions", Spec{Kind: LoRA, Dim: 8, Preset: "lycoris-0.1.2"}, 300, 5381632, 10887816},
		{"LoCon 16/8", Spec{Kind: LoCon, Dim: 16, ConvDim: 8, Preset: "lycoris-0.1.2"}, 350, 15115264, 30374796},
		{"LoCon 16/8 Tucker", Spec{Kind: LoCon, Dim: 16, ConvDim: 8, Tucker: true, Preset: "lycoris-0.1.2"}, 350, 11601024, 23352556},
		{"LoHa 8/4", Spec{Kind: LoHa, Dim: 8, ConvDim: 4, Preset: "lycoris-0.1.2"}, 350, 15115264, 30463532},
		{"LoHa 8/4 Tucker", Spec{Kind: LoHa, Dim: 8, ConvDim: 4, Tucker: true, Preset: "lycoris-0.1.2"}, 350, 11586624, 23417836},
		{"LoHa 8/4 on all", Spec{Kind: LoHa, Dim: 8, ConvDim: 4}, 354, 15207744, 30650556},
		{"LoHa 32/16", Spec{Kind: LoHa, Dim: 32, ConvDim: 16, Preset: "lycoris-0.1.2"}, 350, 60461056, 121158716},
		{"LoHa 32/16 Tucker", Spec{Kind: LoHa, Dim: 32, ConvDim: 16, Tucker: true, Preset: "lycoris-0.1.2"}, 350, 46519296, 93286164},
	} {
		plan, err := Plan(layers, c.spec)
		if err != nil {
			t.Fatal(err)
		}
		params := 0
		for _, p := range plan {
			for _, tensor := range p.Tensors {
				params += product(tensor.Shape)
			}
		}
		size, err := FileSize(plan, checkpoint.F16, nil)
		// The table counts the alphas among its tensors but not among its parameters.
		if err != nil || len(plan) != c.layers || params != c.params || size != c.bytes {
			t.Errorf("%s: %d layers, %d parameters, %d bytes (%v); want %d, %d, %d", c.name, len(plan), params, size, err, c.layers, c.params, c.bytes)
		}
	}
}
