package assist

import (
	"cmp"
	"context"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/lohakit/notebook/kernel/internal/cell"
	"github.com/lohakit/notebook/kernel/internal/session"
)

// Complete lists what may stand at the cursor, a byte offset: fields and methods after a dot, else the names in scope; in
// an import, packages; at a line's beginning, magics.
func Complete(ctx context.Context, s *cell.Session, code string, cursor int, magics []string) session.Completion {
	cursor = min(max(cursor, 0), len(code))
	start, end := word(code, cursor)
	c := session.Completion{Start: start, End: end}
	prefix := code[start:cursor]
	line := code[strings.LastIndexByte(code[:start], '\n')+1 : start]
	if strings.Trim(line, "%") == "" && line != "" {
		for _, name := range magics {
			if strings.HasPrefix(name, line+prefix) {
				c.Matches = append(c.Matches, session.Match{Text: name, Type: "keyword"})
			}
		}
		c.Start -= len(line)
		return c
	}
	code, from := plain(code)
	if cursor < from {
		return c
	}
	if at, ok := inside(code, cursor, token.STRING); ok {
		return packages(s, code, at, cursor)
	}
	if _, ok := inside(code, cursor, token.COMMENT); ok {
		return c
	}
	done := make(chan []session.Match, 1)
	go func() { done <- matches(s, code, start, end) }()
	var found []session.Match
	select {
	case found = <-done:
	case <-ctx.Done():
		return c
	}
	for _, m := range found {
		if strings.HasPrefix(m.Text, prefix) {
			c.Matches = append(c.Matches, m)
		}
	}
	if len(c.Matches) == 0 { // forgive the case of letters
		for _, m := range found {
			if len(m.Text) >= len(prefix) && strings.EqualFold(m.Text[:len(prefix)], prefix) {
				c.Matches = append(c.Matches, m)
			}
		}
	}
	slices.SortFunc(c.Matches, func(a, b session.Match) int { return cmp.Compare(a.Text, b.Text) })
	c.Matches = slices.CompactFunc(c.Matches, func(a, b session.Match) bool { return a.Text == b.Text })
	return c
}

// inside returns the token of the kind that the cursor is inside of.
func inside(code string, cursor int, kind token.Token) (lexeme, bool) {
	for _, t := range lex(code) {
		if t.tok == kind && t.start < cursor && (cursor < t.end || cursor == t.end && (t.bad || kind == token.COMMENT)) {
			return t, true
		}
	}
	return lexeme{}, false
}

// packages completes an import path.
func packages(s *cell.Session, code string, at lexeme, cursor int) session.Completion {
	c := session.Completion{Start: at.start + 1, End: cursor}
	before := strings.TrimSpace(code[:at.start])
	clause := before[max(strings.LastIndex(before, "import"), 0):]
	list := strings.Contains(clause, "(")
	if !strings.HasPrefix(clause, "import") || strings.Contains(clause, ")") || strings.Contains(clause, "\n") && !list {
		return c
	}
	for _, path := range s.Packages() {
		if strings.HasPrefix(path, code[c.Start:cursor]) && !strings.Contains(path, "internal") && !strings.HasPrefix(path, "vendor/") {
			c.Matches = append(c.Matches, session.Match{Text: path, Type: "module"})
		}
	}
	return c
}

// matches lists everything that fits the place of the name at [start, end).
func matches(s *cell.Session, code string, start, end int) []session.Match {
	v := view(s, code, start, end, placeholder)
	if v == nil {
		return nil
	}
	var list []session.Match
	for _, root := range v.Roots {
		ast.Inspect(root, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if n.Sel.Name == placeholder {
					list = selected(v, n.X)
				}
			case *ast.CompositeLit:
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok {
						e = kv.Key
					}
					if id, ok := e.(*ast.Ident); ok && id.Name == placeholder {
						list = append(list, fields(v.Info.Types[n].Type)...)
					}
				}
			}
			return true
		})
	}
	if before := strings.TrimRight(code[:start], " \t\n"); strings.HasSuffix(before, ".") {
		return list
	}
	return append(list, inScope(v, start)...)
}

// selected lists what may follow x and a dot.
func selected(v *cell.View, x ast.Expr) []session.Match {
	if id, ok := x.(*ast.Ident); ok {
		if p, ok := v.Info.Uses[id].(*types.PkgName); ok {
			var list []session.Match
			for _, name := range p.Imported().Scope().Names() {
				if obj := p.Imported().Scope().Lookup(name); obj.Exported() {
					list = append(list, match(obj))
				}
			}
			return list
		}
	}
	tv, ok := v.Info.Types[x]
	if !ok || tv.Type == nil {
		return nil
	}
	var list []session.Match
	t := tv.Type
	if _, pointer := t.Underlying().(*types.Pointer); !pointer && !types.IsInterface(t) && !tv.IsType() {
		t = types.NewPointer(t)
	}
	for sel := range types.NewMethodSet(t).Methods() {
		if reachable(sel.Obj()) {
			list = append(list, match(sel.Obj()))
		}
	}
	if !tv.IsType() {
		list = append(list, fields(tv.Type)...)
	}
	return list
}

// reachable reports whether a cell can use a field or method.
func reachable(obj types.Object) bool {
	return obj.Exported() || obj.Pkg() != nil && obj.Pkg().Path() == "main"
}

// fields lists the fields of a struct, those of embedded structs included.
func fields(t types.Type) []session.Match {
	var list []session.Match
	seen := map[types.Type]bool{}
	var walk func(t types.Type)
	walk = func(t types.Type) {
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		if p, ok := t.Underlying().(*types.Pointer); ok {
			t = p.Elem()
		}
		s, ok := t.Underlying().(*types.Struct)
		if !ok {
			return
		}
		for f := range s.Fields() {
			if reachable(f) {
				list = append(list, match(f))
			}
			if f.Embedded() {
				walk(f.Type())
			}
		}
	}
	walk(t)
	return list
}

// inScope lists the names that can be used at a byte offset, and the keywords.
func inScope(v *cell.View, offset int) []session.Match {
	inner, size := v.Scope, int(^uint(0)>>1)
	var cell ast.Node // the function that the statements are in
	if f, ok := v.Roots[1].(*ast.FuncDecl); ok {
		cell = f.Type
	}
	var within ast.Node // whose scope inner is
	for node, scope := range v.Info.Scopes {
		from, ok := v.Offset(scope.Pos())
		to, _ := v.Offset(scope.End())
		_, file := node.(*ast.File)
		if !ok || file || offset < from || to < offset {
			continue
		}
		if length := to - from; length < size || length == size && (within == cell || encloses(inner, scope)) {
			inner, within, size = scope, node, length
		}
	}
	var list []session.Match
	for scope := inner; scope != nil; scope = scope.Parent() {
		for _, name := range scope.Names() {
			if !strings.ContainsAny(name, "Ꜿꜿ") && name != placeholder {
				list = append(list, match(scope.Lookup(name)))
			}
		}
	}
	for tok := token.BREAK; tok <= token.VAR; tok++ {
		list = append(list, session.Match{Text: tok.String(), Type: "keyword"})
	}
	return list
}

// encloses reports whether scope lies within outer.
func encloses(outer, scope *types.Scope) bool {
	for ; scope != nil; scope = scope.Parent() {
		if scope == outer {
			return true
		}
	}
	return false
}

// match describes an object as JupyterLab shows it.
func match(obj types.Object) session.Match {
	m := session.Match{Text: obj.Name()}
	switch obj := obj.(type) {
	case *types.PkgName:
		m.Type, m.Signature = "module", obj.Imported().Path()
	case *types.Const:
		m.Type, m.Signature = "constant", short(obj.Type())
	case *types.TypeName:
		m.Type = "class"
		if types.IsInterface(obj.Type()) {
			m.Type = "interface"
		}
	case *types.Func:
		m.Type, m.Signature = "function", strings.TrimPrefix(short(obj.Type()), "func")
		if obj.Signature().Recv() != nil {
			m.Type = "method"
		}
	case *types.Var:
		m.Type, m.Signature = "variable", short(obj.Type())
		if obj.IsField() {
			m.Type = "field"
		}
	case *types.Builtin:
		m.Type = "function"
	case *types.Nil:
		m.Type = "constant"
	}
	return m
}

// short writes a type with package names in place of import paths.
func short(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p.Path() == "main" {
			return ""
		}
		return p.Name()
	})
}
