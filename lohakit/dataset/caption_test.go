package dataset

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCaptions(t *testing.T) {
	const tags = "Euphyllia, dress , smile, hat\nsecond line"
	for _, c := range []struct {
		name     string
		captions Captions
		caption  string
		step     int
		want     string
	}{
		{"untouched", Captions{}, tags, 0, "Euphyllia, dress , smile, hat"},
		{"prefix and suffix", Captions{Prefix: "fanart", Suffix: "best"}, "hat", 0, "fanart hat best"},
		{"every second epoch", Captions{DropoutEveryNEpochs: 2}, tags, 0, ""},
		{"certain dropout", Captions{Dropout: 1, Prefix: "x"}, tags, 0, ""},
		{"dropout leaves nothing to replace", Captions{Dropout: 1, Replace: [][2]string{{"", "sks"}}}, tags, 0, ""},
		{"replacement of everything", Captions{Replace: [][2]string{{"", "sks"}}}, tags, 0, "sks"},
		{"certain tag dropout", Captions{TagDropout: 1, KeepTokens: 2}, tags, 0, "Euphyllia, dress"},
		{"fixed by separator", Captions{TagDropout: 1, KeepTokensSeparator: "|||"}, "a, b ||| c, d ||| e, , f", 0, "a, b, e, f"},
		{"warm-up at its start", Captions{TokenWarmupStep: 10}, "a, b, c, d, e", 0, "a"},
		{"warm-up half way", Captions{TokenWarmupStep: 10}, "a, b, c, d, e", 5, "a, b, c"},
		{"warm-up as a share", Captions{TokenWarmupStep: 0.5, KeepTokens: 1}, "a, b, c, d, e", 25, "a, b, c"},
		{"warm-up over", Captions{TokenWarmupStep: 10}, "a, b, c, d, e", 10, "a, b, c, d, e"},
		{"secondary separator", Captions{SecondarySeparator: ";;;"}, "a;;;b, c", 0, "a,b, c"},
		{"wildcards of one choice", Captions{Wildcards: true}, "{red} hat {{x}}", 0, "red hat {x}"},
		{"replacements in order", Captions{Replace: [][2]string{{"hat", "cap"}, {"cap", "sks"}}}, "hat", 0, "sks"},
	} {
		full, err := c.captions.complete()
		if err != nil {
			t.Fatal(err)
		}
		if got := full.Draw(c.caption, rand.New(rand.NewPCG(1, 1)), 2, c.step, 100); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// Over many draws each random operation does what its probability says.
func TestCaptionDistributions(t *testing.T) {
	c, _ := Captions{Shuffle: true, KeepTokens: 1, TagDropout: 0.25, Dropout: 0.1, Wildcards: true}.complete()
	const n = 20000
	empty, hat, second, red := 0, 0, 0, 0
	for i := range n {
		got := c.Draw("girl, hat, {red|blue} dress", rand.New(rand.NewPCG(7, uint64(i))), 1, 0, 0)
		if got == "" {
			empty++
			continue
		}
		tags := strings.Split(got, ", ")
		if tags[0] != "girl" {
			t.Fatalf("the first tag moved: %q", got)
		}
		if strings.Contains(got, "hat") {
			hat++
		}
		if len(tags) == 3 && tags[1] == "hat" {
			second++
		}
		if strings.Contains(got, "red") {
			red++
		}
	}
	rest := float64(n - empty)
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"empty", float64(empty) / n, 0.1}, {"hat kept", float64(hat) / rest, 0.75}, {"hat second", float64(second) / rest, 0.5 * 0.75 * 0.75},
		{"red", float64(red) / rest, 0.5 * 0.75}} {
		if math.Abs(c.got-c.want) > 0.015 {
			t.Errorf("%s: %.3f, want %.3f", c.name, c.got, c.want)
		}
	}
}

func FuzzCaption(f *testing.F) {
	f.Add("a, b ||| c\nd {e|f} {{g}}", "|||", ";;;", uint8(255), 3.5)
	f.Add("{|}{", "", ",", uint8(7), 0.0)
	f.Fuzz(func(t *testing.T, caption, keep, secondary string, flags uint8, warm float64) {
		c, err := Captions{Shuffle: flags&1 > 0, Wildcards: flags&2 > 0, TagDropout: float64(flags&4) / 8, KeepTokens: int(flags >> 5),
			KeepTokensSeparator: keep, SecondarySeparator: secondary, TokenWarmupStep: warm}.complete()
		if err != nil {
			return
		}
		a := c.Draw(caption, rand.New(rand.NewPCG(1, 2)), 1, 3, 100)
		if b := c.Draw(caption, rand.New(rand.NewPCG(1, 2)), 1, 3, 100); a != b {
			t.Errorf("two draws of one stream: %q and %q", a, b)
		}
		if utf8.ValidString(caption) && utf8.ValidString(keep) && utf8.ValidString(secondary) && !utf8.ValidString(a) {
			t.Errorf("%q became %q", caption, a)
		}
	})
}
