package cell

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is one thing wrong with a cell, found before anything ran.
type Problem struct {
	Cell         string // the cell's name, "Cell[3]"
	Line, Column int    // from 1; the column counts characters
	Message      string
	Text         string // the line itself
}

// String shows the position, the message and the line with a caret under the column.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s\n    %s\n    ", p.Cell, p.Line, p.Column, p.Message, p.Text)
	for i, r := range []rune(p.Text) {
		if i >= p.Column-1 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String() + "^"
}

// Error is why a cell cannot run: at least one problem.
type Error struct{ Problems []Problem }

// Error returns the first problem's position and message, and how many more there are.
func (e *Error) Error() string {
	p := e.Problems[0]
	text := fmt.Sprintf("%s:%d:%d: %s", p.Cell, p.Line, p.Column, p.Message)
	if n := len(e.Problems) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// problem describes what is wrong at pos.
func (s *source) problem(pos token.Pos, message string) Problem {
	offset, _ := s.offset(pos)
	return s.problemAt(offset, message)
}

// problemAt describes what is wrong at a byte offset.
func (s *source) problemAt(offset int, message string) Problem {
	if offset >= len(s.text) { // the end: point at the last character
		offset = max(len(strings.TrimRight(s.text, " \t\r\n"))-1, 0)
	}
	line, column := place(s.text, offset)
	text := strings.Split(s.text, "\n")[line-1]
	column = utf8.RuneCountInString(text[:min(column-1, len(text))]) + 1
	if offset >= len(s.text)-1 { // the parser met the brace that closes the generated function
		message = strings.NewReplacer("found '}'", "found the end of the cell", "found 'EOF'", "found the end of the cell").Replace(message)
	}
	if strings.HasSuffix(message, "found '%'") && strings.HasPrefix(strings.TrimSpace(text), "%") {
		message += "; %help and its like come first in a cell"
	}
	return Problem{Cell: s.name, Line: line, Column: column, Message: Plain(message), Text: strings.TrimRight(text, "\r")}
}

// problems turns a parser's errors into the cell's.
func (s *source) problems(err error, header int) []Problem {
	if err == nil {
		return nil
	}
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		return []Problem{s.problemAt(0, err.Error())}
	}
	var problems []Problem
	for _, e := range list {
		if e.Msg == "imports must appear before other declarations" {
			continue // not in a cell
		}
		p := s.problemAt(max(e.Pos.Offset-header, 0), e.Msg)
		if len(problems) > 0 && strings.HasSuffix(p.Message, "found the end of the cell") {
			continue // follows from the one before
		}
		if n := len(problems); n == 0 || problems[n-1].Line != p.Line || problems[n-1].Column != p.Column {
			problems = append(problems, p)
		}
	}
	return problems
}

// refusal matches a message of the compiler.
var refusal = regexp.MustCompile(`(?m)^(?:.*/)?(Cell\[\d+\]):(\d+):(\d+): (.*)$`)

// refused turns the messages of the compiler into problems. The check leaves few things for it to refuse.
func (s *source) refused(err error) []Problem {
	var problems []Problem
	for _, m := range refusal.FindAllStringSubmatch(err.Error(), -1) {
		line, _ := strconv.Atoi(m[2])
		lines := strings.Split(s.text, "\n")
		if m[1] == s.name && line >= 1 && line <= len(lines) {
			text := strings.TrimRight(lines[line-1], "\r")
			problems = append(problems, Problem{Cell: s.name, Line: line, Column: 1, Message: Plain(m[4]), Text: text})
		}
	}
	return problems
}
