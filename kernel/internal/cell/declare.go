package cell

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"go/types"
)

// compare finds the types that the cell declares exactly as they are, so that values of earlier cells keep their type,
// and the methods that it declares for types of earlier cells.
func (u *unit) compare() {
	u.dropped = map[*ast.TypeSpec]bool{}
	u.adopted = map[*ast.FuncDecl]*symbol{}
	types, other := map[string]*ast.TypeSpec{}, map[string]bool{}
	for _, d := range u.src.decls.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					types[spec.Name.Name] = spec
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						other[name.Name] = true
					}
				}
			}
		case *ast.FuncDecl:
			if d.Recv == nil {
				other[d.Name.Name] = true
			}
		}
	}
	for name, spec := range types {
		old := u.names[name]
		if old != nil && old.decl != nil && u.printed(spec) == u.printed(old.decl.spec) {
			u.dropped[spec] = true
		}
	}
	for again := true; again; {
		again = false
		for spec := range u.dropped {
			for name, sym := range u.names[spec.Name.Name].decl.uses {
				if now := types[name]; other[name] || !same(u.names[name], sym) || now != nil && !u.dropped[now] {
					delete(u.dropped, spec)
					again = true
				}
			}
		}
	}
	for _, d := range u.src.decls.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Recv != nil && d.Body != nil {
			name, generic := receiver(d)
			old := u.names[name]
			switch {
			case old == nil || old.decl == nil || types[name] != nil && !u.dropped[types[name]]:
			case generic:
				u.revived[name] = old
			default:
				u.adopted[d] = old
			}
		}
	}
	u.spread()
}

// printed returns the text of a declaration in one form.
func (u *unit) printed(spec *ast.TypeSpec) string {
	plain := *spec
	plain.Doc, plain.Comment = nil, nil
	var b bytes.Buffer
	_ = printer.Fprint(&b, token.NewFileSet(), &plain)
	return b.String()
}

// receiver returns the name of a method's type, and whether the type has parameters.
func receiver(d *ast.FuncDecl) (name string, generic bool) {
	if len(d.Recv.List) == 0 {
		return "", false
	}
	t := ast.Unparen(d.Recv.List[0].Type)
	if star, ok := t.(*ast.StarExpr); ok {
		t = ast.Unparen(star.X)
	}
	switch x := t.(type) {
	case *ast.IndexExpr:
		t, generic = x.X, true
	case *ast.IndexListExpr:
		t, generic = x.X, true
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name, generic
	}
	return "", generic
}

// kept returns a declaration without the types that did not change; nil if nothing is left.
func (u *unit) kept(d *ast.GenDecl) *ast.GenDecl {
	if d.Tok != token.TYPE {
		return d
	}
	out := *d
	out.Specs = nil
	for _, spec := range d.Specs {
		if !u.dropped[spec.(*ast.TypeSpec)] {
			out.Specs = append(out.Specs, spec)
		}
	}
	if len(out.Specs) == 0 {
		return nil
	}
	return &out
}

// plainFunc is a method as a function that takes the receiver first.
func plainFunc(d *ast.FuncDecl) *ast.FuncDecl {
	recv := *d.Recv.List[0]
	if len(recv.Names) == 0 {
		recv.Names = []*ast.Ident{blankAt(d)}
	}
	params := &ast.FieldList{Opening: d.Type.Params.Opening, List: []*ast.Field{&recv}, Closing: d.Type.Params.Closing}
	for _, f := range d.Type.Params.List {
		if len(f.Names) == 0 {
			named := *f
			named.Names = []*ast.Ident{blankAt(f)}
			f = &named
		}
		params.List = append(params.List, f)
	}
	typ := *d.Type
	typ.Params = params
	return &ast.FuncDecl{Name: blankAt(d.Name), Type: &typ, Body: d.Body}
}

// reference returns how the generated code names obj, an object of the session or of this cell.
func (u *unit) reference(obj types.Object) (string, bool) {
	sym := u.fresh[obj]
	if sym == nil {
		sym = u.byObj[obj]
	}
	if sym == nil {
		return "", false
	}
	text := sym.expr
	if sym.pkg == made {
		return "(*" + u.view(sym) + ")", true
	}
	if sym.pkg != u.n {
		u.deps[sym.pkg] = true
		text = alias(sym.pkg) + "." + text
	}
	if sym.pointer {
		text = "(*" + text + ")"
	}
	return text, true
}

// view declares a pointer to a variable that the direct evaluator made, and returns its name.
func (u *unit) view(sym *symbol) string {
	if name, ok := u.views[sym.expr]; ok {
		return name
	}
	name := fmt.Sprintf("%se%d", own, len(u.views))
	u.views[sym.expr] = name
	text, _ := u.spell(sym.obj.Type())
	u.declare("var %s = (*%s)(%s.Slot(%q))\n", name, text, u.use(hookPath), sym.expr)
	return name
}
