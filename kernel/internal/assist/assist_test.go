package assist

import (
	"fmt"
	"testing"
)

// A cell whose brackets are open, or that ends in an operator, goes on.
func ExampleIsComplete() {
	for _, code := range []string{"x := 1", "for {", "x := 1 +", "}"} {
		status, indent := IsComplete(code)
		fmt.Printf("%-8q %s %q\n", code, status, indent)
	}
	// Output:
	// "x := 1" complete ""
	// "for {"  incomplete "\t"
	// "x := 1 +" incomplete "\t"
	// "}"      invalid ""
}

func TestClosers(t *testing.T) {
	for text, want := range map[string]string{"f(a, []int{1": "})", "if x {": "}", "\"(\"": "", "// (": "", "a)": ""} {
		if got := closers(text); got != want {
			t.Errorf("closers(%q) = %q, not %q", text, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for code, want := range map[string]string{
		"x := 1\n%who":             "x := 1\n%who",
		"%time f(x)\ny":            "      f(x)\ny",
		"%%time\nf(x)":             "      \nf(x)",
		"%time\n!ls ü\n\nf(x)\n!a": "     \n      \n\nf(x)\n!a",
		"%%bash\necho f(":          "      \n       ",
		"%who":                     "    ",
		"":                         "",
	} {
		if got, from := plain(code); got != want || from > len(code)+1 {
			t.Errorf("plain(%q) = %q, %d", code, got, from)
		}
	}
}

// FuzzIsComplete reads arbitrary text: no text is anything but complete, incomplete or invalid, and none of it panics.
func FuzzIsComplete(f *testing.F) {
	for _, text := range []string{"x := 1", "for {", "`", "\"", "/*", "%help", "a(", "ä.", "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		switch status, _ := IsComplete(text); status {
		case "complete", "incomplete", "invalid":
		default:
			t.Fatal(status)
		}
		closers(text)
		if code, from := plain(text); len(code) != len(text) || from > len(text)+1 {
			t.Fatalf("%q becomes %q", text, code)
		}
		opening(text)
		for i := range text {
			if start, end := word(text, i); start > i || end < i || end > len(text) {
				t.Fatalf("word at %d is [%d:%d]", i, start, end)
			}
		}
	})
}
