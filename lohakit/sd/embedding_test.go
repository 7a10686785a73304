package sd

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// vectors is an embedding of n vectors that count up from 1.
func vectors(name string, n, width int) Embedding {
	values := make([]float32, n*width)
	for i := range values {
		values[i] = float32(i + 1)
	}
	return Embedding{Name: name, Rows: tensors.FromFlatDataAndDimensions(values, n, width)}
}

// Names stand for their vectors' ids where CLIP would divide the text, and the rest is what the tokenizer makes of it.
func TestLexicon(t *testing.T) {
	joined := JoinEmbeddings([]Embedding{vectors("tilty", 1, 8), vectors("<tilty>", 1, 8)}, []Embedding{vectors("tilty-hat", 3, 8), vectors("Tilty", 2, 8)})
	l := NewLexicon(joined...)
	if l.Rows() != 6 {
		t.Fatalf("%d rows", l.Rows())
	}
	ids := func(text string) []int32 { return CLIP().Encode(text) }
	tilty, bracketed, hat := []int32{49408, 49409}, []int32{49410}, []int32{49411, 49412, 49413}
	for text, want := range map[string][]int32{
		"":                     {},
		"a cat":                ids("a cat"),
		"tilty":                tilty,
		"1girl, TILTY, smile":  slices.Concat(ids("1girl, "), tilty, ids(", smile")),
		"Tilty's hat":          slices.Concat(tilty, ids("'s hat")),
		"tilty2":               slices.Concat(tilty, ids("2")),
		"my_tilty_hat":         slices.Concat(ids("my_"), tilty, ids("_hat")),
		"tiltyhat, untilty":    ids("tiltyhat, untilty"),
		"étilty tiltyé":        ids("étilty tiltyé"),
		"tilty-hat, tilty-hot": slices.Concat(hat, ids(", "), tilty, ids("-hot")),
		"(<Tilty>), <tilty>x":  slices.Concat(ids("("), bracketed, ids("), "), bracketed, ids("x")),
		"tilty tilty":          slices.Concat(tilty, tilty),
	} {
		if got := l.Encode(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if l.Span(49408) != 2 || l.Span(49409) != 1 || l.Span(320) != 1 {
		t.Errorf("spans %d, %d, %d", l.Span(49408), l.Span(49409), l.Span(320))
	}
	if got := NewLexicon().Encode("a <|endoftext|> cat"); !slices.Equal(got, ids("a <|endoftext|> cat")) {
		t.Errorf("without embeddings: %v", got)
	}
}

// FuzzLexicon looks for texts that crash the lexicon, give ids that are none, or divide a word's vectors.
func FuzzLexicon(f *testing.F) {
	l := NewLexicon(vectors("tilty", 3, 1), vectors("<é>", 2, 1), vectors("a1", 1, 1))
	for _, text := range []string{"a tilty, <É> a1", "TILTY\xfftilty", "tıltytilty<é><é>", "<|endoftext|>tilty"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids := l.Encode(text)
		for i := 0; i < len(ids); i += l.Span(ids[i]) {
			first, n := ids[i], l.Span(ids[i])
			if first < 0 || first > EOS && !l.Knows(first) || i+n > len(ids) {
				t.Fatalf("id %d", first)
			}
			for k := range n {
				if ids[i+k] != first+int32(k) {
					t.Fatalf("%v is no word of %d vectors", ids[i:i+n], n)
				}
			}
		}
	})
}

func TestCheckEmbeddingName(t *testing.T) {
	for _, name := range []string{"", "cat", "a,b", "a b", "x:y", "a.b", "(a)", "a/b", "\xff", strings.Repeat("tilty", 30)} {
		if err := CheckEmbeddingName(name); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"Tilty", "<tilty>", "sks-dog_1"} {
		if err := CheckEmbeddingName(name); err != nil {
			t.Error(err)
		}
	}
}

// An embedding that holds the rows of tokens is read as those tokens are, by a whole token table and by a compact one: the encoder itself
// is compared with the reference elsewhere.
func TestExtraRowsAreReadAsTokens(t *testing.T) {
	recorded, p, c := recordedText(t, "text.safetensors", 4)
	ids := tensors.MustCopyFlatData[int32](recorded["ids.1"])
	table := tensors.MustCopyFlatData[float32](p.Get("text_model.embeddings.token_embedding.weight"))
	rows := c.rowOf()
	replaced := slices.Clone(ids)
	var extra []float32
	for i, at := range []int{5, 6, 80} {
		row := int(rows[ids[at]])
		extra = append(extra, table[row*c.Width:(row+1)*c.Width]...)
		replaced[at] = vocabulary + int32(i)
	}
	c.Extra = 3
	states := evaluate(t, p, func(w Weights, in []*Node) []*Node {
		with := Weights{Get: func(name string) *Node {
			if name == ExtraRows {
				return in[1]
			}
			return w.Get(name)
		}}
		return []*Node{Context(c, with, in[0], 2)}
	}, tensors.FromFlatDataAndDimensions(replaced, recorded["ids.1"].Shape().Dimensions...), tensors.FromFlatDataAndDimensions(extra, 3, c.Width))
	compare(t, "states", states[0], recorded["states.1.2"])
}

// Both forms of .safetensors come back as they were saved, under the name that the web UIs and diffusers would give them.
func TestEmbeddingFiles(t *testing.T) {
	dir := t.TempDir()
	e := vectors("<tilty>", 3, 8)
	for file, want := range map[string]string{"tilty.safetensors": "tilty", "learned_embeds.safetensors": "<tilty>"} {
		path := filepath.Join(dir, file)
		if err := e.Save(path, checkpoint.F32, map[string]string{"modelspec.title": "x"}); err != nil {
			t.Fatal(err)
		}
		back, err := LoadEmbedding(path)
		if err != nil {
			t.Fatal(err)
		}
		if back.Name != want || len(back.Hash) != 64 || !back.Rows.Equal(e.Rows) {
			t.Errorf("%s: %s of %v", file, back.Name, back.Rows.Shape())
		}
	}
	if err := e.Fits(TextConfig{Width: 768}); !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "8") || !strings.Contains(err.Error(), "768") {
		t.Errorf("another width: %v", err)
	}
	if err := e.Save(filepath.Join(dir, "tilty.pt"), checkpoint.F32, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("a .pt: %v", err)
	}
	bundled, err := e.Bundled(checkpoint.F32)
	if err != nil {
		t.Fatal(err)
	}
	back, ok, err := ReadBundled("a.safetensors", bundled)
	if !ok || err != nil || back.Name != e.Name || !back.Rows.Equal(e.Rows) {
		t.Errorf("bundled as %s: %v, %v", bundled.Name, ok, err)
	}
}

// The web UI's own .pt is read when asked for, and what is no embedding is refused by name.
func TestEmbeddingFilesOfOthers(t *testing.T) {
	dir := t.TempDir()
	if _, err := LoadEmbedding("testdata/embedding.pt"); !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "AllowPickle") {
		t.Errorf("a pickle that was not asked for: %v", err)
	}
	e, err := LoadEmbedding("testdata/embedding.pt", checkpoint.AllowPickle())
	if err != nil {
		t.Fatal(err)
	}
	if want := vectors("", 2, 4); e.Name != "embedding" || !e.Rows.Equal(want.Rows) {
		t.Errorf("%s: %v", e.Name, e.Rows)
	}
	of := func(name string, dims ...int) checkpoint.Tensor {
		n := 1
		for _, d := range dims {
			n *= d
		}
		tensor, err := checkpoint.FromFloats(name, checkpoint.F32, dims, make([]float32, n))
		if err != nil {
			t.Fatal(err)
		}
		return tensor
	}
	nan, err := checkpoint.FromFloats("emb_params", checkpoint.F32, []int{1, 1}, []float32{float32(math.NaN())})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		list []checkpoint.Tensor
		kind fault.Kind
	}{
		"two":     {[]checkpoint.Tensor{of("a", 1, 8), of("b", 1, 8)}, fault.Unsupported},
		"SDXL":    {[]checkpoint.Tensor{of("clip_l", 1, 8), of("clip_g", 1, 8)}, fault.Unsupported},
		"no name": {[]checkpoint.Tensor{of("", 1, 8)}, fault.Unsupported},
		"long":    {[]checkpoint.Tensor{of("emb_params", 76, 8)}, fault.Unsupported},
		"empty":   {[]checkpoint.Tensor{of("emb_params", 0, 8)}, fault.Unsupported},
		"cube":    {[]checkpoint.Tensor{of("emb_params", 1, 1, 8)}, fault.Unsupported},
		"NaN":     {[]checkpoint.Tensor{nan}, fault.Numeric},
	} {
		path := filepath.Join(dir, what+".safetensors")
		if err := checkpoint.Write(path, c.list, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadEmbedding(path); !fault.Is(err, c.kind) {
			t.Errorf("%s: %v", what, err)
		}
	}
	whole, err := os.ReadFile(filepath.Join(dir, "long.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.safetensors")
	if err := os.WriteFile(cut, whole[:len(whole)-7], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadEmbedding(cut); !fault.Is(err, fault.Corrupt) {
		t.Errorf("a file cut short: %v", err)
	}
}
