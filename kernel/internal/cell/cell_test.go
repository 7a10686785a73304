package cell

import (
	"fmt"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// A cell is cut at its top-level statements, whatever their order.
func Example_split() {
	const text = "import \"fmt\"\nx := 1; y := 2\nfunc f() {\n\tx++\n}\nfor i := 0; i < 3; i++ {\n\tf()\n}\nx + y"
	for _, it := range split(text) {
		kind := it.kind.String()
		if it.kind == token.ILLEGAL {
			kind = "statement"
		}
		fmt.Printf("%-9s %q\n", kind, text[it.start:it.end])
	}
	// Output:
	// import    "import \"fmt\""
	// statement "x := 1"
	// statement "y := 2"
	// func      "func f() {\n\tx++\n}"
	// statement "for i := 0; i < 3; i++ {\n\tf()\n}"
	// statement "x + y"
}

// A problem shows the cell's own line with a caret under the column.
func ExampleProblem() {
	src, problems := parse(token.NewFileSet(), "Cell[3]", "x := 1\ny := [x")
	fmt.Println(problems[0])
	fmt.Println(src.problemAt(strings.Index(src.text, "y"), "declared and not used: y"))
	// Output:
	// Cell[3]:2:7: expected ']', found newline
	//     y := [x
	//           ^
	// Cell[3]:2:1: declared and not used: y
	//     y := [x
	//     ^
}

// The compiler's names are turned back into the user's.
func ExampleFrame() {
	names := []string{bodyName("Point", "norm"), bodyName("", "fit"), entry + ".func1"}
	for _, name := range names {
		plain, ok := Frame("session/c3." + name)
		fmt.Printf("%q %t\n", plain, ok)
	}
	// Output:
	// "Point.norm" true
	// "fit" true
	// "" true
}

func TestSplitHeaders(t *testing.T) {
	for text, want := range map[string]int{
		"for i := 0; ; i++ {\n}":                              1,
		"for f := func() bool { return false }; f(); {\n}\nx": 2,
		"if x := 1; x > 0 {\n} else if y := 2; y > 0 {\n}":    1,
		"switch x := 1; x {\ncase 1:\n}; z":                   2,
		"func() { for {} }()":                                 1,
		"type T struct {\n\tA int; B int\n}\nvar t T":         2,
		"L:\nfor i := 0; i < 2; i++ {\n}":                     1,
		"":                                                    0,
		"// only a comment":                                   0,
		"x := []int{\n\t1,\n\t2,\n}\nx":                       2,
		"go func() {\n}()":                                    1,
		"func (t T) M() {}":                                   1,
		"func(t int) int { return t }(1)":                     1,
	} {
		if got := split(text); len(got) != want {
			t.Errorf("%q: %d items, not %d", text, len(got), want)
		}
	}
}

func TestUnmarkName(t *testing.T) {
	for _, c := range []struct {
		flags byte
		text  string
		rest  string
		want  string // flags, length, text and rest
	}{
		{1, "*main." + Mark + "point", "", "\x01\x0b*main.point"},
		{3, Mark + "x", "\x08json:\"-\"", "\x02\x01x\x08json:\"-\""},
		{9, Mark + "base", "", "\x08\x04base"},
		{1, Mark + "area", "", "\x01\x04area"},
		{1, "plain", "", "\x01\x05plain"},
		{1, "*main.box[session/c12." + Mark + "point]", "", "\x01\x15*main.box[main.point]"},
	} {
		data := append([]byte{c.flags, byte(len(c.text))}, c.text+c.rest...)
		unmarkName(data)
		if got := string(data[:len(c.want)]); got != c.want {
			t.Errorf("%q: %q, not %q", c.text, got, c.want)
		}
	}
}

// FuzzParse reads arbitrary text as a cell: whatever it is, there is a syntax tree or a problem inside the text.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"x := 1", "for {", "func f() {}; f()", "a, b", "import \"fmt\"\nfmt.Println(\"ä\")", "}{", "x := `", "1, 2;", "\x00", "if a; b {",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		src, problems := parse(token.NewFileSet(), "Cell[1]", text)
		if len(problems) == 0 && (src.decls == nil || src.body == nil) {
			t.Fatal("neither a tree nor a problem")
		}
		lines := strings.Split(text, "\n")
		for _, p := range problems {
			if p.Line < 1 || p.Line > len(lines) || p.Column < 1 {
				t.Fatalf("%d:%d of %d lines", p.Line, p.Column, len(lines))
			}
			_ = p.String()
		}
		items := split(text)
		if !slices.IsSortedFunc(items, func(a, b item) int { return a.start - b.start }) {
			t.Fatal("items overlap")
		}
	})
}
