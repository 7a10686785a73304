package train

import (
	"context"
	"image"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
)

// withWords has two placeholders in every caption.
func withWords(cfg Config) Config {
	cfg.Embeddings = []Placeholder{{Name: "Tilty", Init: "girl, hat", LR: 2e-2}, {Name: "<hat>", Vectors: 1, Stop: 4}}
	cfg.Prefix = "tilty <hat>,"
	return cfg
}

// rowsOf reads an embedding.
func rowsOf(t testing.TB, e sd.Embedding) []float32 {
	t.Helper()
	values, err := tensors.CopyFlatData[float32](e.Rows)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// Words are trained with the adapter until they stop, are saved beside it and in it, and draw the same image bit for bit when both come back
// from their files.
func TestPivotalTuning(t *testing.T) {
	cfg := withWords(tinyConfig())
	cfg.Bundle, cfg.SaveDType, cfg.SaveEvery, cfg.SaveKeep, cfg.OutputDir = true, "fp32", 2, 1, t.TempDir()
	cfg.TextStop = 4
	cfg.SampleEvery, cfg.SamplePrompts = 6, "a (tilty:1.2) --n <hat> --s 2 --l 2 --d 0 --w 32 --h 32"
	r := tinyRun(t, cfg)
	tilty, hat := rowsOf(t, r.Adapter.Embeddings[0]), rowsOf(t, r.Adapter.Embeddings[1])
	if r.Adapter.Embeddings[0].Vectors() != 3 || len(r.Warnings) != 0 {
		t.Fatalf("%d vectors, warnings %q", r.Adapter.Embeddings[0].Vectors(), r.Warnings)
	}
	values := func(prefix string) (all []float32) {
		for _, name := range r.Adapter.Params.Names() {
			if strings.HasPrefix(name, prefix) {
				all = append(all, tensors.MustCopyFlatData[float32](r.Adapter.Params.Get(name))...)
			}
		}
		return all
	}
	text := values("lora_te_")
	train(t, r, 4)
	if slices.Equal(values("lora_te_"), text) {
		t.Error("the text encoder's part did not move")
	}
	text, unet := values("lora_te_"), values("lora_unet_")
	after := rowsOf(t, r.Adapter.Embeddings[1])
	if slices.Equal(after, hat) || slices.Equal(rowsOf(t, r.Adapter.Embeddings[0]), tilty) {
		t.Error("a word did not move")
	}
	train(t, r, 2)
	if !slices.Equal(rowsOf(t, r.Adapter.Embeddings[1]), after) {
		t.Error("a word moved after it stopped")
	}
	if !slices.Equal(values("lora_te_"), text) || slices.Equal(values("lora_unet_"), unet) {
		t.Error("the text encoder's part moved after TextStop, or the UNet's did not")
	}

	path := filepath.Join(cfg.OutputDir, "adapter-step00000006.safetensors")
	bundled, err := adapter.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ReadConfig([]byte(bundled.Metadata["lohakit.config"])); err != nil || !reflect.DeepEqual(again, r.Config) {
		t.Errorf("config came back as %+v, %v", again, err)
	}
	if text := bundled.String(); !strings.Contains(text, "; brings Tilty (3 vectors)") {
		t.Error(text)
	}
	var loaded []sd.Embedding
	for _, name := range []string{"Tilty", "<hat>"} {
		e, err := sd.LoadEmbedding(filepath.Join(cfg.OutputDir, "embeddings", name+"-step00000006.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		e.Name = name
		loaded = append(loaded, e)
	}
	if old, _ := filepath.Glob(filepath.Join(cfg.OutputDir, "embeddings", "*4.safetensors")); len(old) > 0 {
		t.Errorf("%q stay", old)
	}
	r.Config.Bundle = false
	alone := filepath.Join(t.TempDir(), "alone.safetensors")
	if err := r.Save(alone); err != nil {
		t.Fatal(err)
	}
	plain, err := adapter.Load(alone)
	if err != nil || len(plain.Embeddings) != 0 || len(r.Adapter.Embeddings) != 2 {
		t.Fatalf("without Bundle %d embeddings, %v", len(plain.Embeddings), err)
	}
	draw := func(a *adapter.Adapter, words []sd.Embedding, prompt string) (img image.Image) {
		o := sample.Options{Prompt: prompt, Negative: "<hat>", Steps: 2, Width: 32, Height: 32, CFG: 2}
		request := sample.Request{Model: r.Model, Adapters: []sample.Applied{sample.At(a, 1)}, Embeddings: words, Options: o}
		if err := sample.Draw(context.Background(), []sample.Request{request}, func(_ int, drawn image.Image) { img = drawn }); err != nil {
			t.Fatal(err)
		}
		return img
	}
	live := draw(r.Adapter, nil, "a (tilty:1.2)")
	if !same(live, r.Previews()[0].Images[0]) {
		t.Error("the preview is not of the words as they are")
	}
	if !same(live, draw(bundled, nil, "a (tilty:1.2)")) {
		t.Error("bundled words draw another image")
	}
	if !same(live, draw(plain, loaded, "a (tilty:1.2)")) {
		t.Error("words from their files draw another image")
	}
	if same(live, draw(plain, nil, "a (tilty:1.2)")) {
		t.Error("the word makes no difference")
	}

	t.Run("continue", func(t *testing.T) {
		more := tinyConfig()
		more.Prefix = cfg.Prefix
		more.Weights = path
		again, err := New(r.Model, r.Data, more)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(again.Config.Embeddings, func(p Placeholder) bool { return p.Name == "Tilty" && p.Vectors == 3 })
		if at < 0 || !slices.Equal(rowsOf(t, again.Adapter.Embeddings[at]), rowsOf(t, r.Adapter.Embeddings[0])) {
			t.Errorf("goes on with %+v", again.Config.Embeddings)
		}
	})
	t.Run("NaN", func(t *testing.T) {
		broken := rowsOf(t, r.Adapter.Embeddings[0])
		broken[5] = float32(math.NaN())
		r.Adapter.Embeddings[0].Rows = tensors.FromFlatDataAndDimensions(broken, 3, 24)
		if err := r.Step(context.Background(), 1, nil); !fault.Is(err, fault.Numeric) || r.Done() != 6 {
			t.Errorf("%v", err)
		}
	})
}

func same(a, b image.Image) bool {
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			if a.At(x, y) != b.At(x, y) {
				return false
			}
		}
	}
	return a.Bounds() == b.Bounds()
}

// The gradient by a word's vectors is that of central differences of the loss.
func TestWordGradient(t *testing.T) {
	r := tinyRun(t, withWords(tinyConfig()))
	if err := r.prepare(context.Background(), func(Status) {}); err != nil {
		t.Fatal(err)
	}
	b, err := r.makeBatch(0)
	if err != nil {
		t.Fatal(err)
	}
	lossAt := func(slot, at int, delta float32) (grads []*tensors.Tensor, loss float64) {
		values := tensors.MustCopyFlatData[float32](r.packed[slot])
		values[at] += delta
		moved := slices.Clone(r.packed)
		moved[slot] = tensors.FromFlatDataAndDimensions(values, r.packed[slot].Shape().Dimensions...)
		grads, err := r.graphs.gradients.Run(moved, r.Model.UNet.Inputs(), r.Model.Text.Inputs(), b.inputs(r.Config))
		if err != nil {
			t.Fatal(err)
		}
		last := len(grads) - 1
		return grads[:last], float64(tensors.MustCopyFlatData[float32](grads[last])[0])
	}
	const step = 1e-2
	for slot := len(r.packed) - 2; slot < len(r.packed); slot++ {
		grads, _ := lossAt(slot, 0, 0)
		got := tensors.MustCopyFlatData[float32](grads[slot])
		largest := 0
		for i, g := range got {
			if math.Abs(float64(g)) > math.Abs(float64(got[largest])) {
				largest = i
			}
		}
		_, up := lossAt(slot, largest, step)
		_, down := lossAt(slot, largest, -step)
		if want := (up - down) / (2 * step); math.Abs(float64(got[largest])-want) > 0.02*math.Abs(want) {
			t.Errorf("slot %d: gradient %.6g, difference %.6g", slot, got[largest], want)
		}
	}
}

// A word that no caption has is named before training, and one that cannot be is refused.
func TestPlaceholderFaults(t *testing.T) {
	cfg := withWords(tinyConfig())
	cfg.Prefix = "untilty, <hat>"
	if r := tinyRun(t, cfg); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], `"Tilty"`) {
		t.Errorf("warnings %q", r.Warnings)
	}
	for want, p := range map[string]Placeholder{
		"a token of the vocabulary already": {Name: "cat"}, "holds space": {Name: "a b"}, "Vectors": {Name: "tilty", Vectors: 76},
		"LR": {Name: "tilty", LR: -1}, "Stop": {Name: "tilty", Stop: -1}, "has no token": {Name: "tilty", Init: " "},
	} {
		cfg.Embeddings = []Placeholder{p}
		if err := cfg.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	cfg.Embeddings = []Placeholder{{Name: "tilty"}, {Name: "Tilty"}}
	if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("two of a name: %v", err)
	}
	wide := sd.Embedding{Name: "tilty", Rows: tensors.FromFlatDataAndDimensions(make([]float32, 768), 1, 768)}
	a, err := adapter.New(tinyModel(t), tinyConfig().Spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	a.Embeddings = []sd.Embedding{wide}
	if err := new(Config).teach(tinyModel(t), a); err == nil || !strings.Contains(err.Error(), "768") || !strings.Contains(err.Error(), "24") {
		t.Errorf("another width: %v", err)
	}
}

// A word may begin as the embedding of a file, whatever that is called there, with as many vectors.
func TestWordBeginsAsItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "earlier.safetensors")
	values := make([]float32, 2*24)
	for i := range values {
		values[i] = float32(i) / 8
	}
	earlier := sd.Embedding{Name: "old", Rows: tensors.FromFlatDataAndDimensions(values, 2, 24)}
	if err := earlier.Save(file, checkpoint.F32, nil); err != nil {
		t.Fatal(err)
	}
	cfg := tinyConfig()
	cfg.Prefix, cfg.Embeddings = "tilty,", []Placeholder{{Name: "tilty", Weights: file}}
	r := tinyRun(t, cfg)
	if e := r.Adapter.Embeddings[0]; e.Name != "tilty" || !slices.Equal(rowsOf(t, e), values) || r.Config.Embeddings[0].Vectors != 2 {
		t.Errorf("%s begins as %v", e, rowsOf(t, e))
	}
	cfg.Embeddings[0].Vectors = 3
	if _, err := New(r.Model, r.Data, cfg); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "3 vectors") {
		t.Errorf("as many vectors as the file has not: %v", err)
	}
	cfg.Embeddings[0] = Placeholder{Name: "tilty", Weights: file, Init: "girl"}
	if err := cfg.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "Weights") {
		t.Errorf("two beginnings: %v", err)
	}
}

// Words may be trained alone: a step moves them, resumes exactly, and saves their files and no adapter's.
func TestWordsAlone(t *testing.T) {
	cfg := tinyConfig()
	cfg.UNetOnly, cfg.TextOnly, cfg.Prefix, cfg.Embeddings = true, true, "tilty,", []Placeholder{{Name: "tilty", Vectors: 2, Init: "girl", LR: 1e-2}}
	r := tinyRun(t, cfg)
	before := rowsOf(t, r.Adapter.Embeddings[0])
	train(t, r, 1)
	if after := rowsOf(t, r.Adapter.Embeddings[0]); slices.Equal(after, before) || r.Adapter.Size() != 0 {
		t.Errorf("the word stays, or %d parameters beside it are trained", r.Adapter.Size())
	}
	resumes(t, r, 1)
	dir := t.TempDir()
	if err := r.Save(filepath.Join(dir, "words.safetensors")); err != nil {
		t.Fatal(err)
	}
	e, err := sd.LoadEmbedding(filepath.Join(dir, "embeddings", "tilty.safetensors"))
	if err != nil || e.Vectors() != 2 {
		t.Errorf("%v, %v", e, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "words.safetensors")); err == nil {
		t.Error("a file without an adapter is written")
	}
}

// Twelve steps of a LoRA and two words, each at a rate of its own and one of them stopping, give the reference's losses and parameters; the
// tolerances are those of the other traces.
func TestPivotalStepsAreTheReferences(t *testing.T) {
	trace, f := openFixture(t, "testdata/trace.safetensors"), openFixture(t, "testdata/pivotal.safetensors")
	cfg := Default()
	cfg.Spec = adapter.Spec{Kind: adapter.LoRA, Preset: "attn-mlp", Dim: 3, Alpha: 1, ConvDim: 2, ConvAlpha: 1}
	cfg.Optimizer, cfg.LR, cfg.Eps = "AdamW", 2e-3, 1e-5
	cfg.Embeddings = []Placeholder{{Name: "a", LR: 1e-2}, {Name: "b", LR: 3e-3, Stop: 8}}
	m := trace.model()
	a, err := adapter.New(m, cfg.Spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range a.Params.Names() {
		values, shape := f.floats("before." + name)
		a.Params.Set(name, tensors.FromFlatDataAndDimensions(values, shape...))
	}
	for _, p := range cfg.Embeddings {
		values, shape := f.floats("before." + p.Name)
		a.Embeddings = append(a.Embeddings, sd.Embedding{Name: p.Name, Rows: tensors.FromFlatDataAndDimensions(values, shape...)})
	}
	r := &Run{Config: cfg, Model: m, Adapter: a, graphs: newGraphs(newNetwork(m, a, cfg), cfg), factor: func(int) float64 { return 1 }}
	losses, _ := f.floats("losses")
	follow(t, trace, r, f.ints("rows"), losses)
	for _, name := range a.Params.Names() {
		f.near("after."+name, a.Params.Get(name))
	}
	for _, e := range a.Embeddings {
		f.near("after."+e.Name, e.Rows)
	}
}
