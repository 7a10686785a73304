package merge

import (
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
)

// card reads one of the two recipes of the model card this kit is built around.
func card(t testing.TB, name string) *Recipe {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name + ".recipe")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestCardRecipes checks the published coefficients of both recipes.
func TestCardRecipes(t *testing.T) {
	const nai, bp, nep, pastel, fantasy, mfb, any = "nai-full-pruned", "bp_nman_e29", "nep", "Pastel-Mix", "fantasyBackground_v10PrunedFp16",
		"MyneFactoryBase_V1.0", "anylora_FTMSE"
	average := card(t, "average").Expand()
	for source, want := range map[string]float64{nai: .143186, bp: .143186, nep: .142971, pastel: .143114, fantasy: .143114, mfb: .142428, any: .142} {
		if got := average[5].Of(source); math.Abs(got-want) > 6e-7 {
			t.Errorf("AleaMix holds %.6f of %s, want %.6f", got, source, want)
		}
	}
	if w := average[5].Warning(); w != "" {
		t.Errorf("an average warns: %s", w)
	}
	difference := card(t, "add-difference").Expand()
	for i, want := range []float64{0.5, 0, -0.5, -1, -1.5, -2} {
		if got := difference[i].Of(nai); got != want {
			t.Errorf("line %d of the add difference holds %g of NAI, want %g", i+1, got, want)
		}
		sum := 0.0
		for _, s := range difference[i] {
			sum += s.Amount
			if s.Source != nai && s.Amount != 0.5 {
				t.Errorf("line %d holds %g of %s, want 0.5", i+1, s.Amount, s.Source)
			}
		}
		if math.Abs(sum-1) > 1e-12 || (difference[i].Warning() != "") != (want < 0) {
			t.Errorf("line %d adds up to %g and warns %q", i+1, sum, difference[i].Warning())
		}
	}
}

// ExampleRecipe_Report says before computing that the fourth model leaves the hull.
func ExampleRecipe_Report() {
	r, err := Parse(`
# three models, then a difference too many
one = nai + bp, 0.5, fp16
two = __O1__ + nep + nai, 0.5, fp16, safetensors
three = __O2__ + pastel + nai, 0.5 # as the card has it
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(r.Report())
	// Output:
	// one = 0.5 nai + 0.5 bp
	// two = 0 nai + 0.5 bp + 0.5 nep
	// three = −0.5 nai + 0.5 bp + 0.5 nep + 0.5 pastel
	//   warning: outside the convex hull of the sources: -0.5 of nai
}

// TestSlipsHavePlaces checks line and column of every kind of error.
func TestSlipsHavePlaces(t *testing.T) {
	for text, place := range map[string]string{
		"a = b + c, 1.5":                      "line 1, column 12",
		"\n  a = b + c, x":                    "line 2, column 14",
		"a = b + c + d, 11":                   "line 1, column 16",
		"a = b, 0.5":                          "line 1, column 5",
		"a = b + c + d + e, 0.5":              "line 1, column 5",
		"a = b + c":                           "line 1, column 1",
		"a b c":                               "line 1, column 1",
		"a = b + c, 0.5\na = d + e, 0.5":      "line 2, column 1",
		"a = b + __O1__, 0.5":                 "line 1, column 9",
		"é = b + c, 0.5\nü = __O3__ + c, 0.5": "line 2, column 5",
		"a = b + c, NaN":                      "line 1, column 12",
		"# only comments":                     "line 1, column 1",
		"__x, hint":                           "line 1, column 1",
		"a = b = c + d, 1":                    "line 1, column 7",
		"a = + c, 0.5":                        "line 1, column 5",
		"a = b + c, 0,5, fp16":                "line 1, column 12",
	} {
		_, err := Parse(text)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Path != place {
			t.Errorf("%q: %v, want it at %s", text, err, place)
		}
	}
	_, err := Parse("a = b, 1\nc = d + e, 2\nf = __O1__ + __O2__, 0.5") // which are there, though wrong
	if err == nil || len(strings.Split(err.Error(), "\n")) != 2 {
		t.Errorf("two errors are reported as %v", err)
	}
}

func TestNamesAndFlags(t *testing.T) {
	r, err := Parse("\ufeff__SD15__, put your own here\r\nx/y = v1+2 + __SD15__, .25, safetensors, what, fp16\n = a + b, 0.3")
	if err != nil {
		t.Fatal(err)
	}
	want := []Line{{2, "x-y", "v1+2", "__SD15__", "", .25, true, "safetensors"}, {3, "a_0.7-b_0.3-Weighted_sum-merged", "a", "b", "", .3, false, ""}}
	if !reflect.DeepEqual(r.Lines, want) || !reflect.DeepEqual(r.Variables, []Variable{{"__SD15__", "put your own here"}}) {
		t.Errorf("%+v, variables %v", r.Lines, r.Variables)
	}
}

// FuzzParse checks that no recipe panics and that the printed form means the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a = b + c, 0.5, fp16", "a=b+c+d,1", "__V__, x\na = __V__ + __O1__, 0", "= + , ", "a = b + c, 1e-400 # d", "a==b+c,0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		r.Report()
		again, err := Parse(r.String())
		if err != nil {
			t.Fatalf("%q prints as %q: %v", text, r, err)
		}
		for i := range r.Lines {
			r.Lines[i].Number, again.Lines[i].Number = 0, 0
		}
		if !reflect.DeepEqual(r.Lines, again.Lines) {
			t.Fatalf("%q prints as %q: %v became %v", text, r, r.Lines, again.Lines)
		}
	})
}
