package adapter

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// recordedFile reads a fixture of testdata: its tensors by name, float32, and its metadata.
func recordedFile(t *testing.T, path string) (map[string]*tensors.Tensor, *checkpoint.File) {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	all := map[string]*tensors.Tensor{}
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := x.Floats()
		if err != nil {
			t.Fatal(err)
		}
		all[name] = tensors.FromFlatDataAndDimensions(v, x.Shape...)
	}
	return all, f
}

// extract writes the tensors under "file/" of a fixture as the file they come from.
func extract(t *testing.T, f *checkpoint.File, metadata map[string]string) (path string, list []checkpoint.Tensor) {
	t.Helper()
	for _, name := range f.Names() {
		if own, ok := strings.CutPrefix(name, "file/"); ok {
			x, err := f.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			x.Name = own
			list = append(list, x)
		}
	}
	path = filepath.Join(t.TempDir(), "adapter.safetensors")
	if err := checkpoint.Write(path, list, metadata); err != nil {
		t.Fatal(err)
	}
	return path, list
}

// Files as LyCORIS, and diffusers with PEFT, write them open, and the UNet then computes what it computes there: see
// testdata/record_network.py. What LyCORIS wrote is written again tensor for tensor, so its readers read ours.
func TestFilesOfOtherPrograms(t *testing.T) {
	unet, _ := recordedFile(t, "../sd/testdata/unet.safetensors")
	model, err := sd.New(sd.Config{
		UNet: sd.UNetConfig{In: 4, Out: 4, Channels: []int{8, 8, 16, 16}, Layers: 2, Attention: []bool{true, true, true, false}, CrossDim: 12, Heads: 2, Groups: 4},
		Text: sd.TextConfig{Rows: 12, Width: 12, Layers: 1, Heads: 2, MLP: 24, Positions: 77, TokenIDs: []int32{320, 49406, 49407}},
		VAE:  sd.VAEConfig{Patch: 4, Latent: 4, Scale: 1}, Prediction: sd.Epsilon}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range model.UNet.Names() {
		model.UNet.Set(name, unet["weights."+name])
	}
	for kind, want := range map[string]struct {
		strength float32
		kind     Kind
		modules  int
	}{"loha": {0.7, LoHa, 287}, "dora": {0.7, LoCon, 395}, "lokr": {0.7, LoKr, 287}, "peft": {1, LoCon, 166}} {
		t.Run(kind, func(t *testing.T) {
			recorded, f := recordedFile(t, "testdata/network_"+kind+".safetensors")
			path, list := extract(t, f, f.Metadata)
			a, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			if a.Spec.Kind != want.kind || len(a.Names()) != want.modules {
				t.Errorf("kind %s, %d modules; want %s, %d", a.Spec.Kind, len(a.Names()), want.kind, want.modules)
			}
			if err := a.Match(model); err != nil {
				t.Fatal(err)
			}
			program := xla.Compile("UNet with "+kind, func(in []*Node) []*Node {
				rest := in[model.UNet.Len()+a.Params.Len():]
				w := a.Apply(model.UNet.Bind(in), a.Params.Bind(in[model.UNet.Len():]), Const(in[0].Graph(), want.strength))
				return []*Node{sd.UNet(model.Config.UNet, w, rest[0], rest[1], rest[2])}
			})
			out, err := program.Run(model.UNet.Inputs(), a.Params.Inputs(), unet["x"], unet["t"], unet["context"])
			if err != nil {
				t.Fatal(err)
			}
			if e := relative(floats(t, out[0]), floats(t, recorded["out"])); e > 1e-4 || relative(floats(t, unet["out"]), floats(t, recorded["out"])) < 0.01 {
				t.Errorf("the UNet's output differs by %.2g; that of the adapter to none by %.2g", e, relative(floats(t, unet["out"]), floats(t, recorded["out"])))
			}
			if kind == "peft" {
				return
			}
			again, err := a.Tensors()
			if err != nil {
				t.Fatal(err)
			}
			written := map[string]checkpoint.Tensor{}
			for _, x := range again {
				written[x.Name] = x
			}
			for _, x := range list {
				y := written[x.Name]
				if x.DType != y.DType || !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(x.Data, y.Data) {
					t.Errorf("%v is written as %v", x, y)
				}
			}
			if len(written) != len(list) {
				t.Errorf("%d tensors are written, the file had %d", len(written), len(list))
			}
		})
	}
}

// A file of LyCORIS 0.1.2, which trained with hada_t1 for both products: it is recognised, its differences are not those that were
// trained, and Repair makes them so. See testdata/record_lycoris012.py.
func TestUntrainedCoresOfLyCORIS012(t *testing.T) {
	recorded, f := recordedFile(t, "testdata/untrained_cores.safetensors")
	path, _ := extract(t, f, nil)
	a, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if text := a.String(); !strings.Contains(text, "loha 8") || !strings.Contains(text, "Repair") {
		t.Errorf("described as %q", text)
	}
	report, err := a.DetectUntrainedCores()
	if err != nil || !report.Suspect || report.Modules != 12 {
		t.Fatalf("%+v, %v", report, err)
	}
	off := func() (worst float64) {
		for name, base := range recorded {
			layer, ok := strings.CutPrefix(name, "base/")
			if !ok {
				continue
			}
			got, err := a.Weight(layer+".weight", base, 1)
			if err != nil {
				t.Fatal(err)
			}
			worst = max(worst, relative(floats(t, got), floats(t, recorded["applied/"+layer])))
		}
		return worst
	}
	if e := off(); e < 0.01 {
		t.Errorf("as it is, the file already does what was trained, to %.2g", e)
	}
	if n, err := a.Repair(); n != 12 || err != nil {
		t.Fatal(n, err)
	}
	if e := off(); e > 1e-5 {
		t.Errorf("repaired, it differs from what was trained by %.2g", e)
	}
	if report, err = a.DetectUntrainedCores(); err != nil || report.Suspect || strings.Contains(a.String(), "Repair") {
		t.Errorf("repaired, it is still suspect: %+v, %v", report, err)
	}
}

// New tensors are drawn as LyCORIS draws them today and as version 0.1.2 did: deviation and largest value of each. See
// testdata/record_network.py and record_lycoris012.py.
func TestInit(t *testing.T) {
	specs := map[string]Spec{
		"lora/linear": {Kind: LoRA, Dim: 32}, "locon/conv": {Kind: LoCon, Dim: 1, ConvDim: 32}, "locon tucker/conv": {Kind: LoCon, Dim: 1, ConvDim: 32, Tucker: true},
		"loha/linear": {Kind: LoHa, Dim: 32}, "loha/conv": {Kind: LoHa, Dim: 1, ConvDim: 32}, "loha tucker/conv": {Kind: LoHa, Dim: 1, ConvDim: 32, Tucker: true},
		"lokr/linear": {Kind: LoKr, Dim: 8, Factor: 4}, "lokr/conv": {Kind: LoKr, Dim: 1, ConvDim: 4, Factor: 2},
		"lokr tucker/conv":   {Kind: LoKr, Dim: 1, ConvDim: 4, Factor: 2, Tucker: true},
		"lora scalar/linear": {Kind: LoRA, Dim: 32, UseScalar: true}, "loha scalar/linear": {Kind: LoHa, Dim: 32, UseScalar: true},
		"lokr scalar/conv":        {Kind: LoKr, Dim: 1, ConvDim: 4, Factor: 2, UseScalar: true},
		"lokr tucker scalar/conv": {Kind: LoKr, Dim: 1, ConvDim: 4, Factor: 2, Tucker: true, UseScalar: true},
		"lokr full scalar/linear": {Kind: LoKr, Dim: 4, Factor: 16, FullMatrix: true, UseScalar: true},
		"lokr both/linear":        {Kind: LoKr, Dim: 4, Factor: 16, DecomposeBoth: true}, "lokr full/linear": {Kind: LoKr, Dim: 4, Factor: 16, FullMatrix: true},
	}
	layers := map[string]Layer{
		"linear": {Part: checkpoint.UNet, Path: "mid_block.attentions.0.transformer_blocks.0.attn1.to_k", Shape: []int{320, 640}},
		"conv":   {Part: checkpoint.UNet, Path: "down_blocks.0.resnets.0.conv1", Shape: []int{96, 128, 3, 3}},
	}
	for init, file := range map[Init]string{InitToday: "testdata/init.json", Init2023: "testdata/init2023.json"} {
		var recorded map[string]map[string][2]float64
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &recorded); err != nil || len(recorded) < 6 {
			t.Fatal(len(recorded), err)
		}
		for name, want := range recorded {
			spec := specs[name]
			spec.Init = init
			l := layers[name[strings.IndexByte(name, '/')+1:]]
			l.Name = layerName(l.Part, l.Path)
			a, err := build([]Layer{l}, spec, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			if a.Params.Len() != len(want) {
				t.Errorf("%s %s: tensors %v, LyCORIS has %d", init, name, a.Params.Names(), len(want))
			}
			for _, full := range a.Params.Names() {
				_, suffix, _ := strings.Cut(full, ".")
				v := floats(t, a.Params.Get(full))
				if len(v) < 64 {
					continue // too few to tell
				}
				deviation, _ := moments(v)
				if deviation == 0 != (want[suffix][0] == 0) {
					t.Errorf("%s %s %s: deviation %v, want %v", init, name, suffix, deviation, want[suffix][0])
					continue
				}
				// Four standard errors of the difference of two deviations.
				if tolerance := 4 * want[suffix][0] / math.Sqrt(float64(len(v))); math.Abs(deviation-want[suffix][0]) > tolerance {
					t.Errorf("%s %s %s: deviation %v, want %v ± %v", init, name, suffix, deviation, want[suffix][0], tolerance)
				}
				// Drawn uniformly, the largest values of two such tensors differ little; drawn normally they may.
				if most := slices.MaxFunc(v, func(x, y float32) int { return cmpAbs(x, y) }); want[suffix][1] < 2*want[suffix][0] &&
					math.Abs(math.Abs(float64(most))-want[suffix][1]) > 0.1*want[suffix][1] {
					t.Errorf("%s %s %s: the largest value is %v, want %v", init, name, suffix, most, want[suffix][1])
				}
			}
		}
	}
}

func cmpAbs(x, y float32) int {
	switch x, y := math.Abs(float64(x)), math.Abs(float64(y)); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// targets reads the layers that LyCORIS chooses, by preset.
func targets(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	f, err := os.Open("testdata/targets.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Presets choose the layers that they choose in LyCORIS; "attn-only" and "ia3", with which it finds no layer in a UNet of diffusers, those that
// they name.
func TestPresetsAreLyCORIS(t *testing.T) {
	layers := Layers(sd.SD1Config())
	compared := 0
	for preset, data := range targets(t) {
		if preset == "preset.toml" {
			continue
		}
		var want []string
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		spec := Spec{Kind: LoCon, Dim: 8, ConvDim: 4, Preset: preset}
		var got []string
		for _, l := range spec.Select(layers) {
			if preset != "attn-only" && preset != "ia3" || slices.Contains(want, l.Name) {
				got = append(got, l.Name)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %d layers, LyCORIS has %d", preset, len(got), len(want))
		}
		compared++
	}
	if compared != 8 {
		t.Errorf("%d presets compared", compared)
	}
}

// A preset file gives every layer the kind, dim and alpha that LyCORIS gives it.
func TestReadPreset(t *testing.T) {
	var want map[string][]any
	if err := json.Unmarshal(targets(t)["preset.toml"], &want); err != nil {
		t.Fatal(err)
	}
	spec, err := ReadPreset("testdata/preset.toml", Spec{Kind: LoCon, Dim: 8, Alpha: 1, ConvDim: 4, ConvAlpha: 1})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Plan(Layers(sd.SD1Config()), spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plan {
		ls, _ := spec.forLayer(p.Layer)
		w, ok := want[p.Layer.Name]
		if !ok {
			t.Errorf("%s is adapted, LyCORIS leaves it", p.Layer.Name)
			continue
		}
		module := map[Kind]string{LoCon: "LoConModule", LoHa: "LohaModule", LoKr: "LokrModule"}[ls.Kind]
		if w[0] != module || w[1] != float64(ls.dim) || w[2] != p.alpha && ls.Kind != LoKr {
			t.Errorf("%s: %s %d/%v, LyCORIS has %v", p.Layer.Name, module, ls.dim, p.alpha, w)
		}
		delete(want, p.Layer.Name)
	}
	for name := range want {
		t.Errorf("%s is left, LyCORIS adapts it", name)
	}
	for text, message := range map[string]string{
		"unet_target_module = ['Resnet2D']": "nearest: ResnetBlock2D", "use_fnmatsch = true": "use_fnmatsch is not known",
		"unet_target_name = ['.*conv']": "set use_fnmatch", "[module_algo_map.ResnetBlock2D]\nalgo = 'oft'": `algo "oft"`,
		"[module_algo_map.ResnetBlock2D]\nfactor = 3": "factor is not known", "= 3": "",
	} {
		if _, _, err := parsePreset(text); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzPreset(f *testing.F) {
	data, err := os.ReadFile("testdata/preset.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Fuzz(func(t *testing.T, text string) {
		rules, _, err := parsePreset(text)
		if err == nil && !rules[len(rules)-1].Skip {
			t.Error("what the file does not name is adapted")
		}
	})
}
