package sd

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lohakit/notebook/lohakit/fault"
)

// recordedTokens is what testdata/record_tokens.py got from the reference tokenizer.
type recordedTokens struct {
	Text     string
	IDs      []int32
	Mojibake bool // ftfy thought the text wrongly decoded and re-decoded it, which Encode does not do
}

func readTokens(t testing.TB) (record []recordedTokens) {
	data, err := os.ReadFile("testdata/tokens.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	return record
}

func TestEncodeAgainstReference(t *testing.T) {
	compared := 0
	for _, r := range readTokens(t) {
		if r.Mojibake {
			continue
		}
		compared++
		if got := CLIP().Encode(r.Text); !slices.Equal(got, r.IDs) {
			t.Errorf("%.200q:\n got %.300v %q\nwant %.300v %q", r.Text, got, CLIP().Decode(got), r.IDs, CLIP().Decode(r.IDs))
		}
	}
	if compared < 250 {
		t.Errorf("only %d texts compared", compared)
	}
}

// The queue in wordMerger gives what merging all occurrences of the best pair in turn gives, because no merge comes before the
// merges that make its parts.
func TestMergesAreOrdered(t *testing.T) {
	for pair, merged := range CLIP().merge {
		if pair[0] >= merged || pair[1] >= merged {
			t.Fatalf("token %d is made of %v", merged, pair)
		}
	}
}

func TestReadMergesRefusesDamage(t *testing.T) {
	for _, gz := range [][]byte{nil, mergesGzip[:100], mergesGzip[:len(mergesGzip)-9]} {
		if _, err := readMerges(gz); err == nil {
			t.Errorf("%d bytes of the vocabulary were accepted", len(gz))
		}
	}
}

func TestDecode(t *testing.T) {
	for text, want := range map[string]string{
		"A photo, of  IT!":           "a photo , of it ! ",
		"日本語 ☃":                      "日本語 ☃ ",
		"<|startoftext|>x":           "x ",
		"":                           "",
		"masterpieces of mahayuddha": "masterpieces of mahayuddha ",
	} {
		if got := CLIP().Decode(CLIP().Encode(text)); got != want {
			t.Errorf("%q came back as %q", text, got)
		}
	}
	if got := CLIP().Decode([]int32{-1, 1 << 30, BOS, EOS}); got != "" {
		t.Errorf("ids without text gave %q", got)
	}
}

// TestChunk checks the trainer's layout: the padded sequence of maxTokens is cut every 75.
func TestChunk(t *testing.T) {
	ids := make([]int32, 200)
	for i := range ids {
		ids[i] = int32(i)
	}
	for _, c := range []struct{ ids, max, chunks int }{{0, 75, 1}, {75, 75, 1}, {200, 75, 1}, {76, 150, 2}, {10, 225, 3}, {200, 225, 3}} {
		got, err := Chunk(ids[:c.ids], c.max)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != c.chunks*Window {
			t.Fatalf("%d ids at %d: %d ids, want %d chunks", c.ids, c.max, len(got), c.chunks)
		}
		for i, id := range got {
			at := i/Window*75 + i%Window - 1 // place in the text
			want := EOS
			switch {
			case i%Window == 0:
				want = BOS
			case i%Window < Window-1 && at < c.ids:
				want = int32(at)
			}
			if id != want {
				t.Errorf("%d ids at %d: place %d holds %d, want %d", c.ids, c.max, i, id, want)
			}
		}
	}
	if _, err := Chunk(ids, 77); !fault.Is(err, fault.Invalid) {
		t.Errorf("77 tokens: %v", err)
	}
}

// FuzzEncode looks for texts that crash or hang the tokenizer, or give ids outside the vocabulary or far more than there is text.
func FuzzEncode(f *testing.F) {
	for _, r := range readTokens(f) {
		f.Add(r.Text)
	}
	f.Add("\xff\xfe broken")
	f.Add(strings.Repeat("'", 500))
	f.Fuzz(func(t *testing.T, text string) {
		ids := CLIP().Encode(text)
		if len(ids) > 16*len(text) { // one rune of compatibility characters can spell a sentence, no more
			t.Fatalf("%d bytes gave %d tokens", len(text), len(ids))
		}
		for _, id := range ids {
			if id < 0 || id > EOS {
				t.Fatalf("id %d", id)
			}
		}
		if decoded := CLIP().Decode(ids); !utf8.ValidString(decoded) {
			t.Fatalf("decoded %q", decoded)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	text := strings.Repeat("1girl, solo, silver hair, twintails, blue eyes, school uniform, ", 10)
	CLIP()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		CLIP().Encode(text)
	}
}
