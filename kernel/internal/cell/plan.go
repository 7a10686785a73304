package cell

import (
	"fmt"
	"go/ast"
	"go/types"
)

// plan decides where everything that the cell declares lives: a variable or function of the same type as before keeps its
// storage, everything else is new in the cell's package.
func (u *unit) plan() []Problem {
	var vars []*ast.Ident
	var aliases []types.Object
	for id, obj := range u.info.Defs {
		if obj == nil || obj.Pkg() != u.pkg || obj.Parent() != u.pkg.Scope() || hasMark(obj.Name()) || obj.Name() == "init" {
			continue
		}
		sym := &symbol{obj: obj, pkg: u.n, expr: exported(obj.Name()), cell: u.src.name}
		if u.retyped[Plain(obj.Name())] != nil && !id.Pos().IsValid() {
			aliases = append(aliases, obj)
			continue
		}
		switch obj := obj.(type) {
		case *types.TypeName, *types.Const:
			u.fresh[obj] = sym
		case *types.Func:
			sym.fn = !generic(obj)
			u.fresh[obj] = u.reuse(sym)
		case *types.Var:
			vars = append(vars, id)
		}
	}
	for _, id := range vars {
		obj := u.info.Defs[id]
		u.fresh[obj] = u.reuse(&symbol{obj: obj, pkg: u.n, expr: exported(obj.Name()), cell: u.src.name})
	}
	for _, obj := range aliases {
		u.alias(obj, Plain(obj.Name()))
	}
	for _, id := range vars {
		obj := u.info.Defs[id]
		if u.fresh[obj].pkg != u.n {
			continue
		}
		text, ok := u.spell(obj.Type())
		switch {
		case ok:
			u.declare("var %s %s\n", u.fresh[obj].expr, text)
		case u.infer(id, u.fresh[obj]):
		default:
			return []Problem{u.src.problem(id.Pos(), fmt.Sprintf("%s would have the type %s, which its package keeps to itself; "+
				"put the statement into a function, or give %s an interface type", id.Name, obj.Type(), id.Name))}
		}
	}
	return nil
}

func hasMark(name string) bool { return len(name) > len(Mark) && name[:len(Mark)] == Mark }

// reuse gives a variable or function the storage of the one it replaces, if that has the same type.
func (u *unit) reuse(sym *symbol) *symbol {
	old := u.names[sym.obj.Name()]
	_, isVar := sym.obj.(*types.Var)
	if old == nil || old.pkg == 0 || old.fn != sym.fn || !sym.fn && !isVar || u.retyped[sym.obj.Name()] != nil {
		return sym
	}
	if _, wasVar := old.obj.(*types.Var); (old.fn || wasVar) && types.Identical(old.obj.Type(), sym.obj.Type()) {
		sym.pkg, sym.expr, sym.pointer = old.pkg, old.expr, old.pointer
	}
	return sym
}

// generic reports whether obj is a function with type parameters, which cannot be held in a variable.
func generic(obj types.Object) bool {
	f, ok := obj.(*types.Func)
	return ok && f.Signature().TypeParams().Len() > 0
}

// infer declares the storage of a variable whose type cannot be written down, by letting the compiler infer it from the
// function whose result it is.
func (u *unit) infer(id *ast.Ident, sym *symbol) bool {
	for _, st := range u.steps {
		if st.call == nil {
			continue
		}
		for _, spec := range st.specs {
			for i, name := range spec.Names {
				sig, ok := u.info.Types[st.call.Fun].Type.Underlying().(*types.Signature)
				if name != id || !ok || !u.harmless(st.call.Fun) || sig.Results().Len() <= i {
					continue
				}
				helper := u.zero(sig, i)
				u.pending = append(u.pending, func() {
					text := u.unevaluated(st.call.Fun)
					u.declare("var %s = %s(%s)\n", sym.expr, helper, text)
				})
				return true
			}
		}
	}
	return false
}

// harmless reports whether unevaluated can write a function: it is named, or a method of what such a function returns, and follows no
// pointer.
func (u *unit) harmless(fun ast.Expr) bool {
	if u.info.Types[fun].IsType() {
		return false
	}
	switch fun := ast.Unparen(fun).(type) {
	case *ast.Ident:
		return true
	case *ast.IndexExpr:
		_, function := u.info.Types[fun.X].Type.(*types.Signature) // and not a slice's or map's element
		return function && u.harmless(fun.X)
	case *ast.IndexListExpr:
		return u.harmless(fun.X)
	case *ast.SelectorExpr:
		sel := u.info.Selections[fun]
		if sel == nil {
			return true
		}
		if sel.Kind() != types.MethodVal || len(sel.Index()) > 1 || types.IsInterface(sel.Recv()) {
			return false
		}
		_, pointer := sel.Recv().Underlying().(*types.Pointer)
		_, byPointer := sel.Obj().(*types.Func).Signature().Recv().Type().(*types.Pointer)
		if pointer && !byPointer {
			return false
		}
		switch x := ast.Unparen(fun.X).(type) {
		case *ast.Ident:
			return true
		case *ast.SelectorExpr: // a variable of a package
			return u.info.Selections[x] == nil
		case *ast.CallExpr:
			return pointer == byPointer && u.harmless(x.Fun)
		}
	}
	return false
}

// unevaluated writes a function for the time before the cell's statements run, where a call stands for the zero value of its type.
func (u *unit) unevaluated(fun ast.Expr) string {
	if sel, ok := ast.Unparen(fun).(*ast.SelectorExpr); ok {
		if call, ok := ast.Unparen(sel.X).(*ast.CallExpr); ok {
			sig := u.info.Types[call.Fun].Type.Underlying().(*types.Signature)
			return fmt.Sprintf("%s(%s).%s", u.zero(sig, 0), u.unevaluated(call.Fun), u.piece(u.src, sel.Sel))
		}
	}
	return u.piece(u.src, fun)
}

// zero returns a generic function of the cell's package that takes a function like sig and returns the zero value of its
// i-th result's type.
func (u *unit) zero(sig *types.Signature, i int) string {
	name := fmt.Sprintf("%szero%d", own, len(u.helpers))
	params, typeParams, results := "", "", ""
	for k := range sig.Params().Len() {
		dots := ""
		if sig.Variadic() && k == sig.Params().Len()-1 {
			dots = "..."
		}
		params += fmt.Sprintf("%sA%d,", dots, k)
		typeParams += fmt.Sprintf("A%d,", k)
	}
	for k := range sig.Results().Len() {
		results += fmt.Sprintf("R%d,", k)
		typeParams += fmt.Sprintf("R%d,", k)
	}
	u.helpers[name] = true
	u.declare("func %s[%s any](func(%s) (%s)) (z R%d) { return }\n", name, typeParams[:len(typeParams)-1], params, results, i)
	return name
}

// declare adds a line to the cell's package.
func (u *unit) declare(format string, args ...any) { fmt.Fprintf(&u.extras, format, args...) }

// use imports a package into the generated code and returns its name there.
func (u *unit) use(path string) string {
	if name, ok := u.used[path]; ok {
		return name
	}
	name := fmt.Sprintf("%sp%d", own, len(u.used))
	u.used[path] = name
	return name
}

// span returns the byte offsets of a node in its cell.
func (u *unit) span(src *source, n ast.Node) (start, end int) {
	start, _ = src.offset(n.Pos())
	end, _ = src.offset(n.End())
	return start, end
}
