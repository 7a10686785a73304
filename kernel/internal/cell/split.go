package cell

import (
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"strings"
)

// item is one top-level statement or declaration of a cell, as byte offsets into its source.
type item struct {
	start, end int
	kind       token.Token // PACKAGE, IMPORT, TYPE, CONST, FUNC for declarations, ILLEGAL for a statement
	semicolon  bool        // ended by a semicolon that the user typed
}

// lexeme is one token of a cell.
type lexeme struct {
	offset int
	tok    token.Token
	lit    string
}

// lex returns the tokens of src. Errors are left to the parser, which words them better.
func lex(src string) []lexeme {
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(file, []byte(src), func(token.Position, string) {}, 0)
	var list []lexeme
	for {
		pos, tok, lit := s.Scan()
		list = append(list, lexeme{file.Offset(pos), tok, lit})
		if tok == token.EOF {
			return list
		}
	}
}

// split cuts src at its top-level statements.
func split(src string) []item {
	tokens := lex(src)
	var items []item
	depth, first := 0, -1
	header, literals := false, 0 // between for, if or switch and its block, and function literals met there
	finish := func(end int, semicolon bool) {
		if first >= 0 {
			items = append(items, item{tokens[first].offset, end, classify(tokens[first:]), semicolon})
		}
		first = -1
	}
	for i, t := range tokens {
		if t.tok == token.EOF {
			finish(len(src), false)
			break
		}
		if t.tok == token.SEMICOLON && depth <= 0 && !header {
			finish(t.offset, t.lit == ";")
			continue
		}
		if first < 0 {
			first = i
		}
		if depth == 0 {
			switch t.tok {
			case token.FOR, token.IF, token.SWITCH:
				header, literals = true, 0
			case token.FUNC:
				literals++
			case token.LBRACE:
				if header && literals == 0 {
					header = false
				}
				literals = max(literals-1, 0)
			}
		}
		switch t.tok {
		case token.LPAREN, token.LBRACK, token.LBRACE:
			depth++
		case token.RPAREN, token.RBRACK, token.RBRACE:
			depth--
		}
	}
	return items
}

// classify says what the statement beginning with these tokens is.
func classify(tokens []lexeme) token.Token {
	switch tok := tokens[0].tok; tok {
	case token.PACKAGE, token.IMPORT, token.TYPE, token.CONST:
		return tok
	case token.FUNC:
		if declares(tokens) {
			return tok
		}
	}
	return token.ILLEGAL
}

// declares tells a function declaration from a function literal that is called at once.
func declares(tokens []lexeme) bool {
	if tokens[1].tok == token.IDENT {
		return true
	}
	depth := 0
	for i, t := range tokens[1:] {
		switch t.tok {
		case token.LPAREN:
			depth++
		case token.RPAREN:
			depth--
			if depth == 0 {
				rest := tokens[i+2:]
				return len(rest) > 1 && rest[0].tok == token.IDENT && rest[1].tok == token.LPAREN
			}
		case token.EOF:
			return false
		}
	}
	return false
}

// blank returns src with everything outside the items that keep accepts replaced by spaces, so that positions stay.
func blank(src string, items []item, keep func(item) bool) string {
	out := make([]byte, len(src))
	for i := range out {
		out[i] = ' '
		if src[i] == '\n' {
			out[i] = '\n'
		}
	}
	for _, it := range items {
		if keep(it) {
			end := it.end
			if it.semicolon {
				end++
			}
			copy(out[it.start:end], src[it.start:end])
		}
	}
	return string(out)
}

// list finds the commas that separate the values of src's last statement, if that is a list of expressions. To the parser
// they are separate statements.
func list(src string, last item) (commas []int) {
	depth := 0
	for i, t := range lex(src[last.start:last.end]) {
		switch t.tok {
		case token.LPAREN, token.LBRACK, token.LBRACE:
			depth++
		case token.RPAREN, token.RBRACK, token.RBRACE:
			depth--
		case token.COMMA:
			if depth == 0 {
				commas = append(commas, last.start+t.offset)
			}
		case token.FUNC, token.MAP, token.STRUCT, token.INTERFACE, token.CHAN:
		default:
			statement := t.tok == token.DEFINE || t.tok >= token.ADD_ASSIGN && t.tok <= token.AND_NOT_ASSIGN || t.tok == token.ASSIGN
			if depth == 0 && statement || i == 0 && t.tok.IsKeyword() {
				return nil
			}
		}
	}
	return commas
}

// openComment returns the offset of a comment that src does not end, -1 without one. What is outside the statements no parser sees.
func openComment(src string) (at int) {
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(src))
	var s scanner.Scanner
	at = -1
	s.Init(file, []byte(src), func(pos token.Position, message string) {
		if message == "comment not terminated" {
			at = pos.Offset
		}
	}, 0)
	for tok := token.ILLEGAL; tok != token.EOF; {
		_, tok, _ = s.Scan()
	}
	return at
}

// source is a parsed cell. Positions of both syntax trees translate to the cell's own through place.
type source struct {
	name   string // "Cell[3]"
	text   string
	items  []item
	values int           // how many values the last statement lists; 1 for one that is no list
	decls  *ast.File     // imports, types, constants and functions
	body   *ast.FuncDecl // the statements
	files  []*token.File // of decls and of body
}

const (
	declHeader = "package main;"
	bodyHeader = "package main;func " + Mark + "run(){"
)

// parse reads a cell. What it cannot read is returned as problems with the cell's own positions.
func parse(fset *token.FileSet, name, text string) (*source, []Problem) {
	s := &source{name: name, text: text, items: split(text)}
	if at := openComment(text); at >= 0 {
		return s, []Problem{s.problemAt(at, "comment not terminated")}
	}
	commas := []int(nil)
	if n := len(s.items); n > 0 && s.items[n-1].kind == token.ILLEGAL {
		commas = list(text, s.items[n-1])
	}
	s.values = len(commas) + 1
	isDecl := func(it item) bool { return it.kind != token.ILLEGAL && it.kind != token.PACKAGE }
	read := func(header, tail string, mode parser.Mode, keep func(item) bool) (*ast.File, error) {
		base := fset.Base()
		part := []byte(blank(text, s.items, keep))
		for _, comma := range commas {
			if part[comma] == ',' {
				part[comma] = ';'
			}
		}
		file, err := parser.ParseFile(fset, name, header+string(part)+tail, mode)
		s.files = append(s.files, fset.File(token.Pos(base)))
		return file, err
	}
	var problems []Problem
	decls, err := read(declHeader, "\n", parser.SkipObjectResolution|parser.ParseComments, isDecl)
	problems = append(problems, s.problems(err, len(declHeader))...)
	body, err := read(bodyHeader, "\n}\n", 0, func(it item) bool { return it.kind == token.ILLEGAL })
	problems = append(problems, s.problems(err, len(bodyHeader))...)
	if len(problems) > 0 {
		return s, problems
	}
	s.decls = decls
	s.body = body.Decls[0].(*ast.FuncDecl)
	if len(body.Decls) > 1 {
		return s, []Problem{s.problem(body.Decls[1].Pos(), "unexpected }")}
	}
	return s, nil
}

// offset returns the byte offset of pos in the cell's text, false for a position elsewhere.
func (s *source) offset(pos token.Pos) (int, bool) {
	for i, file := range s.files {
		if int(pos) >= file.Base() && int(pos) <= file.Base()+file.Size() {
			header := len(declHeader)
			if i == 1 {
				header = len(bodyHeader)
			}
			return min(max(int(pos)-file.Base()-header, 0), len(s.text)), true
		}
	}
	return 0, false
}

// place returns the line and column, both from 1, of a byte offset.
func place(text string, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	return strings.Count(before, "\n") + 1, len(before) - strings.LastIndexByte(before, '\n')
}
