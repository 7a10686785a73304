// Package fault is the error type of lohakit: one sentence that names what was being done, to which file or field,
// what went wrong, and the remedy.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind classifies a fault, for callers that act on the difference.
type Kind uint8

// The kinds of fault.
const (
	Other       Kind = iota // none of the kinds below
	Invalid                 // a value outside its meaning: a negative learning rate, an unknown sampler
	NotExist                // a file, tensor, layer, tag or model that is not there
	Corrupt                 // content that contradicts itself: truncated, overlapping, undecodable
	Unsupported             // well-formed content this kit does not handle: an SDXL checkpoint
	IO                      // the operating system refused: permission, full disk
	Canceled                // stopped on request; what was done so far is kept
	Numeric                 // NaN or infinity in a computation
	Missing                 // something that has to be installed first: the XLA plugin
)

var kindNames = [...]string{"fault", "invalid", "not found", "corrupt", "unsupported", "i/o", "canceled", "numeric", "missing"}

// String returns the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Error is what every package of lohakit returns. The zero value of each field means "not known" and is not printed.
type Error struct {
	Op   string // what was being done, as a verb phrase: "open model"
	Path string // the file, field, tensor or layer it was done to: "nai.safetensors", "LR"
	Kind Kind   // the class of fault
	Err  error  // what went wrong: "file ends after 12 of 4096 bytes"
	Hint string // the remedy, as an imperative: "download it again"
}

// New returns an *Error whose Err is formatted from format and args; a %w verb wraps, as in fmt.Errorf.
func New(kind Kind, op, path, format string, args ...any) *Error {
	return &Error{Op: op, Path: path, Kind: kind, Err: fmt.Errorf(format, args...)}
}

// Fix returns e with the remedy set: return fault.New(…).Fix("run make setup").
func (e *Error) Fix(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Error prints the sentence: op path: what went wrong; remedy.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Path != "" {
		if e.Op != "" {
			b.WriteByte(' ')
		}
		b.WriteString(e.Path)
	}
	if e.Err != nil {
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether err, or an error it wraps, is an *Error of the kind.
func Is(err error, kind Kind) bool {
	for e := (*Error)(nil); errors.As(err, &e); err = e.Err {
		if e.Kind == kind {
			return true
		}
	}
	return false
}
