package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lohakit/notebook/kernel/internal/cell"
	"github.com/lohakit/notebook/kernel/internal/live"
	"github.com/lohakit/notebook/kernel/internal/session"
)

// The colours of a traceback.
const (
	red   = "\x1b[31m"
	green = "\x1b[32m"
	plain = "\x1b[0m"
)

// failed is the result of a cell that did not reach its end.
func failed(name, value string, trace []string) session.Result {
	value = cell.Plain(value)
	if trace == nil {
		trace = []string{red + name + plain + ": " + value}
	}
	return session.Result{Err: &session.CellError{Name: name, Value: value, Traceback: trace}}
}

// compileFailure shows what is wrong with a cell: each problem's position, message and line.
func compileFailure(ctx context.Context, err error) session.Result {
	var problems *cell.Error
	switch {
	case ctx.Err() != nil:
		return failed("Interrupted", "the cell was interrupted before it ran", nil)
	case !errors.As(err, &problems):
		return failed("CompileError", err.Error(), nil)
	}
	var trace []string
	for i, p := range problems.Problems {
		if i == 10 {
			trace = append(trace, fmt.Sprintf("… and %d more", len(problems.Problems)-i))
			break
		}
		head, rest, _ := strings.Cut(p.String(), ": ")
		trace = append(trace, green+head+plain+": "+red+strings.Replace(rest, "\n", plain+"\n", 1))
	}
	return failed("CompileError", problems.Error(), trace)
}

// failure shows how a running cell ended early: an error as its sentence, a panic as one; then the user's own lines that led to it.
func failure(f *live.Failure, cells *cell.Session) session.Result {
	name, trace := "Panic", []string{red + "Panic" + plain + ": " + cell.Plain(f.Text)}
	switch f.Kind {
	case live.Failed:
		name, trace = "Error", []string{red + cell.Plain(f.Text) + plain}
	case live.Interrupted:
		return failed("Interrupted", f.Text, nil)
	}
	for _, frame := range f.Frames {
		name, _ := cell.Frame(frame.Function)
		file, text := cells.Line(frame.File, frame.Line)
		line := fmt.Sprintf("%s%s:%d%s", green, file, frame.Line, plain)
		if name != "" {
			line += " in " + name
		}
		if text != "" {
			line += "\n    " + text
		}
		trace = append(trace, line)
	}
	return failed(name, f.Text, trace)
}
