package checkpoint

import (
	"bufio"
	"compress/gzip"
	"os"
	"strings"
	"testing"
)

// keymap reads the table of every tensor of Stable Diffusion 1.5: part, diffusers name, single-file name, shape.
func keymap(t testing.TB) (rows [][]string) {
	f, err := os.Open("testdata/keymap_sd15.tsv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Scan() // column titles
	for lines.Scan() {
		rows = append(rows, strings.Split(lines.Text(), "\t"))
	}
	return rows
}

func TestNamesOfSD15(t *testing.T) {
	part := map[string]Part{"unet": UNet, "vae": VAE, "te": Text}
	var diffusers, ldm []string
	for _, row := range keymap(t) {
		if part[row[0]] == UNet { // the autoencoder's and the text encoder's names overlap in diffusers
			diffusers = append(diffusers, row[1])
		}
		ldm = append(ldm, row[2])
	}
	for from, names := range map[string]*Names{"LDM": NamesOf(ldm), "diffusers": NamesOf(diffusers), "nothing": NamesOf(nil)} {
		count := map[Part]int{}
		reached := map[string]bool{}
		for _, row := range keymap(t) {
			got, ok := names.LDM(part[row[0]], row[1])
			if !ok || got != row[2] {
				t.Errorf("from %s: LDM(%s, %s) = %q, want %q", from, row[0], row[1], got, row[2])
			}
			p, back, ok := names.Diffusers(row[2])
			if !ok || p != part[row[0]] || back != row[1] {
				t.Errorf("from %s: Diffusers(%s) = %v %q, want %s %q", from, row[2], p, back, row[0], row[1])
			}
			count[p]++
			reached[p.String()+back] = true
		}
		if count[UNet] != 686 || count[VAE] != 248 || count[Text] != 196 || len(reached) != 686+248+196 {
			t.Errorf("from %s: %v translated to %d names, want 686, 248 and 196 one to one", from, count, len(reached))
		}
	}
}

// A model of another depth: three levels of one residual block, attention at the lower two only.
func TestNamesOfMiniature(t *testing.T) {
	pairs := [][2]string{
		{"down_blocks.0.resnets.0.conv1.weight", "input_blocks.1.0.in_layers.2.weight"},
		{"down_blocks.0.downsamplers.0.conv.bias", "input_blocks.2.0.op.bias"},
		{"down_blocks.1.attentions.0.proj_in.weight", "input_blocks.3.1.proj_in.weight"},
		{"up_blocks.0.resnets.1.norm2.weight", "output_blocks.1.0.out_layers.0.weight"},
		{"up_blocks.0.attentions.1.norm.weight", "output_blocks.1.1.norm.weight"},
		{"up_blocks.0.upsamplers.0.conv.weight", "output_blocks.1.2.conv.weight"},
		{"up_blocks.1.attentions.0.norm.weight", "output_blocks.2.1.norm.weight"},
		{"up_blocks.1.upsamplers.0.conv.weight", "output_blocks.3.2.conv.weight"},
		{"up_blocks.2.resnets.0.conv1.weight", "output_blocks.4.0.in_layers.2.weight"},
		{"up_blocks.2.resnets.1.conv1.weight", "output_blocks.5.0.in_layers.2.weight"},
	}
	var diffusers, ldm []string
	for _, p := range pairs {
		diffusers = append(diffusers, p[0])
		ldm = append(ldm, "model.diffusion_model."+p[1])
	}
	for _, names := range []*Names{NamesOf(diffusers), NamesOf(ldm)} {
		for i := range pairs {
			if got, _ := names.LDM(UNet, diffusers[i]); got != ldm[i] {
				t.Errorf("LDM(%s) = %s, want %s", diffusers[i], got, ldm[i])
			}
			if _, got, _ := names.Diffusers(ldm[i]); got != diffusers[i] {
				t.Errorf("Diffusers(%s) = %s, want %s", ldm[i], got, diffusers[i])
			}
		}
	}
}

func TestNamesOfTextEncoders(t *testing.T) {
	names := NamesOf(nil)
	for _, name := range []string{
		"cond_stage_model.transformer.text_model.encoder.layers.3.mlp.fc1.weight",
		"cond_stage_model.transformer.encoder.layers.3.mlp.fc1.weight",
		"cond_stage_model.transformer.text_model.text_model.encoder.layers.3.mlp.fc1.weight",
	} {
		p, got, ok := names.Diffusers(name)
		if !ok || p != Text || got != "text_model.encoder.layers.3.mlp.fc1.weight" {
			t.Errorf("Diffusers(%s) = %v %s %v", name, p, got, ok)
		}
	}
}
