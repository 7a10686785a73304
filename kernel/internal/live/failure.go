package live

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	traced "github.com/pkg/errors"
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
	Frames []Frame // the user's own, innermost first; where the error says where it was made, those come first
}

// Frame is a line of a cell.
type Frame struct {
	Function string // as the linker names it
	File     string // the cell's name
	Line     int
}

// stopText is what an interrupted cell says.
const stopText = "the cell was interrupted; what it had done stays"

// fail describes a recovered panic; the stack is still that of the panic.
func fail(r any) *Failure {
	f := &Failure{Kind: Panicked, Type: fmt.Sprintf("%T", r), Frames: frames()}
	err, isError := r.(error)
	if l, ok := r.(left); ok {
		f.Kind, f.Type = Failed, fmt.Sprintf("%T", l.err)
		err, isError, r = l.err, true, l.err
	}
	f.Text = text(r)
	if isError {
		f.Frames = join(origin(err), f.Frames)
	}
	if t := current(); isError && t != nil && t.exec.stopped.Load() {
		f.interrupted(err)
	}
	return f
}

// interrupted turns the failure of a cell that was interrupted into an interrupt, if the error it ended with comes of that: the cell's
// context, or a program that it had started.
func (f *Failure) interrupted(err error) {
	var ended *exec.ExitError
	switch {
	case err == context.Canceled, errors.As(err, &ended):
		*f = Failure{Kind: Interrupted, Text: stopText}
	case errors.Is(err, context.Canceled):
		*f = Failure{Kind: Interrupted, Text: f.Text}
	}
}

// origin returns the calls of cells on the stack that an error carries: where it was made, as GoMLX's errors are inside a graph function.
// Of several errors that wrap one another the innermost counts.
func origin(err error) (list []Frame) {
	if t, ok := err.(interface{ StackTrace() traced.StackTrace }); ok {
		var pcs []uintptr
		for _, frame := range t.StackTrace() {
			pcs = append(pcs, uintptr(frame))
		}
		list = inCells(pcs)
	}
	var inner []error
	switch w := err.(type) {
	case interface{ Unwrap() error }:
		inner = []error{w.Unwrap()}
	case interface{ Unwrap() []error }:
		inner = w.Unwrap()
	}
	for _, err := range inner {
		if deeper := origin(err); len(deeper) > 0 {
			return deeper
		}
	}
	return list
}

// join puts the calls that led to an error before those that led to the panic with it, less what they share.
func join(origin, stack []Frame) []Frame {
	shared := 0
	for shared < min(len(origin), len(stack)) && origin[len(origin)-1-shared] == stack[len(stack)-1-shared] {
		shared++
	}
	return slices.Concat(origin[:len(origin)-shared], stack)
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
	return inCells(pcs[:runtime.Callers(3, pcs)])
}

// inCells returns the calls that are a cell's.
func inCells(pcs []uintptr) (list []Frame) {
	iter := runtime.CallersFrames(pcs)
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
