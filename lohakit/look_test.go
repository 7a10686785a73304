package lohakit_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit"
	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// ofRandom is an adapter of the middle of the miniature whose parameters are random.
func ofRandom(t *testing.T, m *lohakit.Model, kind adapter.Kind, seed uint64, change ...func(*adapter.Spec)) *adapter.Adapter {
	t.Helper()
	spec := adapter.Spec{Kind: kind, Dim: 4, ConvDim: 2, Alpha: 1, ConvAlpha: 1, Preset: "unet-transformer-only",
		Rules: []adapter.Rule{{Match: "up_blocks.*", Skip: true}, {Match: "down_blocks.*", Skip: true}}}
	for _, f := range change {
		f(&spec)
	}
	a, err := adapter.New(m.Model, spec, seed)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	for _, name := range a.Params.Names() {
		v := make([]float32, a.Params.Get(name).Size())
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		a.Params.Set(name, tensors.FromFlatDataAndDimensions(v, a.Params.Shape(name)...))
	}
	return a
}

// shows checks that a value is shown as HTML that holds the parts, and as text.
func shows(t *testing.T, what string, x interface{ MIMEBundle() map[string]any }, err error, parts ...string) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	bundle := x.MIMEBundle()
	if text, _ := bundle["text/plain"].(string); text == "" {
		t.Errorf("%s has no text", what)
	}
	html, _ := bundle["text/html"].(string)
	for _, part := range parts {
		if !strings.Contains(html, part) {
			t.Errorf("%s does not show %q", what, part)
		}
	}
}

const drawn = "data:image/png;base64,"

// TestLookInside goes through the verbs as a notebook does, over the shipped model.
func TestLookInside(t *testing.T) {
	base, err := lohakit.Open("miniature")
	if err != nil {
		t.Fatal(err)
	}
	loha, locon := ofRandom(t, base, adapter.LoHa, 1), ofRandom(t, base, adapter.LoCon, 2)
	d, err := base.Adds(loha)
	if err != nil {
		t.Fatal(err)
	}
	e, err := base.Adds(locon)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Spectrum("")
	shows(t, "a spectrum", s, err, drawn, "cross-attention", "all 12 layers")
	if got := s.Of[0].RankAt(1 - 1e-9); got != 16 {
		t.Errorf("a LoHa of dim 4 has rank %d", got)
	}
	if p, err := s.Energy(); err != nil || p.Image == nil {
		t.Errorf("energy: %v", err)
	}
	if p, err := s.Within(); err != nil || p.Image == nil {
		t.Errorf("the card's claim: %v", err)
	}
	leading, err := d.Leading("*.attn2.*", 5)
	shows(t, "leading values", leading, err, drawn, "energy in 5")

	both, err := d.Plus(e, -1)
	if err != nil {
		t.Fatal(err)
	}
	x, err := both.Inspect("*.attn2.to_q")
	shows(t, "what tells two adapters apart", x, err, drawn, "<svg", "mid_block.attentions.0.transformer_blocks.0.attn2.to_q")
	weights, err := base.Inspect("mid_block.attentions.0.*.to_q.weight")
	shows(t, "weights", weights, err, "<svg", "attn1.to_q")
	if _, err := base.Inspect("mid_blok.*"); !fault.Is(err, fault.NotExist) {
		t.Errorf("a slip: %v", err)
	}

	curve, err := d.Compress(1, 4, 16)
	shows(t, "compression", curve, err, drawn)
	if last := curve.Points[2].Error; last > 1e-6 {
		t.Errorf("all ranks miss %v", last)
	}
	extracted, err := d.Extract(lohakit.Ranks(16))
	shows(t, "an extraction", extracted, err, drawn, "all 12 layers")
	if extracted.Missed() > 1e-3 {
		t.Errorf("all ranks miss %v", extracted.Missed())
	}
	resized, err := base.Resize(locon, lohakit.Energy(0.9))
	shows(t, "a resized LoCon", resized, err, "misses")
	if m := resized.Missed(); m == 0 || m > math.Sqrt(0.1)+1e-3 {
		t.Errorf("with 0.9 of the energy it misses %v", m)
	}
	smaller, err := base.ResizeLoHa(loha, 3, 1)
	shows(t, "a smaller LoHa", smaller, err, "misses")

	merged, err := base.MergeAdapters(lohakit.Weighted{Adapter: loha, Weight: 0.5}, lohakit.Weighted{Adapter: locon, Weight: 1})
	if err != nil {
		t.Fatal(err)
	}
	with, err := base.With(merged, 1)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := with.Merged()
	if err != nil {
		t.Fatal(err)
	}
	change, err := whole.Minus(base)
	if err != nil {
		t.Fatal(err)
	}
	want, err := e.Plus(d, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	off, err := change.Plus(want, -1)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := off.Inspect("mid_block.attentions.0.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rest {
		if r.Largest > 0.02 { // of about 10, stored as float16
			t.Errorf("%s: merged model and adapters differ by %v", r.Name, r.Largest)
		}
	}
}

// TestExtractionLetsGo checks that what is extracted of two models does not keep them in memory.
func TestExtractionLetsGo(t *testing.T) {
	base, err := lohakit.Open("miniature")
	if err != nil {
		t.Fatal(err)
	}
	made, changed := func() (lohakit.Made, weak.Pointer[tensors.Tensor]) {
		tuned := &lohakit.Model{Model: base.Shared(), Name: "tuned"}
		const name = "mid_block.attentions.0.proj_in.weight"
		weight := tensors.FromFlatDataAndDimensions(make([]float32, tuned.UNet.Get(name).Size()), tuned.UNet.Shape(name)...)
		tuned.UNet.Set(name, weight)
		d, err := tuned.Minus(base)
		if err != nil {
			t.Fatal(err)
		}
		made, err := d.Extract(lohakit.Ranks(1))
		if err != nil {
			t.Fatal(err)
		}
		return made, weak.Make(weight)
	}()
	runtime.GC()
	runtime.GC()
	if changed.Value() != nil {
		t.Error("the model's weight is still there")
	}
	if text := made.String(); !strings.HasPrefix(text, "locon of tuned − miniature: 1 of ") {
		t.Error(text)
	}
}

// TestResizeKeepsTheRest checks that normalisations and words, which have no ranks, are not lost with them.
func TestResizeKeepsTheRest(t *testing.T) {
	base, err := lohakit.Open("miniature")
	if err != nil {
		t.Fatal(err)
	}
	a := ofRandom(t, base, adapter.LoHa, 1, func(s *adapter.Spec) { s.TrainNorm = true })
	word, err := base.NewEmbedding("my-tilty", "girl", 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	a.Embeddings = append(a.Embeddings, word)
	const norm = "lora_unet_mid_block_attentions_0_norm.w_norm"
	want := tensors.MustCopyFlatData[float32](a.Params.Get(norm))
	for what, resize := range map[string]func() (lohakit.Made, error){
		"as a LoCon": func() (lohakit.Made, error) { return base.Resize(a, lohakit.Ranks(2)) },
		"as a LoHa":  func() (lohakit.Made, error) { return base.ResizeLoHa(a, 2, 1) },
	} {
		made, err := resize()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := made.Save(path, nil); err != nil {
			t.Fatal(err)
		}
		saved, err := lohakit.LoadAdapter(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(saved.Embeddings) != 1 || saved.Embeddings[0].Name != "my-tilty" || !saved.Params.Has(norm) || len(saved.Names()) != len(a.Names()) {
			t.Errorf("%s: what is left is %v with %d layers of %d", what, saved, len(saved.Names()), len(a.Names()))
			continue
		}
		for i, v := range tensors.MustCopyFlatData[float32](saved.Params.Get(norm)) {
			if math.Abs(float64(v-want[i])) > 1e-3*math.Abs(float64(want[i])) {
				t.Errorf("%s: the normalisation's element %d is %v, it was %v", what, i, v, want[i])
				break
			}
		}
	}
}

// TestFilesAndRecipes compares files, merges them and measures their distances.
func TestFilesAndRecipes(t *testing.T) {
	base, err := lohakit.Open("miniature")
	if err != nil {
		t.Fatal(err)
	}
	folder, out := t.TempDir(), filepath.Join(t.TempDir(), "merged")
	if err := os.Mkdir(out, 0o755); err != nil {
		t.Fatal(err)
	}
	save := func(name string, a *adapter.Adapter) string {
		m := base
		if a != nil {
			with, err := base.With(a, 0.01)
			if err != nil {
				t.Fatal(err)
			}
			if m, err = with.Merged(); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(folder, name+".safetensors")
		if err := m.Save(path, checkpoint.F16); err != nil {
			t.Fatal(err)
		}
		return path
	}
	source, one := save("source", nil), save("one", ofRandom(t, base, adapter.LoCon, 1))
	save("two", ofRandom(t, base, adapter.LoCon, 2))
	d, err := lohakit.Between(one, source)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Spectrum("mid_block.attentions.0.*.to_q")
	shows(t, "two files", s, err, drawn)
	if got := s.Of[0].RankAt(0.99); got > 4 {
		t.Errorf("a LoCon of rank 4 was merged, and the files differ in rank %d", got)
	}
	x, err := lohakit.InspectFile(one, "*middle_block.1.proj_in.*")
	shows(t, "a file", x, err, "F16", "<svg")

	r, err := lohakit.ReadRecipe("mix = one + two, 0.5, fp16\nfar = __O1__ + two + source, 1.5, fp16")
	shows(t, "a recipe", r, err, "outside the convex hull", "−1.5")
	results, err := r.Run(folder, out)
	shows(t, "merges", results, err, "computed")
	again, err := r.Run(folder, out)
	shows(t, "the same again", again, err, "was there")
	if _, err := lohakit.ReadRecipe("mix = one, 0.5"); err == nil || !strings.Contains(err.Error(), "line 1, column 7") {
		t.Errorf("a slip: %v", err)
	}

	mixed, err := lohakit.Open(results[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	tuned, err := mixed.With(ofRandom(t, base, adapter.LoCon, 3), 0.01)
	if err == nil {
		tuned, err = tuned.Merged()
	}
	if err != nil {
		t.Fatal(err)
	}
	for key := range tuned.Metadata {
		if strings.HasPrefix(key, "lohakit.merge.") {
			t.Errorf("with an adapter merged into it the model still has %s", key)
		}
	}
	if mixed.Metadata["lohakit.merge.mix"] != "0.5 one + 0.5 two" {
		t.Errorf("the merge says %v", mixed.Metadata)
	}

	near, err := lohakit.Distances(folder)
	shows(t, "distances", near, err, drawn)
	if p, err := near.Blocks("source"); err != nil || p.Image == nil {
		t.Errorf("blocks: %v", err)
	}
	if _, err := near.Blocks("nobody"); !fault.Is(err, fault.NotExist) {
		t.Errorf("blocks of none: %v", err)
	}
}

// TestDistancesOfAnyFolder finds the models of a folder whose name looks like a pattern.
func TestDistancesOfAnyFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "models [old]*")
	for name, v := range map[string]float32{"a": 1, "b": 2} {
		x, err := checkpoint.FromFloats("model.diffusion_model.middle_block.0.weight", checkpoint.F32, []int{1}, []float32{v})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := checkpoint.Write(filepath.Join(folder, name+".safetensors"), []checkpoint.Tensor{x}, nil); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(t.TempDir(), "new")
	if err := os.Symlink(folder, other); err != nil {
		t.Fatal(err)
	}
	alike, err := lohakit.Distances(folder, filepath.Join(other, "b.safetensors"))
	if err != nil || !reflect.DeepEqual(alike.Names, []string{"a", filepath.Join(folder, "b"), filepath.Join(other, "b")}) {
		t.Errorf("of like names: %v, %v", alike, err)
	}
	d, err := lohakit.Distances(folder)
	if err != nil || !reflect.DeepEqual(d.Names, []string{"a", "b"}) || math.Abs(d.Of[0][1]-math.Sqrt(0.5)) > 1e-12 {
		t.Errorf("%v, %v", d, err)
	}
}

// TestWatch records ranks while training, and draws them. What was asked for halfway stays what it was then, and the kernel is told of the state
// that is kept beside a saved file.
func TestWatch(t *testing.T) {
	base, data := shipped(t)
	c := smallRun()
	c.Preset, c.ValidateEvery, c.ValidationBatches, c.SaveState = "te-only", 2, 1, true
	run, err := base.Train(data, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Ranks(); !fault.Is(err, fault.NotExist) {
		t.Errorf("before a step: %v", err)
	}
	if err := run.Watch("lora_te_*fc1", 2); err != nil {
		t.Fatal(err)
	}
	norm := func(d lohakit.Difference, err error) float64 {
		t.Helper()
		x, _ := d.Inspect("*layers.0.mlp.fc1")
		if err != nil || len(x) != 1 {
			t.Fatalf("%s: %v, %v", d.Title, x, err)
		}
		return x[0].Norm
	}
	if err := run.Step(2); err != nil {
		t.Fatal(err)
	}
	halfway := run.Difference()
	adapted, err := run.Adapted(1)
	if err != nil {
		t.Fatal(err)
	}
	before := norm(run.Difference(), nil)
	if err := run.Step(2); err != nil {
		t.Fatal(err)
	}
	if got := norm(halfway, nil); got != before || halfway.Title != "ΔW after 2 steps" {
		t.Errorf("%s became %v, it was %v", halfway.Title, got, before)
	}
	if got := norm(base.Adds(adapted.Adapters[0].Adapter)); got != before {
		t.Errorf("the model adapted halfway became one of norm %v, it was of %v", got, before)
	}
	if got := norm(run.Difference(), nil); got == before {
		t.Error("training changed nothing")
	}
	drawn, err := run.Loss()
	if err != nil {
		t.Fatal(err)
	}
	losses, measured := chart.Series{X: []float64{1, 2, 3, 4}, Y: run.Losses()}, chart.Series{Name: "fixed noise", Measured: true}
	for _, v := range run.Checks() {
		measured.X, measured.Y = append(measured.X, float64(v.Step)), append(measured.Y, v.Loss)
	}
	want, err := chart.Loss(chart.Look{Title: "training loss", Width: 640, Height: 320}, 0, losses, measured)
	if err != nil || !reflect.DeepEqual(drawn.Image, want) {
		t.Errorf("the validations %v are not drawn as measured, %v", measured.Y, err)
	}
	note, folder := filepath.Join(t.TempDir(), "note"), t.TempDir()
	t.Setenv(lohakit.CheckpointNote, note)
	if err := run.Save(filepath.Join(folder, "a.safetensors")); err != nil {
		t.Fatal(err)
	}
	if told, err := os.ReadFile(note); err != nil || string(told) != filepath.Join(folder, "a-state.safetensors") {
		t.Errorf("the kernel is told of %q, %v", told, err)
	}
	if p, err := run.Ranks(); err != nil || p.Caption != "effective rank of 3 layers over 4 steps" {
		t.Errorf("%q, %v", p.Caption, err)
	}
	if err := run.Watch("lora_te_*fc3", 2); !fault.Is(err, fault.NotExist) {
		t.Errorf("a slip: %v", err)
	}
	if err := run.Watch("", 0); !fault.Is(err, fault.Invalid) {
		t.Errorf("every 0 steps: %v", err)
	}
	x, err := run.Inspect("*layers_0_mlp_fc1.*")
	shows(t, "what is trained", x, err, "hada_w1_a")
}

// A recipe shows what it comes to before it runs.
func ExampleReadRecipe() {
	r, err := lohakit.ReadRecipe(`
tmp1 = nai + bp, 0.5, fp16
tmp2 = __O1__ + nep + nai, 0.5, fp16
tmp3 = __O2__ + pastel + nai, 0.5, fp16
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(r.MIMEBundle()["text/plain"])
	// Output:
	// tmp1 = 0.5 nai + 0.5 bp
	// tmp2 = 0 nai + 0.5 bp + 0.5 nep
	// tmp3 = −0.5 nai + 0.5 bp + 0.5 nep + 0.5 pastel
	//   warning: outside the convex hull of the sources: -0.5 of nai
}

// What a fine-tuned checkpoint changed, as a LoCon of rank 16 and its error.
func ExampleDifference_Extract() {
	base, err := lohakit.Open("miniature")
	if err != nil {
		fmt.Println(err)
		return
	}
	other, err := lohakit.Open("miniature") // in life: your fine-tuned checkpoint
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := other.Minus(base)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = d.Extract(lohakit.Ranks(16))
	fmt.Println(err)
	// Output: extract: no layer differs; compare a fine-tuned model with the one it was trained from
}
