package worker

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lohakit/notebook/kernel/internal/session"
)

var regen = flag.Bool("regen", false, "rewrite the expected output of testdata/cells")

// testDir is where the tests keep their worker, across runs.
var testDir, _ = filepath.Abs("../../../.build/worker-test")

var buildOnce = sync.OnceValue(func() error {
	return Build(context.Background(), BuildOptions{Module: filepath.Join(testDir, "../.."), Dir: testDir})
})

// newEngine starts a session of its own.
func newEngine(t testing.TB) *Engine { return startEngine(t, false) }

func startEngine(t testing.TB, compile bool) *Engine {
	t.Helper()
	if err := buildOnce(); err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{Dir: testDir, Compile: compile})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(false); err != nil {
			t.Error(err)
		}
	})
	return e
}

// tape records what cells show.
type tape struct {
	mu    sync.Mutex
	text  strings.Builder
	lines []string // answers to input requests
}

func (o *tape) Stream(name, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.WriteString(text)
}

func (o *tape) Display(bundle, metadata map[string]any, id string, update bool) {}

func (o *tape) Begin() {}

func (o *tape) Clear(bool) {}

func (o *tape) Input(prompt string, password bool) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.lines) == 0 {
		return "", fmt.Errorf("no more input")
	}
	line := o.lines[0]
	o.lines = o.lines[1:]
	return line, nil
}

func (o *tape) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

var (
	colours   = regexp.MustCompile("\x1b\\[[0-9;]*m")
	addresses = regexp.MustCompile(`0x[0-9a-f]{6,}`)
)

// run executes a cell and returns everything it shows as one text: streams, "= value", "! error".
func run(ctx context.Context, e *Engine, count int, code string, input ...string) string {
	out := &tape{lines: input}
	r := e.Execute(ctx, session.Request{Code: code, Count: count}, out)
	var b strings.Builder
	b.WriteString(out.String())
	if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
		b.WriteString("\n")
	}
	if text, ok := r.Value["text/plain"].(string); ok {
		fmt.Fprintf(&b, "= %s\n", text)
	}
	if r.Err != nil {
		fmt.Fprintf(&b, "! %s\n", strings.Join(r.Err.Traceback, "\n"))
	}
	return addresses.ReplaceAllString(colours.ReplaceAllString(b.String(), ""), "0x…")
}

// interruptLater cancels a cell once it has run for a moment.
func interruptLater(e *Engine, cancel func()) {
	for before := 0; before < 1; time.Sleep(10 * time.Millisecond) {
		if p := e.living(); p != nil {
			p.mu.Lock()
			before = len(p.waits)
			p.mu.Unlock()
		}
	}
	time.Sleep(300 * time.Millisecond)
	cancel()
}

// TestCells runs every file of testdata/cells, cells of one session each followed by what it shows: once with every cell
// compiled, and once with those that need no compiler run by the direct evaluator. Both have to show the same.
func TestCells(t *testing.T) {
	files, _ := filepath.Glob("testdata/cells/*.txt")
	if len(files) < 32 {
		t.Errorf("%d golden files", len(files))
	}
	for _, way := range []string{"compiled", "direct"} {
		t.Run(way, func(t *testing.T) {
			e := startEngine(t, way == "compiled")
			for _, file := range files {
				t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { golden(t, e, file) })
			}
			t.Logf("%d cells went to the compiler", e.session().Compiled())
		})
	}
}

// golden runs one file.
func golden(t *testing.T, e *Engine, file string) {
	e.forget()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for i, part := range strings.Split("\n"+string(data), "\n-- in --\n")[1:] {
		code, _, _ := strings.Cut(part, "\n-- out --")
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		if strings.Contains(code, "// interrupted") {
			go interruptLater(e, cancel)
		}
		fmt.Fprintf(&got, "-- in --\n%s\n-- out --\n%s", code, run(ctx, e, i+1, code))
		cancel()
	}
	if *regen && e.options.Compile {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got.String() != string(data) {
		t.Errorf("%s: shows\n%s\nnot\n%s", file, got.String(), data)
	}
}
