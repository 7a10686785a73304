package merge

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// stored is a tensor as the recorder wrote it.
type stored struct {
	DType string
	Bits  []int64
}

func (s stored) tensor(t testing.TB, name string) checkpoint.Tensor {
	t.Helper()
	out := checkpoint.Tensor{Name: name, Shape: []int{len(s.Bits)}}
	out.DType = map[string]checkpoint.DType{"torch.float16": checkpoint.F16, "torch.bfloat16": checkpoint.BF16, "torch.float32": checkpoint.F32}[s.DType]
	for _, b := range s.Bits {
		if out.DType == checkpoint.F32 {
			out.Data = binary.LittleEndian.AppendUint32(out.Data, uint32(b))
		} else {
			out.Data = binary.LittleEndian.AppendUint16(out.Data, uint16(b))
		}
	}
	return out
}

const (
	weight    = "model.diffusion_model.middle_block.0.in_layers.2.weight"
	positions = "cond_stage_model.transformer.text_model.embeddings.position_ids"
)

// TestRunBitForBit runs both recipes on files of every type and compares all bits with torch's.
func TestRunBitForBit(t *testing.T) {
	raw, err := os.ReadFile("testdata/merge.json")
	if err != nil {
		t.Fatal(err)
	}
	var kinds map[string]struct {
		Models     map[string]stored
		Average    stored
		Difference stored `json:"add-difference"`
	}
	if err := json.Unmarshal(raw, &kinds); err != nil {
		t.Fatal(err)
	}
	for kind, k := range kinds {
		folder := t.TempDir()
		for name, s := range k.Models {
			position := checkpoint.Tensor{Name: positions, DType: checkpoint.I64, Shape: []int{1}, Data: make([]byte, 8)}
			err := checkpoint.Write(filepath.Join(folder, name+".safetensors"), []checkpoint.Tensor{s.tensor(t, weight), position}, nil)
			if err != nil {
				t.Fatal(err)
			}
		}
		for name, want := range map[string]stored{"average": k.Average, "add-difference": k.Difference} {
			r := card(t, name)
			for i := range r.Lines {
				r.Lines[i].Half = strings.HasSuffix(kind, "fp16")
			}
			results, err := r.Run(context.Background(), Options{Models: InFolder(folder), Folder: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			f, err := checkpoint.Open(results[5].Path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Tensor(weight)
			if err != nil {
				t.Fatal(err)
			}
			expected := want.tensor(t, weight)
			if got.DType != expected.DType || string(got.Data) != string(expected.Data) {
				t.Errorf("%s of %s: %v with other bits than torch's %v", name, kind, got, expected)
			}
			if !f.Has(positions) || f.Metadata[keyMix] != results[5].Mix.String() {
				t.Errorf("%s: the result lacks what is not merged, or its mix: %v", name, f.Metadata)
			}
			f.Close()
		}
	}
}

// two writes models a and b of one float32 tensor.
func two(t testing.TB) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for name, v := range map[string]float32{"model-a": 1, "model-b": 3} {
		write(t, folder, name, v)
	}
	return folder
}

func write(t testing.TB, folder, name string, v ...float32) {
	t.Helper()
	x, err := checkpoint.FromFloats(weight, checkpoint.F32, []int{len(v)}, v)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Write(filepath.Join(folder, name+".safetensors"), []checkpoint.Tensor{x}, map[string]string{"lohakit.heads": "4"}); err != nil {
		t.Fatal(err)
	}
}

func first(t testing.TB, path string) float32 {
	t.Helper()
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := f.Tensor(weight)
	if err != nil {
		t.Fatal(err)
	}
	v, err := x.Floats()
	if err != nil {
		t.Fatal(err)
	}
	return v[0]
}

// TestRunOnce checks what is computed again: nothing, unless the recipe, its weights by block or a model changed.
func TestRunOnce(t *testing.T) {
	folder, out := two(t), t.TempDir()
	run := func(recipe string, o Options) Result {
		t.Helper()
		r, err := Parse(recipe)
		if err != nil {
			t.Fatal(err)
		}
		o.Models, o.Folder = InFolder(folder), out
		results, err := r.Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		return results[len(results)-1]
	}
	const half = "mix = model-a + __B__, 0.5"
	o := Options{Variables: map[string]string{"__B__": "Model-B"}}
	if r := run(half, o); r.Reused || first(t, r.Path) != 2 {
		t.Errorf("first run: %+v, %v", r, first(t, r.Path))
	}
	if r := run(half, o); !r.Reused {
		t.Error("the same recipe is computed again")
	}
	if r := run("mix = model-a + model-b, 0.25", o); r.Reused || first(t, r.Path) != 1.5 {
		t.Errorf("another weight: %+v", r)
	}
	o.Blocks = map[string]Blocks{"mix": {Mid: 1}}
	if r := run("mix = model-a + model-b, 0.25", o); r.Reused || first(t, r.Path) != 3 {
		t.Errorf("with block weights: %+v, %v", r, first(t, r.Path))
	}
	o.Blocks = map[string]Blocks{"mix": {}}
	if r := run("mix = model-a + model-b, 0.25", o); r.Reused || first(t, r.Path) != 1 {
		t.Errorf("with weights of 0: %+v, %v", r, first(t, r.Path))
	}
	o.Blocks = nil
	if r := run("mix = model-a + model-b, 0.25", o); r.Reused || first(t, r.Path) != 1.5 {
		t.Errorf("without block weights: %+v, %v", r, first(t, r.Path))
	}
	o.Blocks = map[string]Blocks{"mix": {Mid: 1}}
	write(t, folder, "model-b", 5)
	if r := run("mix = model-a + model-b, 0.25", o); r.Reused || first(t, r.Path) != 5 {
		t.Errorf("with another model: %+v, %v", r, first(t, r.Path))
	}
}

// TestRunRefuses checks that every bad run is refused before anything is stored.
func TestRunRefuses(t *testing.T) {
	folder := two(t)
	write(t, folder, "wide", 1, 2)
	for recipe, kind := range map[string]fault.Kind{
		"mix = model-a + nobody, 0.5":                           fault.NotExist,
		"mix = model-a + model, 0.5":                            fault.NotExist, // both could be meant
		"mix = model-a + __X__, 0.5":                            fault.NotExist,
		"mix = model-a + wide, 0.5":                             fault.Invalid,
		"wide = model-a + model-b, 0.5":                         fault.Invalid, // would replace a source
		"one = model-a + model-b, 0.5\ntwo = one + nobody, 0.5": fault.NotExist,
	} {
		out := folder
		r, err := Parse(recipe)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(context.Background(), Options{Models: InFolder(folder), Folder: out}); !fault.Is(err, kind) {
			t.Errorf("%q: %v, want kind %v", recipe, err, kind)
		}
		if files, _ := filepath.Glob(filepath.Join(folder, "*")); len(files) != 3 {
			t.Errorf("%q leaves %v", recipe, files)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r, err := Parse("mix = model-a + model-b, 0.5")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(ctx, Options{Models: InFolder(folder), Folder: t.TempDir()}); !fault.Is(err, fault.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
}

// TestRunKeepsItsSources checks that no line replaces a model that the recipe reads, however it is called, even one that a recipe made.
func TestRunKeepsItsSources(t *testing.T) {
	folder := two(t)
	run := func(recipe string, o Options) ([]Result, error) {
		t.Helper()
		r, err := Parse(recipe)
		if err != nil {
			t.Fatal(err)
		}
		if o.Models == nil {
			o.Models = InFolder(folder)
		}
		return r.Run(context.Background(), o)
	}
	if _, err := run("mix = model-a + model-b, 0.5", Options{Folder: folder}); err != nil {
		t.Fatal(err)
	}
	mix := filepath.Join(folder, "mix.safetensors")
	link, other := filepath.Join(t.TempDir(), "link"), t.TempDir()
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(mix, filepath.Join(other, "linked.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := run("line = model-a + model-b, 0.5", Options{Folder: other}); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(other, "line.safetensors"), filepath.Join(other, "same.safetensors")); err != nil {
		t.Fatal(err)
	}
	working, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(working, folder)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		recipe string
		o      Options
	}{
		"itself":           {"mix = mix + model-b, 0.5", Options{Folder: folder}},
		"a variable":       {"mix = __X__ + model-b, 0.5", Options{Folder: folder, Variables: map[string]string{"__X__": "mix"}}},
		"other letters":    {"mix = MIX + model-b, 0.5", Options{Folder: folder}},
		"a linked folder":  {"mix = mix + model-b, 0.5", Options{Folder: link}},
		"a linked file":    {"linked = mix + model-b, 0.5", Options{Folder: other}},
		"a relative path":  {"mix = mix + model-b, 0.5", Options{Folder: relative}},
		"a later line":     {"one = model-a + model-b, 0.5\nmix = one + model-b, 0.5\ntwo = Mix + model-b, 0.5", Options{Folder: folder}},
		"one of two lines": {"line = model-a + model-b, 0.25\nsame = line + model-b, 0.25", Options{Folder: other}},
	} {
		_, err := run(c.recipe, c.o)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "would replace") {
			t.Errorf("%s: %v", name, err)
		}
		if got := first(t, mix); got != 2 {
			t.Fatalf("%s: the source was replaced, it holds %v", name, got)
		}
		if _, err := os.Stat(filepath.Join(folder, "one.safetensors")); err == nil {
			t.Errorf("%s: a line was computed before", name)
		}
	}
	// a result of another line that is in the way is found before the first is computed
	if err := os.WriteFile(filepath.Join(other, "mine.safetensors"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := run("first = model-a + model-b, 0.5\nmine = first + model-b, 0.5", Options{Folder: other}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a file of the second result's name: %v", err)
	}
	if _, err := os.Stat(filepath.Join(other, "first.safetensors")); err == nil {
		t.Error("the first line was computed though the second cannot be stored")
	}
}

// TestRunKeepsNamesApart checks that a variable stands for a model of the folder even after a result of that name.
func TestRunKeepsNamesApart(t *testing.T) {
	folder := two(t)
	r, err := Parse("model-b = model-a + model-b, 0.5\nlast = model-b + __V__, 0.5")
	if err != nil {
		t.Fatal(err)
	}
	results, err := r.Run(context.Background(), Options{Models: InFolder(folder), Folder: t.TempDir(), Variables: map[string]string{"__V__": "model-b"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := first(t, results[1].Path); got != 2.5 { // half of (1+3)/2, half of 3
		t.Errorf("the last line holds %v, want 2.5", got)
	}
}

// TestInFolderFollowsLinks finds models behind links to the folder, to a folder in it, and to a file; a link back, and one to nothing, do no harm.
func TestInFolderFollowsLinks(t *testing.T) {
	far, near := two(t), t.TempDir()
	write(t, near, "model-c", 1)
	for link, to := range map[string]string{"disk": far, "back": near, "gone": filepath.Join(far, "nothing"), "model-d.safetensors": filepath.Join(far, "model-a.safetensors")} {
		if err := os.Symlink(to, filepath.Join(near, link)); err != nil {
			t.Fatal(err)
		}
	}
	find := InFolder(filepath.Join(near, "back"))
	for _, name := range []string{"model-a", "model-b", "model-c", "model-d"} {
		if path, err := find(name); err != nil || !strings.Contains(path, name) {
			t.Errorf("%s: %q, %v", name, path, err)
		}
	}
	if err := os.WriteFile(filepath.Join(near, "model-c.ckpt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := find("model-c"); !fault.Is(err, fault.NotExist) || !strings.Contains(err.Error(), "with its ending") {
		t.Errorf("two of one name: %v", err)
	}
	if path, err := find("Model-c.safetensors"); err != nil || filepath.Base(path) != "model-c.safetensors" {
		t.Errorf("one of two by its ending: %q, %v", path, err)
	}
	if _, err := InFolder(filepath.Join(near, "nowhere"))("model-a"); !fault.Is(err, fault.NotExist) || !strings.Contains(err.Error(), "no such folder") {
		t.Errorf("no folder: %v", err)
	}
}

// TestRunTrustsNoHeader merges what an earlier merge made after its weights were changed, its header kept, as programs do that train on it: it is
// another model, and under another name not one that a recipe may replace.
func TestRunTrustsNoHeader(t *testing.T) {
	folder, out := two(t), t.TempDir()
	run := func(recipe string) (Result, error) {
		t.Helper()
		r, err := Parse(recipe)
		if err != nil {
			t.Fatal(err)
		}
		results, err := r.Run(context.Background(), Options{Models: InFolder(folder), Folder: out})
		if err != nil {
			return Result{}, err
		}
		return results[0], nil
	}
	made, err := run("tuned = model-a + model-b, 0.5")
	if err != nil {
		t.Fatal(err)
	}
	f, err := checkpoint.Open(made.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, v := range []float32{2, 7} {
		x, err := checkpoint.FromFloats(weight, checkpoint.F32, []int{1}, []float32{v})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{filepath.Join(folder, "tuned.safetensors"), filepath.Join(out, "mine.safetensors")} {
			if err := checkpoint.Write(path, []checkpoint.Tensor{x}, f.Metadata); err != nil {
				t.Fatal(err)
			}
		}
		again, err := run("more = tuned + model-a, 0.5")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := first(t, again.Path), (v+1)/2; got != want || again.Reused {
			t.Errorf("model %d: the merge holds %v, want %v; %+v", i, got, want, again)
		}
	}
	if _, err := run("mine = model-a + model-b, 0.5"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a model that kept a merge's header is replaced: %v", err)
	}
	if got := first(t, filepath.Join(out, "mine.safetensors")); got != 7 {
		t.Errorf("it was replaced by %v", got)
	}
}

func TestBlocks(t *testing.T) {
	b, err := ParseBlocks("0.5" + strings.Repeat(", 0", 12) + ", 1" + strings.Repeat(",0.25", 12))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"cond_stage_model.transformer.text_model.final_layer_norm.weight": 0.5, "model.diffusion_model.time_embed.0.weight": 0.5,
		"model.diffusion_model.input_blocks.11.0.in_layers.2.weight": 0, weight: 1, "model.diffusion_model.output_blocks.3.1.proj_in.weight": 0.25,
		"model.diffusion_model.input_blocks.12.0.x": 0.5,
	} {
		if got := b.Weight(name); got != want {
			t.Errorf("%s weighs %g, want %g", name, got, want)
		}
	}
	for _, bad := range []string{"", "1,2", strings.Repeat("x,", 25) + "0"} {
		if _, err := ParseBlocks(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestBlocksInTheHeader checks what results say that are weighted by block, or made of such: no mix, for each block has another.
func TestBlocksInTheHeader(t *testing.T) {
	folder := two(t)
	r, err := Parse("plain = model-a + model-b, 0.5\nby = plain + model-b, 0.5\nof = model-a + by, 0.5")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Models: InFolder(folder), Folder: t.TempDir(), Blocks: map[string]Blocks{"by": {Base: 0.25, Mid: 1}}}
	results, err := r.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		mix    string
		blocks Blocks
	}{{"0.5 model-a + 0.5 model-b", Blocks{}}, {"", o.Blocks["by"]}, {"", Blocks{}}} {
		f, err := checkpoint.Open(results[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		blocks := Blocks{}
		if list := f.Metadata[keyBlocks]; list != "" {
			if blocks, err = ParseBlocks(list); err != nil {
				t.Error(err)
			}
		}
		if got := results[i].Mix.String(); got != want.mix || f.Metadata[keyMix] != want.mix || blocks != want.blocks {
			t.Errorf("%s is said to be %q, %v", results[i].Name, got, f.Metadata)
		}
		f.Close()
	}
	for name, b := range map[string]Blocks{"bye": {}, "by": {Mid: math.NaN()}, "of": {Base: 1.5}} {
		o.Blocks = map[string]Blocks{name: b}
		if _, err := r.Run(context.Background(), o); err == nil {
			t.Errorf("weights %v of %s are taken", b, name)
		}
	}
}

// TestRunReadsCkpt merges a .ckpt that torch wrote with the same tensors as safetensors: half of each is the whole. It is read only when
// that is allowed.
func TestRunReadsCkpt(t *testing.T) {
	folder := t.TempDir()
	for name, source := range map[string]string{"pickled.ckpt": "torch.ckpt", "plain.safetensors": "torch.safetensors"} {
		raw, err := os.ReadFile(filepath.Join("../checkpoint/testdata", source))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Parse("mix = pickled + plain, 0.5")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Models: InFolder(folder), Folder: t.TempDir()}
	if _, err := r.Run(context.Background(), o); !fault.Is(err, fault.Unsupported) {
		t.Errorf("a pickle that was not allowed: %v", err)
	}
	o.Pickle = true
	results, err := r.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	var bytes [2]string
	for i, path := range []string{results[0].Path, filepath.Join(folder, "plain.safetensors")} {
		f, err := checkpoint.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		x, err := f.Tensor("model.diffusion_model.input_blocks.0.0.weight")
		if err != nil {
			t.Fatal(err)
		}
		bytes[i] = string(x.Data)
	}
	if bytes[0] != bytes[1] {
		t.Error("half a model and half of the same are not the model")
	}
}
