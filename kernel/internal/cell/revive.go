package cell

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strconv"
)

// A method added in a later cell makes a new version of its type: the type is declared again in the cell's package, with
// all its methods, and so is every type that holds it. Values have the same layout as before, so that variables and
// functions of earlier cells are seen through pointers of the new type.

// grow finds the types that get a method they did not have, or one with another signature, and everything declared in
// terms of them. It says whether the cell has to be checked again.
func (u *unit) grow() bool {
	for d, old := range u.adopted {
		name := d.Name.Name
		named, ok := old.obj.Type().(*types.Named)
		if !ok {
			continue
		}
		now, _ := u.info.Defs[u.plain[d].Name].(*types.Func)
		if now == nil || !sameMethod(named, name, now.Signature()) {
			u.revived[old.obj.Name()] = old
		}
	}
	return u.spread()
}

// spread adds to the types that are declared again what is declared in terms of them. It says whether that changes
// anything.
func (u *unit) spread() bool {
	if len(u.revived) == 0 || u.spreadTo == len(u.revived) {
		return false
	}
	for again := true; again; {
		again = false
		for name, sym := range u.names {
			if sym.decl == nil || u.revived[name] != nil {
				continue
			}
			for used, at := range sym.decl.uses {
				if u.revived[used] != nil && u.revived[used] == at {
					u.revived[name], again = sym, true
				}
			}
		}
	}
	u.spreadTo = len(u.revived)
	for d, old := range u.adopted {
		if u.revived[old.obj.Name()] != nil {
			delete(u.adopted, d)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.names)) {
		sym := u.names[name]
		if u.revived[name] == nil && sym.pkg != 0 && u.mentions(sym.obj.Type()) {
			u.retyped[name] = sym
		}
	}
	return true
}

// sameMethod reports whether a type has a method like the function f, which takes the receiver first.
func sameMethod(named *types.Named, name string, f *types.Signature) bool {
	for m := range named.Methods() {
		sig := m.Signature()
		if m.Name() != name || sig.Params().Len() != f.Params().Len()-1 || sig.Variadic() != f.Variadic() ||
			!types.Identical(sig.Results(), f.Results()) || !types.Identical(sig.Recv().Type(), f.Params().At(0).Type()) {
			continue
		}
		for i := range sig.Params().Len() {
			if !types.Identical(sig.Params().At(i).Type(), f.Params().At(i+1).Type()) {
				return false
			}
		}
		return true
	}
	return false
}

// mentions reports whether t is made of a type that is declared again.
func (u *unit) mentions(t types.Type) bool {
	switch t := t.(type) {
	case *types.Alias:
		return u.isRevived(t.Obj()) || u.mentions(types.Unalias(t))
	case *types.Named:
		if u.isRevived(t.Obj()) {
			return true
		}
		for arg := range t.TypeArgs().Types() {
			if u.mentions(arg) {
				return true
			}
		}
	case *types.Pointer:
		return u.mentions(t.Elem())
	case *types.Slice:
		return u.mentions(t.Elem())
	case *types.Array:
		return u.mentions(t.Elem())
	case *types.Chan:
		return u.mentions(t.Elem())
	case *types.Map:
		return u.mentions(t.Key()) || u.mentions(t.Elem())
	case *types.Signature:
		return u.mentions(t.Params()) || u.mentions(t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			if u.mentions(v.Type()) {
				return true
			}
		}
	case *types.Struct:
		for f := range t.Fields() {
			if u.mentions(f.Type()) {
				return true
			}
		}
	}
	return false
}

func (u *unit) isRevived(obj types.Object) bool {
	sym := u.revived[obj.Name()]
	return sym != nil && sym.obj == obj
}

// again returns the declarations of earlier cells that this cell declares again.
func (u *unit) again() []ast.Decl {
	var decls []ast.Decl
	for _, name := range slices.Sorted(maps.Keys(u.revived)) {
		d := u.revived[name].decl
		if d.fn != nil {
			decls = append(decls, d.fn)
			continue
		}
		decls = append(decls, &ast.GenDecl{Tok: token.TYPE, TokPos: d.spec.Pos(), Specs: []ast.Spec{d.spec}})
		for _, m := range u.inherited(name) {
			decls = append(decls, m.decl)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.retyped)) {
		sym, as := u.retyped[name], name
		if u.defines[name] {
			as += earlier
		}
		spec := &ast.ValueSpec{Names: []*ast.Ident{ast.NewIdent(as)}, Type: u.syntax(sym.obj.Type())}
		tok := token.VAR
		if c, ok := sym.obj.(*types.Const); ok {
			tok = token.CONST
			spec.Values = []ast.Expr{literal(c.Val())}
		}
		decls = append(decls, &ast.GenDecl{Tok: tok, Specs: []ast.Spec{spec}})
	}
	return decls
}

// inherited returns the methods of a type that is declared again which this cell does not declare itself.
func (u *unit) inherited(name string) []method {
	own := map[string]bool{}
	for _, d := range u.src.decls.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Recv != nil {
			if t, _ := receiver(d); t == name {
				own[d.Name.Name] = true
			}
		}
	}
	return slices.DeleteFunc(u.methods(u.revived[name]), func(m method) bool { return own[m.decl.Name.Name] })
}

// literal writes a constant down.
func literal(v constant.Value) ast.Expr {
	kind := map[constant.Kind]token.Token{constant.Int: token.INT, constant.Float: token.FLOAT, constant.String: token.STRING}[v.Kind()]
	if kind == token.ILLEGAL {
		return ast.NewIdent(v.ExactString()) // true or false
	}
	return &ast.BasicLit{Kind: kind, Value: v.ExactString()}
}

// syntax writes a type of an earlier cell in terms of the types that are declared again. What does not depend on them goes
// by a name of its own.
func (u *unit) syntax(t types.Type) ast.Expr {
	if !u.mentions(t) {
		return u.nickname(t)
	}
	switch t := t.(type) {
	case *types.Named:
		var head ast.Expr = ast.NewIdent(t.Obj().Name())
		if !u.isRevived(t.Obj()) {
			head = u.nickname(t.Origin())
		}
		if t.TypeArgs().Len() == 0 {
			return head
		}
		var args []ast.Expr
		for arg := range t.TypeArgs().Types() {
			args = append(args, u.syntax(arg))
		}
		return &ast.IndexListExpr{X: head, Indices: args}
	case *types.Pointer:
		return &ast.StarExpr{X: u.syntax(t.Elem())}
	case *types.Slice:
		return &ast.ArrayType{Elt: u.syntax(t.Elem())}
	case *types.Array:
		return &ast.ArrayType{Len: &ast.BasicLit{Kind: token.INT, Value: strconv.FormatInt(t.Len(), 10)}, Elt: u.syntax(t.Elem())}
	case *types.Map:
		return &ast.MapType{Key: u.syntax(t.Key()), Value: u.syntax(t.Elem())}
	case *types.Chan:
		dir := map[types.ChanDir]ast.ChanDir{types.SendRecv: ast.SEND | ast.RECV, types.SendOnly: ast.SEND, types.RecvOnly: ast.RECV}[t.Dir()]
		return &ast.ChanType{Dir: dir, Value: u.syntax(t.Elem())}
	case *types.Signature:
		fields := func(list *types.Tuple, variadic bool) *ast.FieldList {
			out := &ast.FieldList{}
			for i := range list.Len() {
				typ := list.At(i).Type()
				if variadic && i == list.Len()-1 {
					out.List = append(out.List, &ast.Field{Type: &ast.Ellipsis{Elt: u.syntax(typ.(*types.Slice).Elem())}})
				} else {
					out.List = append(out.List, &ast.Field{Type: u.syntax(typ)})
				}
			}
			return out
		}
		return &ast.FuncType{Params: fields(t.Params(), t.Variadic()), Results: fields(t.Results(), false)}
	case *types.Struct:
		out := &ast.FieldList{}
		for i := range t.NumFields() {
			f := &ast.Field{Type: u.syntax(t.Field(i).Type())}
			if !t.Field(i).Embedded() {
				f.Names = []*ast.Ident{ast.NewIdent(t.Field(i).Name())}
			}
			if tag := t.Tag(i); tag != "" {
				f.Tag = &ast.BasicLit{Kind: token.STRING, Value: strconv.Quote(tag)}
			}
			out.List = append(out.List, f)
		}
		return &ast.StructType{Fields: out}
	}
	return u.nickname(t)
}

// nickname returns an identifier that stands for t while the cell is checked.
func (u *unit) nickname(t types.Type) ast.Expr {
	name := fmt.Sprintf("%st%d", own, len(u.nicknames))
	u.nicknames[name] = t
	return ast.NewIdent(name)
}

// alias declares the pointers of a new type to the variables of earlier cells.
func (u *unit) alias(obj types.Object, name string) {
	old := u.retyped[name]
	text, ok := u.spell(obj.Type())
	sym := &symbol{obj: obj, pkg: u.n, expr: own + "a" + own + name, pointer: true, fn: old.fn, cell: old.cell}
	u.fresh[obj] = sym
	switch c, isConst := obj.(*types.Const); {
	case !ok:
	case isConst:
		sym.pointer, sym.expr = false, exported(name)
		u.declare("const %s %s = %s\n", sym.expr, text, c.Val().ExactString())
	case old.pkg == made:
		u.declare("var %s = (*%s)(%s.Slot(%q))\n", sym.expr, text, u.use(hookPath), old.expr)
	default:
		u.deps[old.pkg] = true
		address := "&" + alias(old.pkg) + "." + old.expr
		if old.pointer {
			address = address[1:]
		}
		u.declare("var %s = (*%s)(%s.Pointer(%s))\n", sym.expr, text, u.use("unsafe"), address)
	}
}
