// Package assist answers the editor: what may stand at the cursor, what stands there, and whether a cell is complete. It
// reads the types of the session and the comments of the sources, and runs nothing.
package assist

import (
	"go/scanner"
	"go/token"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lohakit/notebook/kernel/internal/cell"
)

// placeholder stands for the name that is being typed.
const placeholder = "ꜾꜾcursor"

// word returns where the name around or before a byte offset begins and ends.
func word(code string, cursor int) (start, end int) {
	letter := func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }
	start, end = cursor, cursor
	for start > 0 {
		r, n := utf8.DecodeLastRuneInString(code[:start])
		if !letter(r) {
			break
		}
		start -= n
	}
	for end < len(code) {
		r, n := utf8.DecodeRuneInString(code[end:])
		if !letter(r) {
			break
		}
		end += n
	}
	return start, end
}

// view checks code with the text at [start, end) replaced. If the cell is not whole it makes do with what precedes end,
// closing what is open there.
func view(s *cell.Session, code string, start, end int, with string) *cell.View {
	if v := s.View(code[:start] + with + code[end:]); v != nil {
		return v
	}
	head := code[:start] + with
	if v := s.View(head + closers(head)); v != nil {
		return v
	}
	return s.View(head + " {}" + closers(head)) // the name may stand in a condition
}

// closers returns what closes the brackets that text leaves open.
func closers(text string) string {
	var open []string
	for _, t := range lex(text) {
		switch t.tok {
		case token.LPAREN:
			open = append(open, ")")
		case token.LBRACK:
			open = append(open, "]")
		case token.LBRACE:
			open = append(open, "}")
		case token.RPAREN, token.RBRACK, token.RBRACE:
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	var b strings.Builder
	for i := len(open) - 1; i >= 0; i-- {
		b.WriteString(open[i])
	}
	return b.String()
}

// lexeme is one token, comments included.
type lexeme struct {
	start, end int
	tok        token.Token
	bad        bool // the scanner found fault with it
}

// lex returns the tokens of text without the last, EOF.
func lex(text string) []lexeme {
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(text))
	var s scanner.Scanner
	bad := false
	s.Init(file, []byte(text), func(token.Position, string) { bad = true }, scanner.ScanComments)
	var list []lexeme
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return list
		}
		if tok == token.SEMICOLON && lit != ";" {
			lit = ""
		} else if lit == "" {
			lit = tok.String()
		}
		start := file.Offset(pos)
		list = append(list, lexeme{start, start + len(lit), tok, bad})
		bad = false
	}
}

// IsComplete says whether code could be run now: "complete", "incomplete" or "invalid", and for an incomplete cell how far
// its next line is to be indented.
func IsComplete(code string) (status, indent string) {
	if strings.TrimSpace(code) == "" || strings.HasPrefix(strings.TrimSpace(code), "%") || strings.HasPrefix(strings.TrimSpace(code), "!") {
		return "complete", ""
	}
	depth, last := 0, token.SEMICOLON
	for _, t := range lex(code) {
		switch t.tok {
		case token.LPAREN, token.LBRACK, token.LBRACE:
			depth++
		case token.RPAREN, token.RBRACK, token.RBRACE:
			if depth--; depth < 0 {
				return "invalid", ""
			}
		case token.STRING, token.COMMENT:
			if text := code[t.start:min(t.end, len(code))]; t.bad {
				if strings.HasPrefix(text, "`") || strings.HasPrefix(text, "/*") {
					return "incomplete", ""
				}
				return "invalid", ""
			}
		case token.ILLEGAL:
			return "invalid", ""
		}
		if t.tok != token.COMMENT && t.end > t.start {
			last = t.tok
		}
	}
	if depth > 0 {
		return "incomplete", strings.Repeat("\t", depth)
	}
	switch {
	case last.IsOperator() && last != token.SEMICOLON && last != token.INC && last != token.DEC &&
		last != token.RPAREN && last != token.RBRACK && last != token.RBRACE:
		return "incomplete", "\t"
	case !cell.Parses(code):
		return "invalid", ""
	}
	return "complete", ""
}
