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

// The presets that LyCORIS does not have, or whose layers it does not find, which this package then takes by the presets' names.
func TestPresetCounts(t *testing.T) {
	layers := Layers(sd.SD1Config())
	for _, c := range []struct {
		preset   string
		te, unet int
	}{
		{"lycoris-0.1.2", 72, 278}, {"attn-only", 48, 128}, {"te-only", 72, 0}, {"ia3", 36, 80},
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

// The bytes of fp16 files without metadata, as LyCORIS and kohya's trainer wrote them with the real names and shapes. Of rank 128 only the
// megabytes are known.
func TestFileSizes(t *testing.T) {
	layers := Layers(sd.SD1Config())
	for _, c := range []struct {
		name                    string
		spec                    Spec
		layers, tensors, params int
		bytes                   int64
	}{
		{"kohya LoRA 8", Spec{Kind: LoRA, Dim: 8, Preset: "attn-mlp"}, 264, 792, 4718592, 9547800},
		{"LyCORIS LoRA 8 without convolutions", Spec{Kind: LoRA, Dim: 8, Preset: "lycoris-0.1.2"}, 300, 900, 5381632, 10887816},
		{"LoCon 16/8", Spec{Kind: LoCon, Dim: 16, ConvDim: 8, Preset: "lycoris-0.1.2"}, 350, 1050, 15115264, 30374796},
		{"LoCon 16/8 Tucker", Spec{Kind: LoCon, Dim: 16, ConvDim: 8, Tucker: true, Preset: "lycoris-0.1.2"}, 350, 1100, 11601024, 23352556},
		{"LoHa 8/4", Spec{Kind: LoHa, Dim: 8, ConvDim: 4, Preset: "lycoris-0.1.2"}, 350, 1750, 15115264, 30463532},
		{"LoHa 8/4 Tucker", Spec{Kind: LoHa, Dim: 8, ConvDim: 4, Tucker: true, Preset: "lycoris-0.1.2"}, 350, 1850, 11586624, 23417836},
		{"LoHa 8/4 on all", Spec{Kind: LoHa, Dim: 8, ConvDim: 4}, 354, 1770, 15207744, 30650556},
		{"LoHa 32/16", Spec{Kind: LoHa, Dim: 32, ConvDim: 16, Preset: "lycoris-0.1.2"}, 350, 1750, 60461056, 121158716},
		{"LoHa 32/16 Tucker", Spec{Kind: LoHa, Dim: 32, ConvDim: 16, Tucker: true, Preset: "lycoris-0.1.2"}, 350, 1850, 46519296, 93286164},
		{"kohya LoRA 128", Spec{Kind: LoRA, Dim: 128, Preset: "attn-mlp"}, 264, 792, 75497472, 151.1e6},
	} {
		plan, err := Plan(layers, c.spec)
		if err != nil {
			t.Fatal(err)
		}
		params, count := 0, 0
		for _, p := range plan {
			count += len(p.Tensors) + len(p.Scalars)
			for _, tensor := range p.Tensors {
				params += product(tensor.Shape)
			}
		}
		size, err := FileSize(plan, checkpoint.F16, nil)
		if c.bytes%1e5 == 0 {
			size = (size + 5e4) / 1e5 * 1e5
		}
		if err != nil || len(plan) != c.layers || count != c.tensors || params != c.params || size != c.bytes {
			t.Errorf("%s: %d layers, %d tensors, %d parameters, %d bytes (%v); want %d, %d, %d, %d", c.name, len(plan), count, params, size, err,
				c.layers, c.tensors, c.params, c.bytes)
		}
	}
}
