package cell

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"

	"github.com/lohakit/notebook/kernel/internal/direct"
)

// made is the package number of variables that the direct evaluator has made: they lie in no package.
const made = -1

// program writes the cell down for the direct evaluator, which needs no compiler; nil if the cell does more than call,
// assign and show.
func (u *unit) program() (p *direct.Program) {
	if u.chain.table == nil || len(u.revived) > 0 || len(u.late) > 0 {
		return nil
	}
	for _, d := range u.src.decls.Decls {
		if gen, ok := d.(*ast.GenDecl); !ok || gen.Tok != token.IMPORT {
			return nil
		}
	}
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(compiled); !ok {
				panic(r)
			}
			p = nil
			clear(u.used) // what the director would have imported the compiled cell may not need
			clear(u.deps)
		}
	}()
	d := director{u}
	p = &direct.Program{Cell: u.src.name}
	for i, st := range u.steps {
		if u.src.values > 1 && i == len(u.steps)-u.src.values {
			p.Statements = append(p.Statements, d.values(u.steps[i:]))
			break
		}
		p.Statements = append(p.Statements, d.statement(st))
	}
	u.evals++
	return p
}

// compiled is the panic of a director that meets what only the compiler can do.
type compiled struct{}

// director turns checked syntax into trees.
type director struct{ *unit }

func (d director) no() { panic(compiled{}) }

// line returns the line of the cell that pos is in. Of an expression it is that of the operator, as it is to the compiler.
func (d director) line(pos token.Pos) int {
	line, _ := place(d.src.text, d.offsetOf(pos))
	return line
}

func (d director) statement(st *step) *direct.Node {
	var n *direct.Node
	switch stmt := st.stmt.(type) {
	case *ast.AssignStmt:
		switch {
		case stmt.Tok == token.DEFINE && len(st.specs) == 1 && len(st.extra) == 0:
			n = d.define(st, st.specs[0])
		case stmt.Tok == token.ASSIGN:
			n = &direct.Node{Op: direct.Set, N: len(stmt.Lhs)}
			for _, left := range stmt.Lhs {
				n.Args = append(n.Args, d.target(left))
			}
			n.Args = append(n.Args, d.right(st, len(stmt.Lhs), stmt.Rhs)...)
		case stmt.Tok != token.DEFINE && len(stmt.Lhs) == 1:
			op := stmt.Tok.String()
			d.operator(op[:len(op)-1], d.info.Types[stmt.Lhs[0]].Type)
			args := []*direct.Node{d.target(stmt.Lhs[0]), d.expr(stmt.Rhs[0])}
			n = &direct.Node{Op: direct.Update, Text: op[:len(op)-1], Args: args, Line: d.line(stmt.TokPos)}
		}
	case *ast.IncDecStmt:
		t := d.info.Types[stmt.X].Type
		d.operator("+", t)
		one := &direct.Node{Op: direct.Const, Text: "1", Type: d.typ(t)}
		n = &direct.Node{Op: direct.Update, Text: stmt.Tok.String()[:1], Args: []*direct.Node{d.target(stmt.X), one}}
	case *ast.DeclStmt:
		n = d.define(st, st.specs[0])
	case *ast.ExprStmt:
		n = d.show(st, stmt)
	}
	if n == nil {
		d.no()
	}
	if n.Line == 0 {
		n.Line = d.line(st.stmt.Pos())
	}
	return n
}

// define declares variables: new slots, or the ones that variables of the same name and type have.
func (d director) define(st *step, spec *ast.ValueSpec) *direct.Node {
	n := &direct.Node{Op: direct.Define, N: len(spec.Names)}
	var typ *direct.Type
	if spec.Type != nil {
		typ = d.typ(d.info.Types[spec.Type].Type)
	}
	for _, id := range spec.Names {
		target := &direct.Node{Op: direct.Slot, Type: typ}
		n.Args, n.Index = append(n.Args, target), append(n.Index, 0)
		obj, _ := d.info.Defs[id].(*types.Var)
		if id.Name == "_" || obj == nil {
			continue
		}
		if _, ok := d.spell(obj.Type()); !ok {
			d.no()
		}
		slot := fmt.Sprintf("e%d.%s", d.evals, id.Name)
		sym := d.reuse(&symbol{obj: obj, pkg: d.n, expr: slot, cell: d.src.name})
		if sym.pkg == d.n {
			sym.pkg = made
			n.Index[len(n.Index)-1] = 1
		}
		d.fresh[obj] = sym
		target.Text = sym.slot()
	}
	if len(spec.Values) == 0 {
		for range spec.Names {
			n.Args = append(n.Args, &direct.Node{Op: direct.Nil, Type: typ})
		}
		return n
	}
	n.Args = append(n.Args, d.right(st, len(spec.Names), spec.Values)...)
	return n
}

// slot returns the name under which the worker knows the variable.
func (s *symbol) slot() string {
	if s.pkg == made {
		return s.expr
	}
	return fmt.Sprintf("c%d.%s", s.pkg, s.expr)
}

// right returns what a statement assigns to n places. A second value that says whether there is a first, as of a map, is the compiler's.
func (d director) right(st *step, n int, list []ast.Expr) []*direct.Node {
	if _, call := ast.Unparen(list[0]).(*ast.CallExpr); !call && len(list) != n {
		d.no()
	}
	var out []*direct.Node
	for _, e := range list {
		out = append(out, d.expr(e))
	}
	if st.try {
		out[0] = &direct.Node{Op: direct.Try, Args: []*direct.Node{out[0]}, Line: d.line(list[0].Pos())}
	}
	return out[:len(list)]
}

// target returns the place that an assignment stores to.
func (d director) target(e ast.Expr) *direct.Node {
	if id, ok := e.(*ast.Ident); ok && id.Name == "_" {
		return &direct.Node{Op: direct.Slot}
	}
	return d.expr(e)
}

// show evaluates an expression statement, and shows its value if it is the cell's last.
func (d director) show(st *step, stmt *ast.ExprStmt) *direct.Node {
	x := d.expr(stmt.X)
	if st.call == nil || st.assign {
		if st.value {
			return &direct.Node{Op: direct.Show, Args: []*direct.Node{x}}
		}
		return &direct.Node{Op: direct.Eval, Args: []*direct.Node{x}}
	}
	results := d.results(st.call)
	n := len(results)
	if n > 0 && isError(results[n-1].Type()) {
		x = &direct.Node{Op: direct.Try, Args: []*direct.Node{x}, Line: d.line(stmt.X.Pos())}
		n--
	}
	if !st.value || n == 0 || written(results) {
		return &direct.Node{Op: direct.Eval, Args: []*direct.Node{x}}
	}
	return &direct.Node{Op: direct.Show, Args: []*direct.Node{x}}
}

// values shows a list of expressions.
func (d director) values(steps []*step) *direct.Node {
	n := &direct.Node{Op: direct.Show, Line: d.line(steps[0].stmt.Pos())}
	if !steps[0].value {
		d.no()
	}
	for _, st := range steps {
		stmt, ok := st.stmt.(*ast.ExprStmt)
		if !ok || st.call != nil && len(d.results(st.call)) != 1 {
			d.no()
		}
		n.Args = append(n.Args, d.expr(stmt.X))
	}
	if len(n.Args) == 1 {
		d.no()
	}
	return n
}

// operator makes sure that an operator works on a type by reflection.
func (d director) operator(op string, t types.Type) {
	b, ok := t.Underlying().(*types.Basic)
	if !ok || b.Kind() == types.UnsafePointer || b.Info()&types.IsComplex != 0 || op == "<<" || op == ">>" {
		d.no()
	}
}

// expr turns an expression into a tree.
func (d director) expr(e ast.Expr) *direct.Node {
	tv := d.info.Types[e]
	switch {
	case tv.IsType():
		d.no()
	case tv.Value != nil:
		return d.constant(tv)
	case tv.IsNil():
		return &direct.Node{Op: direct.Nil}
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return d.expr(e.X)
	case *ast.Ident:
		return d.variable(e)
	case *ast.SelectorExpr:
		return d.selector(e)
	case *ast.CallExpr:
		return d.call(e)
	case *ast.UnaryExpr:
		return d.unary(e)
	case *ast.BinaryExpr:
		return d.binary(e)
	case *ast.IndexExpr:
		switch d.info.Types[e.X].Type.Underlying().(type) {
		case *types.Slice, *types.Map, *types.Array, *types.Basic:
			return &direct.Node{Op: direct.Index, Args: []*direct.Node{d.expr(e.X), d.expr(e.Index)}, Line: d.line(e.Lbrack)}
		}
	case *ast.SliceExpr:
		switch d.info.Types[e.X].Type.Underlying().(type) {
		case *types.Slice, *types.Basic:
			if !e.Slice3 {
				args := []*direct.Node{d.expr(e.X), d.bound(e.Low), d.bound(e.High)}
				return &direct.Node{Op: direct.Slice, Args: args, Line: d.line(e.Lbrack)}
			}
		}
	case *ast.StarExpr:
		return &direct.Node{Op: direct.Deref, Args: []*direct.Node{d.expr(e.X)}, Line: d.line(e.Star)}
	case *ast.CompositeLit:
		return d.literal(e)
	}
	d.no()
	return nil
}

func (d director) bound(e ast.Expr) *direct.Node {
	if e == nil {
		return &direct.Node{Op: direct.Nil}
	}
	return d.expr(e)
}

func (d director) constant(tv types.TypeAndValue) *direct.Node {
	t := types.Default(tv.Type)
	b, ok := t.Underlying().(*types.Basic)
	if !ok || b.Info()&(types.IsBoolean|types.IsNumeric|types.IsString) == 0 || b.Info()&types.IsComplex != 0 {
		d.no()
	}
	return &direct.Node{Op: direct.Const, Text: tv.Value.ExactString(), Type: d.typ(t)}
}

func (d director) variable(id *ast.Ident) *direct.Node {
	obj := d.info.Uses[id]
	sym := d.fresh[obj]
	if sym == nil || sym.pkg == 0 || generic(obj) {
		d.no()
	}
	if _, isVar := obj.(*types.Var); !isVar && !sym.fn {
		d.no()
	}
	return &direct.Node{Op: direct.Slot, Text: sym.slot()}
}

func (d director) selector(e *ast.SelectorExpr) *direct.Node {
	sel := d.info.Selections[e]
	if sel == nil {
		obj := d.info.Uses[e.Sel]
		key := obj.Pkg().Path() + "." + obj.Name()
		if generic(obj) || !d.chain.table[key] {
			d.no()
		}
		return &direct.Node{Op: direct.Func, Text: key}
	}
	if !sel.Obj().Exported() {
		d.no()
	}
	x, t, dot := d.expr(e.X), sel.Recv(), d.line(e.X.End())
	pointer := func() bool {
		_, ok := t.Underlying().(*types.Pointer)
		return ok
	}
	deref := func() {
		x, t = &direct.Node{Op: direct.Deref, Args: []*direct.Node{x}, Line: dot}, t.Underlying().(*types.Pointer).Elem()
	}
	switch obj := sel.Obj().(type) {
	case *types.Func:
		if sel.Kind() != types.MethodVal || obj.Pkg() != nil && locating[obj.Pkg().Path()] {
			break
		}
		_, byPointer := obj.Signature().Recv().Type().(*types.Pointer)
		switch {
		case !byPointer && pointer():
			deref()
		case byPointer && !pointer() && d.info.Types[e.X].Addressable():
			x = &direct.Node{Op: direct.Address, Args: []*direct.Node{x}}
		}
		return &direct.Node{Op: direct.Method, Text: obj.Name(), Args: []*direct.Node{x}, Line: dot}
	case *types.Var:
		for _, i := range sel.Index() {
			if pointer() {
				deref()
			}
			f := t.Underlying().(*types.Struct).Field(i)
			if !f.Exported() {
				d.no()
			}
			x, t = &direct.Node{Op: direct.Field, Index: []int{i}, Args: []*direct.Node{x}}, f.Type()
		}
		return x
	}
	d.no()
	return nil
}

// results returns the results of a call.
func (u *unit) results(call *ast.CallExpr) []*types.Var {
	var results []*types.Var
	switch t := u.info.Types[call].Type.(type) {
	case *types.Tuple:
		for v := range t.Variables() {
			results = append(results, v)
		}
	case nil:
	default:
		if tv := u.info.Types[call]; !tv.IsVoid() && !tv.IsBuiltin() {
			results = []*types.Var{types.NewVar(token.NoPos, nil, "", t)}
		}
	}
	return results
}

// written reports whether results are those of a write, which are of no interest.
func written(results []*types.Var) bool {
	return len(results) == 2 && results[0].Name() == "n" && results[1].Name() == "err"
}

func (d director) call(e *ast.CallExpr) *direct.Node {
	fun := d.info.Types[e.Fun]
	switch {
	case fun.IsType():
		from, ok1 := d.info.Types[e.Args[0]].Type.Underlying().(*types.Basic)
		to, ok2 := fun.Type.Underlying().(*types.Basic)
		if !ok1 || !ok2 || from.Info()&types.IsNumeric != to.Info()&types.IsNumeric || (from.Info()|to.Info())&types.IsComplex != 0 {
			d.no()
		}
		return &direct.Node{Op: direct.Convert, Type: d.typ(fun.Type), Args: []*direct.Node{d.expr(e.Args[0])}}
	case fun.IsBuiltin():
		name := ast.Unparen(e.Fun).(*ast.Ident)
		switch name.Name {
		case "len", "cap", "append":
			if e.Ellipsis.IsValid() {
				d.no()
			}
			n := &direct.Node{Op: direct.Builtin, Text: name.Name}
			for _, a := range e.Args {
				n.Args = append(n.Args, d.expr(a))
			}
			if n.Args[0].Op == direct.Nil {
				d.no()
			}
			return n
		}
		d.no()
	}
	if _, ok := fun.Type.Underlying().(*types.Signature); !ok || d.starts(e) {
		d.no()
	}
	n := &direct.Node{Op: direct.Call, Spread: e.Ellipsis.IsValid(), Args: []*direct.Node{d.expr(e.Fun)}, Line: d.line(e.Lparen)}
	for _, a := range e.Args {
		if t, ok := d.info.Types[a].Type.(*types.Tuple); ok && (t.Len() < 2 || fun.Type.Underlying().(*types.Signature).Variadic()) {
			d.no()
		}
		n.Args = append(n.Args, d.expr(a))
	}
	return n
}

func (d director) unary(e *ast.UnaryExpr) *direct.Node {
	x := d.expr(e.X)
	switch e.Op {
	case token.AND:
		if _, literal := ast.Unparen(e.X).(*ast.CompositeLit); !literal && !d.info.Types[e.X].Addressable() {
			d.no()
		}
		return &direct.Node{Op: direct.Address, Args: []*direct.Node{x}}
	case token.ADD, token.SUB, token.NOT, token.XOR:
		d.operator(e.Op.String(), d.info.Types[e.X].Type)
		return &direct.Node{Op: direct.Unary, Text: e.Op.String(), Args: []*direct.Node{x}}
	}
	d.no()
	return nil
}

func (d director) binary(e *ast.BinaryExpr) *direct.Node {
	a, b := d.info.Types[e.X], d.info.Types[e.Y]
	n := &direct.Node{Op: direct.Binary, Text: e.Op.String(), Args: []*direct.Node{d.expr(e.X), d.expr(e.Y)}}
	if b.IsNil() && (e.Op == token.EQL || e.Op == token.NEQ) {
		return n
	}
	t := d.info.Types[e].Type
	if _, named := t.(*types.Named); !types.Identical(a.Type, b.Type) || named && types.Identical(t.Underlying(), types.Typ[types.Bool]) {
		d.no()
	}
	d.operator(e.Op.String(), a.Type)
	if e.Op == token.QUO || e.Op == token.REM {
		n.Line = d.line(e.OpPos)
	}
	return n
}

func (d director) literal(e *ast.CompositeLit) *direct.Node {
	t := d.info.Types[e].Type
	if p, ok := t.Underlying().(*types.Pointer); ok { // {…} in a list of pointers is &T{…}
		return &direct.Node{Op: direct.Address, Args: []*direct.Node{d.composite(e, p.Elem())}}
	}
	return d.composite(e, t)
}

// composite makes a value of type t of the elements of a literal.
func (d director) composite(e *ast.CompositeLit, t types.Type) *direct.Node {
	n := &direct.Node{Op: direct.Literal, Type: d.typ(t), Line: d.line(e.Lbrace)}
	s, isStruct := t.Underlying().(*types.Struct)
	for i, a := range e.Elts {
		kv, keyed := a.(*ast.KeyValueExpr)
		switch {
		case isStruct:
			if keyed {
				i = -1
				for k := range s.NumFields() {
					if s.Field(k).Name() == kv.Key.(*ast.Ident).Name {
						i = k
					}
				}
				a = kv.Value
			}
			if i < 0 || !s.Field(i).Exported() {
				d.no()
			}
			n.Index = append(n.Index, i)
		case keyed:
			if _, ok := t.Underlying().(*types.Map); !ok {
				d.no()
			}
			n.Keys = append(n.Keys, d.expr(kv.Key))
			a = kv.Value
		}
		n.Args = append(n.Args, d.expr(a))
	}
	return n
}

// typ describes a type to the worker.
func (d director) typ(t types.Type) *direct.Type {
	t = types.Unalias(t)
	if isError(t) {
		return &direct.Type{Kind: "error"}
	}
	switch t := t.(type) {
	case *types.Basic:
		if t.Kind() != types.UnsafePointer && t.Info()&(types.IsUntyped|types.IsComplex) == 0 {
			return &direct.Type{Kind: t.Name()}
		}
	case *types.Slice:
		return &direct.Type{Kind: "slice", Elem: d.typ(t.Elem())}
	case *types.Array:
		return &direct.Type{Kind: "array", Elem: d.typ(t.Elem()), Len: int(t.Len())}
	case *types.Map:
		return &direct.Type{Kind: "map", Key: d.typ(t.Key()), Elem: d.typ(t.Elem())}
	case *types.Pointer:
		return &direct.Type{Kind: "pointer", Elem: d.typ(t.Elem())}
	case *types.Interface:
		if t.Empty() {
			return &direct.Type{Kind: "any"}
		}
	case *types.Named:
		obj := t.Obj()
		if t.TypeArgs().Len() > 0 || obj.Pkg() == nil {
			break
		}
		if sym := d.byObj[obj]; sym != nil && sym.pkg > 0 {
			return &direct.Type{Kind: "named", Name: sym.slot()}
		}
		if name := obj.Pkg().Path() + "." + obj.Name(); d.chain.table["type "+name] {
			return &direct.Type{Kind: "named", Name: name}
		}
	}
	d.no()
	return nil
}
