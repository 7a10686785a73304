package worker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lohakit/notebook/kernel/internal/live"
	"github.com/lohakit/notebook/kernel/internal/session"
)

// What the Go runtime says before it dies becomes a sentence.
func Example_cause() {
	fmt.Println(cause("fatal error: concurrent map writes\n\ngoroutine 18 [running]:\n"))
	fmt.Println(cause("runtime: goroutine stack exceeds 268435456-byte limit\nfatal error: stack overflow\n"))
	fmt.Println(cause("SIGSEGV: segmentation violation\nPC=0x7f\nsignal arrived during cgo execution\n"))
	// Output:
	// concurrent map writes
	// a recursion without end exhausted the stack
	// SIGSEGV in native code
}

// FuzzMarks splits a stream with marks anywhere: the marks are taken out, everything else passes.
func FuzzMarks(f *testing.F) {
	f.Add("abc", "def", 3)
	f.Add("\x02", "\x03\x02", 1)
	f.Add("", "\x021", 9)
	f.Fuzz(func(t *testing.T, before, after string, cut int) {
		if strings.Contains(before+after, "\x00") || strings.ContainsAny(before+after, "Ꜿꜿ") {
			return // text that imitates a mark
		}
		text := before + live.Sync(42) + after
		cut = min(max(cut, 0), len(text))
		p := &process{synced: map[int]chan struct{}{42: make(chan struct{}, 2)}}
		shown := &tape{}
		var out session.Output = shown
		p.out.Store(&out)
		held := p.passMarked("stdout", []byte(text[:cut]))
		held = p.passMarked("stdout", append(held, text[cut:]...))
		p.pass("stdout", held)
		if shown.String() != before+after || len(p.synced[42]) != 1 {
			t.Errorf("%q cut at %d: %q, %d marks", text, cut, shown.String(), len(p.synced[42]))
		}
	})
}
