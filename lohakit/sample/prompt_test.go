package sample

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// TestScheduleVectors holds the published examples of the web UI's parser: the text of each range of 10 steps.
func TestScheduleVectors(t *testing.T) {
	odd := func(a, b string) (out []string) {
		for range 5 {
			out = append(out, a, b)
		}
		return out
	}
	ranges := func(pairs ...any) (out []string) {
		for i := 0; i < len(pairs); i += 2 {
			for len(out) < pairs[i].(int) {
				out = append(out, pairs[i+1].(string))
			}
		}
		return out
	}
	for prompt, want := range map[string][]string{
		"test":              ranges(10, "test"),
		"a [b:3]":           ranges(3, "a ", 10, "a b"),
		"a [b: 3]":          ranges(3, "a ", 10, "a b"),
		"a [[[b]]:2]":       ranges(2, "a ", 10, "a [[b]]"),
		"[(a:2):3]":         ranges(3, "", 10, "(a:2)"),
		"a [b : c : 1] d":   ranges(1, "a b  d", 10, "a  c  d"),
		"a[b:[c:d:2]:1]e":   ranges(1, "abe", 2, "ace", 10, "ade"),
		"a [unbalanced":     ranges(10, "a [unbalanced"),
		"a [b:.5] c":        ranges(5, "a  c", 10, "a b c"),
		"a [{b|d{:.5] c":    ranges(10, "a [{b|d{:.5] c"),
		"((a][:b:c [d:3]":   ranges(3, "((a][:b:c ", 10, "((a][:b:c d"),
		"[a|(b:1.1)]":       odd("a", "(b:1.1)"),
		"[fe|]male":         odd("female", "male"),
		"[fe|||]male":       {"female", "male", "male", "male", "female", "male", "male", "male", "female", "male"},
		"[a:b:1.0] c":       ranges(10, "a c"),
		"[in front::0.6] x": ranges(6, "in front x", 10, " x"),
	} {
		p := ParsePrompt(prompt)
		for step := 1; step <= 10; step++ {
			// the spaces at the ends of a prompt have no meaning and are not kept
			if got := p.At(step, 10)[0]; strings.TrimSpace(got) != strings.TrimSpace(want[step-1]) {
				t.Errorf("%q at step %d is %q, want %q", prompt, step, got, want[step-1])
			}
		}
	}
}

// TestAttentionVectors holds the published examples of the web UI's parser.
func TestAttentionVectors(t *testing.T) {
	for text, want := range map[string][]Run{
		"normal text":           {{Text: "normal text", Weight: 1}},
		"an (important) word":   {{Text: "an ", Weight: 1}, {Text: "important", Weight: 1.1}, {Text: " word", Weight: 1}},
		"(unbalanced":           {{Text: "unbalanced", Weight: 1.1}},
		`\(literal\]`:           {{Text: "(literal]", Weight: 1}},
		"(unnecessary)(parens)": {{Text: "unnecessaryparens", Weight: 1.1}},
		"a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": {{Text: "a ", Weight: 1}, {Text: "house", Weight: 1.5730000000000004},
			{Text: " ", Weight: 1.1}, {Text: "on", Weight: 1}, {Text: " a ", Weight: 1.1}, {Text: "hill", Weight: .55},
			{Text: ", sun, ", Weight: 1.1}, {Text: "sky", Weight: 1.4641000000000006}, {Text: ".", Weight: 1.1}},
		"":               {{Weight: 1}},
		"a BREAK b":      {{Text: "a", Weight: 1}, {Break: true}, {Text: "b", Weight: 1}},
		"(a BREAK b:2)":  {{Text: "a", Weight: 2}, {Break: true}, {Text: "b", Weight: 2}},
		"BREAKFAST":      {{Text: "BREAKFAST", Weight: 1}},
		"(a: 1.5 ) (b:)": {{Text: "a", Weight: 1.5}, {Text: " ", Weight: 1}, {Text: "b:", Weight: 1.1}},
	} {
		got := Attention(text)
		same := len(got) == len(want)
		for i := 0; same && i < len(got); i++ {
			same = got[i].Text == want[i].Text && got[i].Break == want[i].Break && math.Abs(got[i].Weight-want[i].Weight) < 1e-12
		}
		if !same {
			t.Errorf("%q gives %v, want %v", text, got, want)
		}
	}
}

func TestNetworks(t *testing.T) {
	p := ParsePrompt("girl <lora:anisphia:0.8>, <lora:kantoku:0.5:1> sky <lora:ke-ta> AND <lora:x:te=.2:unet=3:dyn=4> rain :0.7")
	want := []Network{{"lora", "anisphia", .8, .8, nil}, {"lora", "kantoku", .5, 1, nil}, {"lora", "ke-ta", 1, 1, nil}, {"lora", "x", .2, 3, []string{"dyn=4"}}}
	if !reflect.DeepEqual(p.Networks, want) {
		t.Errorf("networks %v, want %v", p.Networks, want)
	}
	if got := p.At(1, 1); !reflect.DeepEqual(got, []string{"girl ,  sky", "rain"}) || p.Parts[1].Weight != .7 {
		t.Errorf("parts %q, weights %v", got, p.Parts)
	}
	if n := ParsePrompt("<lora:x:0.5:heavy>"); len(n.Warnings) != 1 || n.Networks[0].UNet != 1 || !strings.Contains(n.Warnings[0].Message, "1 is used") {
		t.Errorf("a weight that is no number is read as %v, with %v", n.Networks, n.Warnings)
	}
	if n := ParseNegative("bad <lora:x:1> AND worse"); len(n.Parts) != 1 || len(n.Networks) != 0 {
		t.Errorf("the negative prompt has %d parts and networks %v", len(n.Parts), n.Networks)
	}
}

// TestWarningsPoint checks that each slip is found at its own character, also behind text that was cut out.
func TestWarningsPoint(t *testing.T) {
	for prompt, marked := range map[string]string{
		"a (b":                       "(",
		"a b) c":                     ")",
		"<lora:x:1>\n# note\nsun (b": "(",
		"a [b:c] d":                  "[",
		"<lora:y:heavy> sun":         "<",
		"a AND b | c":                "|",
		"x AND (y:1.2.3)":            ":",
	} {
		p := ParsePrompt(prompt)
		if len(p.Warnings) != 1 {
			t.Errorf("%q warns %v, want one warning", prompt, p.Warnings)
			continue
		}
		if at := p.Warnings[0].At; !strings.HasPrefix(prompt[at:], marked) {
			t.Errorf("%q warns about %q, want %q: %v", prompt, prompt[at:], marked, p.Warnings)
		}
	}
	for _, fine := range []string{"a (b:1.2), [c], [d:e:3] [f|g] \\( <lora:x> AND h :2", ""} {
		if w := ParsePrompt(fine).Warnings; len(w) > 0 {
			t.Errorf("%q warns %v", fine, w)
		}
	}
}

// TestPastedTextTakesLinearMemory parses long texts of one repeated piece of syntax. What copies the text for each piece takes thousands of
// times its length.
func TestPastedTextTakesLinearMemory(t *testing.T) {
	const size, most = 16_000, 2_000 // bytes, and bytes of memory for each
	for _, piece := range []string{"a ", ":", ")", `\(`, `\a`, "(", "[a", "(]", "#\n", "#\n)\n", "<lora:x:1>", "<lo<lora:x>", "<a:", " AND ", " BREAK ", "[a:b:3]",
		"[a|b]", "[a:b]", "(a:1.1)", ":1", "日(é"} {
		text := strings.Repeat(piece, size/len(piece))
		for _, text := range []string{text, "[" + text + "|]", strings.Repeat("(", size/4) + text[:size/2/len(piece)*len(piece)] + strings.Repeat(")", size/4)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p := ParsePrompt(text)
			for _, w := range p.Warnings {
				w.Where(text)
			}
			for _, part := range p.At(1, 1) {
				Attention(part)
			}
			runtime.ReadMemStats(&after)
			if got := (after.TotalAlloc - before.TotalAlloc) / size; got > most {
				t.Errorf("%.10q… takes %d bytes of memory for each byte", text, got)
			}
		}
	}
}

// Brackets within 64 others weigh nothing, open or closed.
func TestAttentionHasABottom(t *testing.T) {
	for _, text := range []string{strings.Repeat("(", 500) + "a" + strings.Repeat(")", 500), strings.Repeat("(", 500) + "a"} {
		if got, want := Attention(text)[0], math.Pow(1.1, maxNesting); got.Text != "a" || math.Abs(got.Weight/want-1) > 1e-9 {
			t.Errorf("%.10q… gives %v, want the weight %g", text, got, want)
		}
	}
	if runs := Attention(strings.Repeat("[", 64) + "(a)"); len(runs) != 1 || math.Abs(runs[0].Weight*math.Pow(1.1, 63)-1) > 1e-9 {
		t.Errorf("round brackets in square ones give %v", runs)
	}
}

// ExampleWarning_Where points at a slip the way a notebook shows it.
func ExampleWarning_Where() {
	p := ParsePrompt("Anisphia, (smile:1.2, outdoors")
	for _, w := range p.Warnings {
		fmt.Println(w.Where(p.Text))
	}
	// Output:
	// Anisphia, (smile:1.2, outdoors
	//           ^ this ( is not closed: it holds to the end
}

// FuzzPrompt checks that no text panics, that every warning lies within it, and that the printed form means the same.
func FuzzPrompt(f *testing.F) {
	for _, s := range []string{"a [b:c:.5] (d:1.2) <lora:x:1> AND e:2", "[a|b|", "\\", "# c\na", "((((", "[[a:3]:b:4] BREAK", "(a:1e9", "é\\é[日本:3]", "<lo<lora:x>ra:y>AND"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := ParsePrompt(text)
		for _, w := range p.Warnings {
			if w.At < 0 || w.At > len(text) {
				t.Fatalf("%q: warning at %d of %d", text, w.At, len(text))
			}
			w.Where(text)
		}
		if len(text) > maxPrompt/2 {
			return
		}
		again := ParsePrompt(p.String())
		if !reflect.DeepEqual(again.Networks, p.Networks) && fmt.Sprint(again.Networks) != fmt.Sprint(p.Networks) {
			t.Fatalf("%q prints as %q: networks %v became %v", text, p, p.Networks, again.Networks)
		}
		if len(again.Parts) != len(p.Parts) {
			t.Fatalf("%q prints as %q: %d parts became %d", text, p, len(p.Parts), len(again.Parts))
		}
		for step := 1; step <= 4; step++ {
			was, is := p.At(step, 4), again.At(step, 4)
			for i := range was {
				if p.Parts[i].Weight != again.Parts[i].Weight || !reflect.DeepEqual(Attention(was[i]), Attention(is[i])) {
					t.Fatalf("%q prints as %q: at step %d %q became %q", text, p, step, was[i], is[i])
				}
			}
		}
	})
}
