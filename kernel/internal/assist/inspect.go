package assist

import (
	"context"
	"fmt"
	"go/ast"
	"go/types"
	"strings"

	"github.com/lohakit/notebook/kernel/internal/cell"
)

// Inspect describes the name at the cursor, or the function whose arguments the cursor is among: its declaration and
// comment; with detail 1 its source too.
func Inspect(ctx context.Context, s *cell.Session, code string, cursor, detail int) (map[string]any, bool) {
	cursor = min(max(cursor, 0), len(code))
	code, _ = plain(code)
	done := make(chan string, 1)
	go func() { done <- describe(s, code, cursor, detail) }()
	select {
	case text := <-done:
		if text == "" {
			return nil, false
		}
		head, doc, _ := strings.Cut(text, "\n\n")
		return map[string]any{"text/plain": text, "text/markdown": "```go\n" + head + "\n```\n\n" + doc}, true
	case <-ctx.Done():
		return nil, false
	}
}

// describe finds what to describe, looking outwards from the cursor.
func describe(s *cell.Session, code string, cursor, detail int) string {
	for {
		start, end := word(code, cursor)
		if start < end {
			if text := name(s, code, start, end, detail); text != "" {
				return text
			}
		}
		open := opening(code[:start])
		if open < 0 {
			return ""
		}
		cursor = len(strings.TrimRight(code[:open], " \t"))
		if cursor == 0 {
			return ""
		}
	}
}

// opening returns the offset of the innermost bracket that text leaves open, -1 for none.
func opening(text string) int {
	var open []int
	for _, t := range lex(text) {
		switch code := text[t.start:min(t.end, len(text))]; code {
		case "(", "[", "{":
			open = append(open, t.start)
		case ")", "]", "}":
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		}
	}
	if len(open) == 0 {
		return -1
	}
	return open[len(open)-1]
}

// name describes the name at [start, end).
func name(s *cell.Session, code string, start, end, detail int) string {
	v := view(s, code, start, end, code[start:end])
	if v == nil {
		return ""
	}
	var obj types.Object
	for _, root := range v.Roots {
		ast.Inspect(root, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				if at, ok := v.Offset(id.Pos()); ok && at == start && cell.Plain(id.Name) == code[start:end] {
					if obj = v.Info.Uses[id]; obj == nil {
						obj = v.Info.Defs[id]
					}
				}
			}
			return obj == nil
		})
	}
	if obj == nil {
		return ""
	}
	if p, ok := obj.(*types.PkgName); ok {
		return fmt.Sprintf("package %s // import %q\n\n%s", p.Imported().Name(), p.Imported().Path(), v.PackageDoc(p.Imported().Path()))
	}
	text := cell.Plain(declaration(obj)) + "\n\n"
	lines, line, ok := v.Source(obj)
	if !ok {
		return text
	}
	text += comment(lines, line)
	if detail > 0 {
		text += "\n" + source(lines, line)
	}
	return text
}

// declaration writes obj as it is declared. Of a type the fields and methods are listed.
func declaration(obj types.Object) string {
	qualify := func(p *types.Package) string {
		if p == obj.Pkg() || p.Path() == "main" {
			return ""
		}
		return p.Name()
	}
	text := types.ObjectString(obj, qualify)
	t, ok := obj.(*types.TypeName)
	if !ok {
		return text
	}
	if s, ok := t.Type().Underlying().(*types.Struct); ok {
		text = "type " + t.Name() + " struct {\n"
		for f := range s.Fields() {
			if reachable(f) {
				text += fmt.Sprintf("\t%s %s\n", f.Name(), types.TypeString(f.Type(), qualify))
			}
		}
		text += "}"
	}
	if named, ok := t.Type().(*types.Named); ok {
		for m := range named.Methods() {
			if reachable(m) {
				text += "\n" + types.ObjectString(m, qualify)
			}
		}
	}
	return text
}

// comment returns the comment above a line, or at its end.
func comment(lines []string, line int) string {
	first := line - 1
	for first > 0 && strings.HasPrefix(strings.TrimSpace(lines[first-1]), "//") {
		first--
	}
	var b strings.Builder
	for _, text := range lines[first : line-1] {
		text = strings.TrimPrefix(strings.TrimSpace(text), "//")
		if !strings.HasPrefix(text, "go:") {
			b.WriteString(strings.TrimPrefix(text, " ") + "\n")
		}
	}
	if b.Len() == 0 {
		if _, text, ok := strings.Cut(lines[line-1], "// "); ok {
			b.WriteString(text + "\n")
		}
	}
	return b.String()
}

// source returns the declaration that begins on a line, to the bracket that closes it.
func source(lines []string, line int) string {
	var b strings.Builder
	for _, text := range lines[line-1:] {
		b.WriteString(text + "\n")
		if closers(b.String()) == "" {
			break
		}
	}
	return b.String()
}
