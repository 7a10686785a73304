package live

import (
	"fmt"
	"runtime"
	"strings"
)

// left is the panic of an error that a statement left out.
type left struct{ err error }

// Kind says how a cell ended that did not reach its end.
type Kind int

// The kinds of failure.
const (
	Failed      Kind = iota // a statement returned an error
	Panicked                // a panic
	Interrupted             // stopped on request
)

// Failure is why a cell did not reach its end.
type Failure struct {
	Kind   Kind
	Type   string // the Go type of the error or panic value
	Text   string
	Frames []Frame // the user's own, innermost first
}

// Frame is a line of a cell.
type Frame struct {
	Function string // as the linker names it
	File     string // the cell's name
	Line     int
}

// fail describes a recovered panic; the stack is still that of the panic.
func fail(r any) *Failure {
	f := &Failure{Kind: Panicked, Type: fmt.Sprintf("%T", r), Frames: frames()}
	switch r := r.(type) {
	case left:
		f.Kind, f.Type, f.Text = Failed, fmt.Sprintf("%T", r.err), text(r.err)
	case error:
		f.Text = text(r)
	case fmt.Stringer:
		f.Text = text(r)
	default:
		f.Text = fmt.Sprint(r)
	}
	return f
}

// text prints v; a method that panics itself is named instead.
func text(v any) (s string) {
	defer func() {
		if r := recover(); r != nil {
			s = fmt.Sprintf("%T, whose text panicked: %v", v, r)
		}
	}()
	if err, ok := v.(error); ok {
		return err.Error()
	}
	return fmt.Sprint(v)
}

// frames returns the calls of cells on the stack.
func frames() []Frame {
	pcs := make([]uintptr, 10000)
	iter := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var list []Frame
	for {
		frame, more := iter.Next()
		if _, file, ok := strings.Cut(frame.File, "Cell["); ok && strings.HasPrefix(frame.Function, "session/c") {
			list = append(list, Frame{frame.Function, "Cell[" + file, frame.Line})
		}
		if !more || len(list) == 100 {
			return list
		}
	}
}

// String shows the failure of a goroutine: what it panicked with, and where.
func (f *Failure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "panic in a goroutine: %s\n", f.Text)
	for _, frame := range f.Frames {
		fmt.Fprintf(&b, "    %s:%d\n", frame.File, frame.Line)
	}
	return b.String()
}
