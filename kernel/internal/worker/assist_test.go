package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAssist completes and inspects names of the session, of packages and of the cell being typed. | is the cursor.
func TestAssist(t *testing.T) {
	e := newEngine(t)
	ctx := context.Background()
	if got := run(ctx, e, 1, "import \"strings\"\n// Pair holds two numbers.\ntype Pair struct {\n\tFirst, second int // what it holds\n}\n"+
		"// Sum adds them.\nfunc (p Pair) Sum() int { return p.First + p.second }\npair := Pair{1, 2}"); got != "" {
		t.Fatal(got)
	}
	for _, c := range []struct {
		code string
		want string // of the first match: text, type, signature
	}{
		{"pair.Fi|", "First field int"},
		{"pair.|", "First field int"},
		{"pair.S|", "Sum method () int"},
		{"strings.HasPre|", "HasPrefix function (s string, prefix string) bool"},
		{"pai|", "pair variable Pair"},
		{"Pai|", "Pair class "},
		{"x := Pair{Fi|", "First field int"},
		{"x := Pair{sec|: 1}", "second field int"},
		{"for i := range 3 {\n\tlocal := \"a\"\n\tloc|\n}", "local variable string"},
		{"func f(argument int) {\n\targ|", "argument variable int"},
		{"import \"encoding/js|\"", "encoding/json module "},
		{"%he|", "%help keyword "},
		{"fo|", "for keyword "},
		{"if strings.Conta|", "Contains function (s string, substr string) bool"},
		{"fmt.Println(strings.ToUp|", "ToUpper function (s string) string"},
		{"ä := pair\nä.Su|", "Sum method () int"},
		{"lohakit.Ope|", "Open function "},
		{"%time\nstrings.ToUp|", "ToUpper function (s string) string"},
		{"!echo \"it\n\n%time strings.ToUp|", "ToUpper function (s string) string"},
		{"%%time strings.ToUp|", "ToUpper function (s string) string"},
		{"%time fo|", "for keyword "},
		{"%who\nfo|", "for keyword "},
	} {
		code, rest, _ := strings.Cut(c.code, "|")
		begin := time.Now()
		got := e.Complete(ctx, code+rest, len(code))
		if len(got.Matches) == 0 {
			t.Errorf("%q: nothing", c.code)
			continue
		}
		m := got.Matches[0]
		if text := m.Text + " " + m.Type + " " + m.Signature; !strings.HasPrefix(text, c.want) {
			t.Errorf("%q: %q, not %q", c.code, text, c.want)
		}
		t.Logf("%q: %d in %s", c.code, len(got.Matches), time.Since(begin))
	}
	for _, text := range []string{"!ls fo", "%get fo", "%%bash\nfo", "%%writefile a\nfo"} { // no Go
		if got := e.Complete(ctx, text, len(text)); len(got.Matches) > 0 {
			t.Errorf("%q: %v", text, got.Matches[0])
		}
	}
	for _, c := range []struct{ code, want string }{
		{"pa|ir", "var pair Pair"},
		{"pair.Su|m()", "Sum adds them."},
		{"Pair|", "Pair holds two numbers."},
		{"strings.ToUpper|", "ToUpper returns s"},
		{"strings.ToUpper(|", "ToUpper returns s"},
		{"fmt.Println(strings.Repeat(\"a\", |", "Repeat returns a new string"},
		{"strin|gs.ToUpper", "Package strings implements"},
		{"pair.First|", "what it holds"},
		{"%%time\n\"😀\"; pair.First|", "what it holds"},
	} {
		code, rest, _ := strings.Cut(c.code, "|")
		data, ok := e.Inspect(ctx, code+rest, len(code), 0)
		if text, _ := data["text/plain"].(string); !ok || !strings.Contains(text, c.want) {
			t.Errorf("%q: %q", c.code, text)
		}
	}
	if data, _ := e.Inspect(ctx, "pair.Sum", 8, 1); !strings.Contains(data["text/plain"].(string), "return p.First + p.second") {
		t.Errorf("no source: %v", data)
	}
	for code, want := range map[string]string{
		"1 + 1": "complete", "for {": "incomplete", "x :=": "incomplete", "f(1,": "incomplete", "}": "invalid",
		"`a": "incomplete", "\"a": "invalid", "x := 1 2": "invalid", "func f() {\n}": "complete", "%time f(": "complete", "a +": "incomplete",
	} {
		if got, _ := e.IsComplete(code); got != want {
			t.Errorf("IsComplete(%q) = %s, not %s", code, got, want)
		}
	}
}

// TestMagics runs every magic.
func TestMagics(t *testing.T) {
	t.Chdir(t.TempDir()) // the worker starts here, and leaves its files here
	e := newEngine(t)
	ctx := context.Background()
	for _, c := range []struct{ code, want string }{
		{"%help", "%%writefile"},
		{"x := 5\nfunc double(n int) int { return 2 * n }\ntype T struct{ a int }", ""},
		{"%who", "double           func     func(n int) int\nx                var      int\n"},
		{"%time double(x)", "= 10"},
		{"%%time\nx++\nx", "ran for"},
		{"%%time x += 10\nx -= 10\nx + 1", "= 7"},
		{"!echo $((1+2))", "3\n"},
		{"!echo one\n!echo two\nx", "one\ntwo\n= 6"},
		{"!exit 3", "! CommandError: sh: exit status 3"},
		{"%%bash\nfor i in 1 2; do echo $i; done", "1\n2\n"},
		{"%%writefile a.txt\nhello\nworld", "wrote 12 bytes to a.txt"},
		{"%%writefile -a a.txt\nmore", "wrote 5 bytes"},
		{"!cat a.txt", "hello\nworld\nmore\n"},
		{"%nonsense", "! MagicError: %nonsense is not a magic; %help lists them"},
		{"%get", "needs a module"},
		{"%reset", ""},
		{"x", "undefined: x"},
		{"!echo line\nbad +", "Cell[1]:2:5"},
		{"!echo line\n%time bad", "Cell[1]:2:7: undefined: bad"},
	} {
		if got := run(ctx, e, 1, c.code); !strings.Contains(got, c.want) {
			t.Errorf("%q: %q, not %q", c.code, got, c.want)
		}
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if got := run(short, e, 1, "!sleep 100"); !strings.Contains(got, "! Interrupted") {
		t.Error(got)
	}
}

// TestAssistWhileImporting completes a name while a cell waits for the package that it imports, which a go command that waits compiles.
func TestAssistWhileImporting(t *testing.T) {
	e := newEngine(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	run(ctx, e, 1, "number := 1")
	dir := t.TempDir()
	asked, answer := filepath.Join(dir, "asked"), filepath.Join(dir, "answer")
	for _, pipe := range []string{asked, answer} {
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := fmt.Sprintf("#!/bin/sh\n: > %s\nread line < %s\n", asked, answer)
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	imported := make(chan string, 1)
	go func() { imported <- run(ctx, e, 2, "import \"example.com/none\"") }()
	if _, err := os.ReadFile(asked); err != nil { // the go command runs
		t.Fatal(err)
	}
	completed := make(chan int, 1)
	go func() { completed <- len(e.Complete(ctx, "numb", 4).Matches) }()
	select {
	case n := <-completed:
		if n != 1 {
			t.Errorf("%d completions", n)
		}
	case <-time.After(30 * time.Second):
		t.Error("no completion before the package is compiled")
	}
	cancel()
	if got := <-imported; !strings.HasPrefix(got, "! Interrupted") {
		t.Errorf("interrupted while it imports, the cell shows %s", got)
	}
}

// TestGet adds a module that the worker does not hold. It needs the module in Go's cache or a proxy.
func TestGet(t *testing.T) {
	e := newEngine(t)
	ctx := context.Background()
	if got := run(ctx, e, 1, "import \"golang.org/x/text/cases\""); got != "" && !strings.Contains(got, "%get") {
		t.Errorf("before: %s", got)
	}
	if got := run(ctx, e, 2, "%get rsc.io/quote@v1.5.2"); strings.Contains(got, "dial tcp") {
		t.Skip("no module proxy: " + got)
	}
	if got := run(ctx, e, 3, "import \"rsc.io/quote\"\nquote.Go()"); !strings.Contains(got, "Don't communicate by sharing memory") {
		t.Error(got)
	}
	if got := run(ctx, e, 4, "quote.Opt()"); !strings.Contains(got, "If a program is too slow") {
		t.Error(got)
	}
}
