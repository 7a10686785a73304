package sample

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// TestReadsWebUIInfotext reads what a web UI writes, quoted values included.
func TestReadsWebUIInfotext(t *testing.T) {
	i, err := ParseInfo("1girl, Anisphia\nsmile <lora:x:0.8>\nNegative prompt: bad, worst\nquality\n" +
		`Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 4294967295, Size: 512x768, Model hash: 925997e9af, Model: nai-full, ` +
		`Clip skip: 2, ENSD: 31337, RNG: NV, Lora hashes: "a: 1f2e, b: 33", Version: v1.6.0`)
	if err != nil {
		t.Fatal(err)
	}
	want := Info{Prompt: "1girl, Anisphia\nsmile <lora:x:0.8>", Negative: "bad, worst\nquality", Steps: 20, Sampler: "DPM++ 2M Karras", CFG: 7.5,
		Seed: 4294967295, Width: 512, Height: 768, Model: "nai-full", ClipSkip: 2, Eta: -1, Noise: "philox",
		Rest: []Field{{"Model hash", "925997e9af"}, {"ENSD", "31337"}, {"Lora hashes", "a: 1f2e, b: 33"}, {"Version", "v1.6.0"}}}
	if !reflect.DeepEqual(i, want) {
		t.Errorf("read %+v\nwant %+v", i, want)
	}
	if i, _ := ParseInfo("a cat: small, dog: large"); i.Prompt != "a cat: small, dog: large" || i.Steps != 0 {
		t.Errorf("two pairs are prompt, read %+v", i)
	}
}

// TestReadsNewerWebUIs reads the schedule beside the sampler, and the GPU's noise where nothing is said about it.
func TestReadsNewerWebUIs(t *testing.T) {
	for line, want := range map[string][3]string{ // sampler, noise, what is left
		"Sampler: DPM++ 2M, Schedule type: Karras, Model hash: 1, Version: v1.10.1": {"DPM++ 2M Karras", "philox", "Model hash Version"},
		"Sampler: DPM++ SDE, Schedule type: Automatic, Version: v1.10.1":            {"DPM++ SDE Karras", "philox", "Version"},
		"Sampler: Euler a, Schedule type: Automatic, RNG: CPU, Version: v1.10.1":    {"Euler a", "go", "RNG Version"},
		"Sampler: DPM++ 2M, Schedule type: Uniform, Size: 8x8":                      {"DPM++ 2M", "go", ""},
		"Sampler: DPM++ 2M Karras, Schedule type: karras, Version: v1.6.0":          {"DPM++ 2M Karras", "philox", "Version"},
		"Sampler: DDIM, Schedule type: Karras, Version: v1.10.1":                    {"DDIM", "philox", "Version"},
		"Sampler: DPM++ 2M, Schedule type: Exponential, Size: 8x8":                  {"DPM++ 2M Exponential", "go", ""},
		"Schedule type: SGM Uniform, Sampler: DPM++ 2M Karras, Size: 8x8":           {"DPM++ 2M SGM Uniform", "go", ""},
		"Sampler: Euler, Schedule type: Karras, Size: 8x8":                          {"Euler Karras", "go", ""},
		"Sampler: UniPC, Schedule type: Simple, Size: 8x8":                          {"UniPC Simple", "go", ""},
		"Sampler: DPM++ 2M, Seed: 1, Size: 8x8":                                     {"DPM++ 2M", "go", ""},
		"Sampler: DDIM, RNG: NV, Model hash: 1":                                     {"DDIM", "philox", "Model hash"},
	} {
		i, err := ParseInfo("a cat\nSteps: 20, " + line)
		if err != nil {
			t.Fatal(err)
		}
		var rest []string
		for _, f := range i.Rest {
			rest = append(rest, f.Key)
		}
		if got := [3]string{i.Sampler, i.Noise, strings.Join(rest, " ")}; got != want {
			t.Errorf("%s reads as %q, want %q", line, got, want)
		}
	}
}

// A schedule type that this kit does not have is refused when its image is to be drawn again, with the names of those it has.
func TestUnknownScheduleIsRefused(t *testing.T) {
	i, err := ParseInfo("a cat\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Align Your Steps, CFG scale: 7")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Request{Model: tiny(t, sd.Epsilon), Options: i.Options()}.Info()
	if !fault.Is(err, fault.NotExist) || !strings.Contains(err.Error(), "Align Your Steps") || !strings.Contains(err.Error(), "DPM++ 2M Karras") {
		t.Errorf("drawn again: %v", err)
	}
}

// TestEtaAsWebUIs writes and reads Eta under the web UIs' keys: DDIM's is called "Eta DDIM", and samplers that add no noise have none.
func TestEtaAsWebUIs(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	for _, c := range []struct {
		sampler   string
		eta       float64
		line, not string
	}{
		{"DDIM", 0.5, ", Eta DDIM: 0.5", "Eta:"},
		{"DDIM", 0, "Sampler: DDIM", "Eta"},
		{"Euler a", 0.25, ", Eta: 0.25", "DDIM"},
		{"DPM++ SDE Karras", -1, ", Eta: 0", "DDIM"},
		{"Euler a", 1, "Sampler: Euler a", "Eta"},
		{"Euler", 0.5, "Sampler: Euler", "Eta"},
	} {
		info, _, err := Request{Model: m, Options: Options{Sampler: c.sampler, Eta: c.eta}}.Info()
		if err != nil {
			t.Fatal(err)
		}
		line := info.String()
		if !strings.Contains(line, c.line) || strings.Contains(line, c.not) {
			t.Errorf("%s with eta %g: %s", c.sampler, c.eta, line)
		}
		if back, err := ParseInfo(line); err != nil || !reflect.DeepEqual(back, info) {
			t.Errorf("%s reads as %+v, %v", line, back, err)
		}
	}
	for line, want := range map[string]float64{
		"Sampler: DDIM, Eta DDIM: 0.16, Eta: 0.67": 0.16, "Eta: 0.67, Eta DDIM: 0.16, Sampler: Euler a": 0.67, "Sampler: DDIM, Eta: 0.3": 0.3,
		"Sampler: Euler a, Eta DDIM: 0.5": 0, "Sampler: DDIM, Eta DDIM: -3": 0, "Sampler: DDIM, Eta DDIM: NaN": 0, "Sampler: Euler a, Eta: 0": -1,
	} {
		i, err := ParseInfo("a cat\nSteps: 20, CFG scale: 7, " + line)
		if got := i.Options().Eta; err != nil || got != want {
			t.Errorf("%s: Eta %g, %v; want %g", line, got, err, want)
		}
		again, err := ParseInfo(i.String())
		if err != nil || !reflect.DeepEqual(again, i) {
			t.Errorf("%s: written as %s", line, i)
		}
	}
}

// An embedding from a file is named with its hash where a prompt uses it at any step, as the web UIs write it.
func TestEmbeddingsInInfo(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	word := func(name, hash string) sd.Embedding {
		width := m.Config.Text.Width
		return sd.Embedding{Name: name, Hash: hash, Rows: tensors.FromFlatDataAndDimensions(make([]float32, width), 1, width)}
	}
	r := Request{Model: m, Embeddings: []sd.Embedding{word("tilty", strings.Repeat("01234567", 8)), word("hat", strings.Repeat("b", 64)), word("live", ""),
		word("never", strings.Repeat("c", 64))}, Options: Options{Prompt: "a [cat:(Tilty:1.1):0.9], live, nevermore", Negative: "hat"}}
	info, _, err := r.Info()
	if err != nil {
		t.Fatal(err)
	}
	if line := info.String(); !strings.Contains(line, `, TI hashes: "tilty: 012345670123, hat: bbbbbbbbbbbb"`) {
		t.Error(line)
	}
	back, err := ParseInfo(info.String())
	if err != nil || !reflect.DeepEqual(back.Embeddings, info.Embeddings) || len(back.Rest) != 0 {
		t.Errorf("read as %v, %v", back.Embeddings, err)
	}
	// in the order of their use, the longest name where one begins another, whatever the form of the hash
	r.Embeddings = []sd.Embedding{word("tilty", strings.Repeat("a", 64)), word("tilty-hat", "123"), word("rain", strings.Repeat("c", 64))}
	r.Options = Options{Prompt: "a [rain:tilty-hat:2]", Negative: "rain"}
	if info, _, err = r.Info(); err != nil || !reflect.DeepEqual(info.Embeddings, []Field{{"rain", "cccccccccccc"}, {"tilty-hat", "123"}}) {
		t.Errorf("named %v, %v", info.Embeddings, err)
	}
	r.Embeddings[0].Rows = tensors.FromFlatDataAndDimensions(make([]float32, 768), 1, 768)
	if _, _, err := r.Info(); !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "768") {
		t.Errorf("another width: %v", err)
	}
}

// The name of an adapter may hold what separates names in the list of them.
func TestAdapterNamesInInfo(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	spec := adapter.Default()
	spec.Dim, spec.ConvDim, spec.Preset = 2, 0, "attn-only"
	a, err := adapter.New(m, spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	a.Metadata = map[string]string{"ss_output_name": "Tilty: first, best"}
	info, _, err := Request{Model: m, Adapters: []Applied{At(a, 1), {a, 0.5, 2}}}.Info()
	if err != nil {
		t.Fatal(err)
	}
	want := []Field{{"Tilty first best", "1"}, {"Tilty first best", "0.5:2"}}
	if back, err := ParseInfo(info.String()); err != nil || !reflect.DeepEqual(back.Adapters, want) {
		t.Errorf("%s is read as %v, %v", info, back.Adapters, err)
	}
}

// ExampleInfo writes the line below an image.
func ExampleInfo() {
	i := Info{Prompt: "Anisphia, smile", Negative: "blurry", Steps: 20, Sampler: "DDIM", CFG: 7, Seed: 1, Width: 512, Height: 512, ClipSkip: 2, Eta: -1,
		Adapters: []Field{{"anisphia", "0.8"}, {"ke-ta", "1"}}}
	fmt.Println(i)
	// Output:
	// Anisphia, smile
	// Negative prompt: blurry
	// Steps: 20, Sampler: DDIM, CFG scale: 7, Seed: 1, Size: 512x512, Clip skip: 2, Lora weights: "anisphia: 0.8, ke-ta: 1"
}

// FuzzInfo checks that reading what was written gives the same, whatever was read first.
func FuzzInfo(f *testing.F) {
	f.Add("p\nNegative prompt: n\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 8x8, X: \"a, b\"")
	f.Add("Steps: 1e9, Seed: x, Size: 3x, CFG scale: NaN")
	f.Add("\n\n: ,:,:\"")
	f.Fuzz(func(t *testing.T, text string) {
		i, err := ParseInfo(text)
		if err != nil {
			return
		}
		again, err := ParseInfo(i.String())
		if err != nil {
			t.Fatal(err)
		}
		third, _ := ParseInfo(again.String())
		if !reflect.DeepEqual(again, third) {
			t.Fatalf("%q reads as %+v, and once more as %+v", text, again, third)
		}
	})
}

// TestPNGText carries text through a picture, in Latin-1 and beyond.
func TestPNGText(t *testing.T) {
	for _, text := range []string{"", "plain\nNegative prompt: é", "日本語 🌸", strings.Repeat("long ", 10000)} {
		var b bytes.Buffer
		if err := WritePNG(&b, image.NewGray(image.Rect(0, 0, 3, 2)), text); err != nil {
			t.Fatal(err)
		}
		if _, err := png.Decode(bytes.NewReader(b.Bytes())); err != nil {
			t.Errorf("the picture cannot be read back: %v", err)
		}
		if got, err := ReadPNGText(&b); err != nil || got != text {
			t.Errorf("%.20q reads as %.20q, %v", text, got, err)
		}
	}
	if _, err := ReadPNGText(strings.NewReader("GIF89a..")); !fault.Is(err, fault.Corrupt) {
		t.Errorf("a GIF: %v", err)
	}
}

// FuzzPNGText reads any bytes without panic or great allocation.
func FuzzPNGText(f *testing.F) {
	var b bytes.Buffer
	if err := WritePNG(&b, image.NewGray(image.Rect(0, 0, 3, 2)), "日本"); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(append(append([]byte{}, signature...), "\xff\xff\xff\xfftEXt"...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := ReadPNGText(bytes.NewReader(raw)); err != nil && !fault.Is(err, fault.Corrupt) {
			t.Fatal(err)
		}
	})
}
