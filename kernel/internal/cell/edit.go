package cell

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// edit replaces a range of a cell's text.
type edit struct {
	start, end int
	text       string
}

// rendered returns a range of src as it goes into the generated code.
func (u *unit) rendered(src *source, start, end int) string {
	list := u.edits[src]
	i, _ := slices.BinarySearchFunc(list, start, func(e edit, at int) int { return cmp.Compare(e.start, at) })
	var b strings.Builder
	for ; i < len(list) && (list[i].start < end || list[i].start == end && list[i].end == end); i++ {
		e := list[i]
		b.WriteString(src.text[start:e.start])
		b.WriteString(e.text)
		start = max(start, e.end)
	}
	b.WriteString(src.text[start:end])
	return b.String()
}

// change notes an edit; at positions outside src it does nothing.
func (u *unit) change(src *source, from, to token.Pos, text string) {
	start, ok := src.offset(from)
	if !ok {
		return
	}
	end, _ := src.offset(to)
	u.edits[src] = append(u.edits[src], edit{start, end, text})
}

// newlines returns those between two positions, which an edit keeps so that the lines after it keep their numbers.
func (s *source) newlines(from, to token.Pos) string {
	start, _ := s.offset(from)
	end, _ := s.offset(to)
	return strings.Repeat("\n", strings.Count(s.text[start:end], "\n"))
}

// sortEdits has to be called between the last change and the first rendered.
func (u *unit) sortEdits() {
	for _, list := range u.edits {
		slices.SortStableFunc(list, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	}
}

// transform collects the edits of a syntax tree: names of the session, interruption checks, goroutines, hidden fields.
func (u *unit) transform(src *source, root ast.Node) {
	qualified := map[*ast.Ident]bool{}
	check := func(body *ast.BlockStmt) {
		if body != nil {
			u.change(src, body.Lbrace+1, body.Lbrace+1, u.use(hookPath)+".Check();")
		}
	}
	ast.Inspect(root, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok {
				if _, ok := u.info.Uses[id].(*types.PkgName); ok {
					qualified[n.Sel] = true
				}
			}
		case *ast.Ident:
			if !qualified[n] {
				if text, ok := u.replacement(n); ok {
					u.change(src, n.Pos(), n.Pos()+token.Pos(len(strings.TrimSuffix(n.Name, earlier))), text)
				}
			}
		case *ast.FuncLit:
			check(n.Body)
		case *ast.FuncDecl:
			check(n.Body)
		case *ast.ForStmt:
			check(n.Body)
		case *ast.RangeStmt:
			check(n.Body)
		case *ast.BranchStmt:
			if n.Tok == token.GOTO {
				u.change(src, n.Pos(), n.Pos(), "{"+u.use(hookPath)+".Check();")
				u.change(src, n.End(), n.End(), "}")
			}
		case *ast.GoStmt:
			u.goroutine(src, n)
		case *ast.CallExpr:
			if u.starts(n) {
				f := n.Args[len(n.Args)-1]
				u.change(src, f.Pos(), f.Pos(), u.use(hookPath)+".Guard(")
				u.change(src, f.End(), f.End(), ")")
			}
		case *ast.StructType:
			u.hide(src, n)
		}
		return true
	})
}

// starters are the functions of the standard library that call their last argument in a new goroutine.
var starters = map[string]bool{"(*sync.WaitGroup).Go": true, "time.AfterFunc": true}

// starts reports whether a call is one of a starter.
func (u *unit) starts(call *ast.CallExpr) bool {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return false
	}
	f, ok := u.info.Uses[sel.Sel].(*types.Func)
	return ok && starters[f.FullName()]
}

// replacement returns what stands for an identifier in the generated code, false if it stays as it is.
func (u *unit) replacement(id *ast.Ident) (string, bool) {
	obj := u.info.Uses[id]
	if obj == nil {
		obj = u.info.Defs[id]
	}
	switch o := obj.(type) {
	case nil, *types.Label, *types.Builtin, *types.Nil:
		return "", false
	case *types.PkgName:
		return u.use(o.Imported().Path()), true
	case *types.Var:
		if o.IsField() {
			return u.member(o)
		}
	case *types.Func:
		if o.Signature().Recv() != nil {
			return u.member(o)
		}
	}
	if obj.Pkg() == nil {
		return "", false
	}
	if text, ok := u.reference(obj); ok {
		return text, true
	}
	if obj.Pkg().Path() != u.pkg.Path() && obj.Parent() == obj.Pkg().Scope() { // imported with a dot
		return u.use(obj.Pkg().Path()) + "." + obj.Name(), true
	}
	return "", false
}

// member returns the name of a lower-case field or method of the session.
func (u *unit) member(obj types.Object) (string, bool) {
	if obj.Pkg() == nil || obj.Pkg().Path() != u.pkg.Path() || obj.Exported() || obj.Name() == "_" {
		return "", false
	}
	if v, ok := obj.(*types.Var); ok && v.Embedded() && types.Universe.Lookup(obj.Name()) != nil && obj.Name() != "error" {
		return "", false
	}
	return exported(obj.Name()), true
}

// hide gives the lower-case fields of a struct a tag that keeps them out of encoders, and an embedded error a name that
// other packages reach.
func (u *unit) hide(src *source, n *ast.StructType) {
	for _, f := range n.Fields.List {
		if len(f.Names) == 0 {
			if id, ok := f.Type.(*ast.Ident); ok && u.info.Uses[id] == types.Universe.Lookup("error") {
				u.change(src, id.Pos(), id.Pos(), u.use(hookPath)+"."+Mark)
			}
			continue
		}
		lower := slices.IndexFunc(f.Names, func(id *ast.Ident) bool { return !id.IsExported() && id.Name != "_" })
		if lower < 0 {
			continue
		}
		if f.Tag != nil {
			start, end := u.span(src, f.Tag)
			literal := src.text[start:end]
			u.change(src, f.Tag.Pos(), f.Tag.End(), literal[:1]+quoteFor(literal[:1], hidden)+literal[1:])
			continue
		}
		tag := fmt.Sprintf(" %q", strings.TrimSpace(hidden))
		if upper := slices.IndexFunc(f.Names, func(id *ast.Ident) bool { return id.IsExported() }); upper < 0 {
			u.change(src, f.Type.End(), f.Type.End(), tag)
			continue
		}
		for i, id := range f.Names[:len(f.Names)-1] { // upper- and lower-case names share a type: give each its own
			if text, ok := u.spell(u.info.Types[f.Type].Type); ok {
				if !id.IsExported() {
					text += tag
				}
				next := f.Names[i+1].Pos()
				u.change(src, id.End(), next, " "+text+"; "+src.newlines(id.End(), next))
			}
		}
		if last := f.Names[len(f.Names)-1]; !last.IsExported() {
			u.change(src, f.Type.End(), f.Type.End(), tag)
		}
	}
}

// quoteFor escapes text for a literal in the given quotes.
func quoteFor(quote, text string) string {
	if quote == "`" {
		return text
	}
	return strings.ReplaceAll(text, `"`, `\"`)
}
