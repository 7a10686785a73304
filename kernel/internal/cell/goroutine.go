package cell

import (
	"fmt"
	"go/ast"
	"go/types"
	"strings"
)

// goroutine has a panic of a goroutine reported instead of ending the worker. The function and its arguments are still
// evaluated by the go statement itself.
func (u *unit) goroutine(src *source, n *ast.GoStmt) {
	fun := ast.Unparen(n.Call.Fun)
	if lit, ok := fun.(*ast.FuncLit); ok {
		u.change(src, lit.Body.Lbrace+1, lit.Body.Lbrace+1, "defer "+u.use(hookPath)+".Goroutine()();")
		return
	}
	if u.info.Types[fun].IsBuiltin() {
		u.builtinGoroutine(src, n, fun.(*ast.Ident))
		return
	}
	u.change(src, fun.Pos(), fun.Pos(), u.launcher(signature(u.info.Types[fun].Type))+"(")
	u.instantiate(src, fun)
	u.change(src, fun.End(), fun.End(), ")")
}

// signature returns the type of a call of a function of type t, which may be a type parameter; nil if t is no function.
func signature(t types.Type) *types.Signature {
	switch t := t.Underlying().(type) {
	case *types.Signature:
		return t
	case *types.Interface:
		for e := range t.EmbeddedTypes() {
			if union, ok := e.(*types.Union); ok {
				e = union.Term(0).Type()
			}
			if sig := signature(e); sig != nil {
				return sig
			}
		}
	}
	return nil
}

// instantiate writes the type arguments of a generic function that are left to its arguments to tell.
func (u *unit) instantiate(src *source, fun ast.Expr) {
	head, given, end := fun, 0, fun.End()
	switch e := fun.(type) {
	case *ast.IndexExpr:
		head, given, end = e.X, 1, e.Rbrack
	case *ast.IndexListExpr:
		head, given, end = e.X, len(e.Indices), e.Rbrack
	}
	if sel, ok := head.(*ast.SelectorExpr); ok {
		head = sel.Sel
	}
	id, ok := head.(*ast.Ident)
	inst, generic := u.info.Instances[id]
	if !ok || !generic || inst.TypeArgs.Len() == given {
		return
	}
	var list []string
	for i := given; i < inst.TypeArgs.Len(); i++ {
		text, _ := u.spell(inst.TypeArgs.At(i))
		list = append(list, text)
	}
	if text := strings.Join(list, ","); given > 0 {
		u.change(src, end, end, ","+text)
	} else {
		u.change(src, end, end, "["+text+"]")
	}
}

// launcher returns a generic function of the cell's package that makes of a function like sig one for a goroutine of the session.
func (u *unit) launcher(sig *types.Signature) string {
	n, m := sig.Params().Len(), sig.Results().Len()
	name := fmt.Sprintf("%sgo%d_%d_%t", own, n, m, sig.Variadic())
	if u.helpers[name] {
		return name
	}
	u.helpers[name] = true
	var typeParams, of, params, args, results []string
	for i := range n {
		dots, spread := "", ""
		if sig.Variadic() && i == n-1 {
			dots, spread = "...", "..."
		}
		typeParams = append(typeParams, fmt.Sprintf("A%d", i))
		of = append(of, fmt.Sprintf("%sA%d", dots, i))
		params = append(params, fmt.Sprintf("a%d %sA%d", i, dots, i))
		args = append(args, fmt.Sprintf("a%d%s", i, spread))
	}
	for i := range m {
		typeParams = append(typeParams, fmt.Sprintf("R%d", i))
		results = append(results, fmt.Sprintf("R%d", i))
	}
	list := func(texts []string) string { return strings.Join(texts, ", ") }
	generic := ""
	if len(typeParams) > 0 {
		generic = "[" + list(typeParams) + " any]"
	}
	u.declare("func %s%s(f func(%s) (%s)) func(%s) { return func(%s) { defer %s.Goroutine()(); f(%s) } }\n",
		name, generic, list(of), list(results), list(of), list(params), u.use(hookPath), list(args))
	return name
}

// builtinGoroutine does for a builtin, which is no value, what launcher does for functions.
func (u *unit) builtinGoroutine(src *source, n *ast.GoStmt, fun *ast.Ident) {
	call, hook := n.Call, u.use(hookPath)
	sig, _ := u.info.Types[fun].Type.(*types.Signature)
	var names []string
	for i, arg := range call.Args {
		names = append(names, fmt.Sprintf("%sa%d", own, i))
		if _, basic := u.info.Types[arg].Type.Underlying().(*types.Basic); !basic || sig == nil {
			continue
		}
		if text, ok := u.spell(sig.Params().At(i).Type()); ok { // a constant has the parameter's type
			u.change(src, arg.Pos(), arg.Pos(), text+"(")
			u.change(src, arg.End(), arg.End(), ")")
		}
	}
	list, begin, last := strings.Join(names, ", "), "{", call.Lparen+1
	if len(names) > 0 {
		begin, last = fmt.Sprintf("{ %s := ", list), call.Args[len(names)-1].End()
	}
	u.change(src, n.Pos(), call.Lparen+1, begin)
	u.change(src, last, call.End(), fmt.Sprintf("; go func() { defer %s.Goroutine()(); %s(%s) }() }%s",
		hook, fun.Name, list, src.newlines(last, call.End())))
}
