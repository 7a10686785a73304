package cell

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// entry is the function of the cell's package that runs its statements.
const entry = own + "cell"

// generate returns the Go source of the cell's package.
func (u *unit) generate() string {
	type placed struct {
		src  *source
		decl ast.Decl
	}
	var decls []placed
	for _, d := range u.src.decls.Decls {
		if gen, ok := d.(*ast.GenDecl); !ok {
			decls = append(decls, placed{u.src, d})
		} else if kept := u.kept(gen); gen.Tok != token.IMPORT && kept != nil {
			decls = append(decls, placed{u.src, kept})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.revived)) {
		d := u.revived[name].decl
		if d.fn != nil {
			decls = append(decls, placed{d.src, d.fn})
			continue
		}
		decls = append(decls, placed{d.src, &ast.GenDecl{Tok: token.TYPE, TokPos: d.spec.Pos(), Specs: []ast.Spec{d.spec}}})
		for _, m := range u.inherited(name) {
			decls = append(decls, placed{m.src, m.decl})
		}
	}
	for _, d := range decls {
		u.transform(d.src, d.decl)
	}
	u.transform(u.src, u.src.body.Body)
	u.sortEdits()
	var body, run strings.Builder
	for _, d := range decls {
		u.declaration(&body, &run, d.src, d.decl)
	}
	for i, st := range u.steps {
		if u.src.values > 1 && i == len(u.steps)-u.src.values {
			u.values(&run, u.steps[i:])
			break
		}
		u.statement(&run, i, st)
	}
	u.main(&run)
	for _, f := range u.pending {
		f()
	}
	u.register()
	var b strings.Builder
	fmt.Fprintf(&b, "package %smain\n\nimport (\n", Mark)
	for _, path := range slices.Sorted(maps.Keys(u.used)) {
		fmt.Fprintf(&b, "\t%s %q\n", u.used[path], path)
	}
	for _, path := range u.blanks {
		fmt.Fprintf(&b, "\t_ %q\n", path)
	}
	for _, n := range slices.Sorted(maps.Keys(u.deps)) {
		fmt.Fprintf(&b, "\t%s %q\n", alias(n), path(n))
	}
	fmt.Fprintf(&b, ")\n\n%s\n%s\n%sfunc %s(%sdone func(int)) {\n%s", u.extras.String(), body.String(), nowhere, entry, own, run.String())
	if n := len(u.steps); n > 0 { // the line of deferred calls
		_, end := u.span(u.src, u.steps[n-1].stmt)
		b.WriteString(at(u.src, end-1))
	}
	b.WriteString("}\n")
	return b.String()
}

// main runs func main after a cell that is a program: declarations without any other statement.
func (u *unit) main(run *strings.Builder) {
	if slices.ContainsFunc(u.steps, func(st *step) bool { return st.block == 0 }) {
		return
	}
	for _, d := range u.src.decls.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "main" {
			text, _ := u.reference(u.info.Defs[f.Name])
			fmt.Fprintf(run, "%s%s()\n", nowhere, text)
		}
	}
}

// nowhere is a comment that has what follows count as no line of a cell.
const nowhere = "/*line generated:1*/"

// at returns a comment that makes the compiler count lines from offset in src.
func at(src *source, offset int) string {
	line, column := place(src.text, offset)
	return fmt.Sprintf("/*line %s:%d:%d*/", src.name, line, column)
}

// piece returns the generated form of a node.
func (u *unit) piece(src *source, n ast.Node) string {
	start, end := u.span(src, n)
	return u.rendered(src, start, end)
}

// declaration writes a declaration, and what Run has to do for it first.
func (u *unit) declaration(b, run *strings.Builder, src *source, d ast.Decl) {
	switch d := d.(type) {
	case *ast.GenDecl:
		switch d.Tok {
		case token.CONST:
			start, _ := u.span(src, d)
			fmt.Fprintf(b, "%s%s\n", at(src, start), u.piece(src, d))
		case token.TYPE:
			for _, spec := range d.Specs {
				start, _ := u.span(src, spec)
				fmt.Fprintf(b, "type %s%s\n", at(src, start), u.piece(src, spec))
			}
		}
	case *ast.FuncDecl:
		u.function(b, run, src, d)
	}
}

// function writes a function or method. Its body becomes a function of its own, called through a variable.
func (u *unit) function(b, run *strings.Builder, src *source, d *ast.FuncDecl) {
	start, _ := u.span(src, d)
	_, end := u.span(src, d)
	nameStart, nameEnd := u.span(src, d.Name)
	if d.Recv != nil {
		u.method(b, run, src, d)
		return
	}
	obj, _ := u.info.Defs[d.Name].(*types.Func)
	switch {
	case d.Name.Name == "init" || d.Name.Name == "_":
		u.count++
		fmt.Fprintf(b, "%sfunc %sinit%d%s\n", at(src, start), own, u.count, u.rendered(src, nameEnd, end))
		if d.Name.Name == "init" {
			fmt.Fprintf(run, "%sinit%d()\n", own, u.count)
		}
	case generic(obj):
		fmt.Fprintf(b, "%s%s\n", at(src, start), u.rendered(src, start, end))
	default:
		body := bodyName("", d.Name.Name)
		fmt.Fprintf(b, "%s%s%s%s\n", at(src, start), src.text[start:nameStart], body, u.rendered(src, nameEnd, end))
		if sym := u.fresh[obj]; sym.pkg == u.n {
			text, _ := u.spell(obj.Type())
			u.declare("var %s %s\n", sym.expr, text)
		}
		text, _ := u.reference(obj)
		fmt.Fprintf(run, "%s = %s\n", text, body)
	}
}

// method writes a method: a function with the body, a variable that holds it, and a method that calls through the variable.
func (u *unit) method(b, run *strings.Builder, src *source, d *ast.FuncDecl) {
	start, end := u.span(src, d)
	typeName, generic := receiver(d)
	if generic {
		fmt.Fprintf(b, "%s%s\n", at(src, start), u.rendered(src, start, end))
		return
	}
	name := bodyName(typeName, d.Name.Name)
	recv := d.Recv.List[0]
	_, paramsEnd := u.span(src, d.Type.Params)
	list := []string{u.fieldText(src, recv)}
	for _, f := range d.Type.Params.List {
		list = append(list, u.fieldText(src, f))
	}
	fmt.Fprintf(b, "%sfunc %s(%s)%s%s\n", at(src, start), name, strings.Join(list, ", "), at(src, paramsEnd), u.rendered(src, paramsEnd, end))
	variable := holder(typeName, d.Name.Name)
	if old := u.adopted[d]; old != nil {
		if pkg := u.holds(old, d); pkg != u.n {
			u.deps[pkg] = true
			variable = alias(pkg) + "." + variable
		}
		fmt.Fprintf(run, "%s = %s\n", variable, name)
		return
	}
	sig := u.info.Defs[d.Name].(*types.Func).Signature()
	var params, args strings.Builder
	for i := range sig.Params().Len() {
		fmt.Fprintf(&params, "%s%d ", own, i)
		u.parameter(&params, sig, i)
		params.WriteByte(',')
		fmt.Fprintf(&args, ", %s%d", own, i)
		if sig.Variadic() && i == sig.Params().Len()-1 {
			args.WriteString("...")
		}
	}
	var results, typ strings.Builder
	for i := range sig.Results().Len() {
		u.write(&results, sig.Results().At(i).Type())
		results.WriteByte(',')
	}
	recvText := u.piece(src, recv.Type)
	fmt.Fprintf(&typ, "func(%s", recvText)
	for i := range sig.Params().Len() {
		typ.WriteByte(',')
		u.parameter(&typ, sig, i)
	}
	fmt.Fprintf(&typ, ") (%s)", results.String())
	give := "return "
	if sig.Results().Len() == 0 {
		give = ""
	}
	u.declare("var %s %s\n", variable, typ.String())
	u.declare("func (%sr %s) %s(%s) (%s) { %s%s(%sr%s) }\n", own, recvText, exported(d.Name.Name), params.String(), results.String(),
		give, variable, own, args.String())
	fmt.Fprintf(run, "%s = %s\n", variable, name)
}

// holds returns the package with the variable for the body of a method of an earlier type.
func (u *unit) holds(old *symbol, d *ast.FuncDecl) int {
	for _, m := range old.decl.methods {
		if m.decl.Name.Name == d.Name.Name {
			return m.pkg
		}
	}
	return u.n
}

// fieldText writes parameters, naming those that have no name.
func (u *unit) fieldText(src *source, f *ast.Field) string {
	text := u.piece(src, f.Type)
	if len(f.Names) == 0 {
		return "_ " + text
	}
	var names []string
	for _, id := range f.Names {
		names = append(names, id.Name)
	}
	return strings.Join(names, ", ") + " " + text
}

// statement writes one statement of the cell's body.
func (u *unit) statement(run *strings.Builder, i int, st *step) {
	start, end := u.span(u.src, st.stmt)
	hook := u.use(hookPath)
	run.WriteString(at(u.src, start))
	switch stmt := st.stmt.(type) {
	case *ast.AssignStmt:
		left := u.rendered(u.src, start, u.offsetOf(stmt.TokPos))
		op := stmt.Tok.String()
		if stmt.Tok == token.DEFINE {
			op = "="
		}
		if st.try {
			fmt.Fprintf(run, "%s%s %s\n", left, op, u.checked(len(stmt.Lhs), stmt.Rhs[0]))
		} else {
			right := u.offsetOf(stmt.TokPos) + len(stmt.Tok.String())
			fmt.Fprintf(run, "%s%s%s\n", left, op, u.rendered(u.src, right, end))
		}
	case *ast.DeclStmt:
		u.variables(run, st, st.specs[0])
	case *ast.ExprStmt:
		u.expression(run, st, stmt)
	default:
		fmt.Fprintf(run, "%s\n", u.piece(u.src, stmt))
	}
	if len(st.names) > 0 {
		fmt.Fprintf(run, "%sdone(%d)\n", own, i+1)
	}
	fmt.Fprintf(run, "%s.Check()\n", hook)
}

func (u *unit) offsetOf(pos token.Pos) int {
	offset, _ := u.src.offset(pos)
	return offset
}

// variables writes a var declaration as an assignment.
func (u *unit) variables(run *strings.Builder, st *step, spec *ast.ValueSpec) {
	var left, zero []string
	for _, id := range spec.Names {
		text := "_"
		if obj := u.info.Defs[id]; obj != nil && id.Name != "_" {
			text, _ = u.reference(obj)
		}
		left = append(left, text)
		if spec.Type != nil {
			zero = append(zero, "*new("+u.piece(u.src, spec.Type)+")")
		}
	}
	start, _ := u.span(u.src, spec)
	fmt.Fprintf(run, "%s%s = ", at(u.src, start), strings.Join(left, ", "))
	switch {
	case len(spec.Values) == 0:
		run.WriteString(strings.Join(zero, ", "))
	case st.try:
		run.WriteString(u.checked(len(spec.Names), spec.Values[0]))
	default:
		a, _ := u.span(u.src, spec.Values[0])
		_, b := u.span(u.src, spec.Values[len(spec.Values)-1])
		run.WriteString(at(u.src, a) + u.rendered(u.src, a, b))
	}
	run.WriteByte('\n')
}

// checked writes a call with n results more than the error that is left out.
func (u *unit) checked(n int, call ast.Expr) string {
	start, end := u.span(u.src, call)
	return fmt.Sprintf("%s%s.Try%d(%s)", at(u.src, start), u.use(hookPath), n, u.rendered(u.src, start, end))
}

// values writes a list of expressions that is the cell's last statement.
func (u *unit) values(run *strings.Builder, steps []*step) {
	var list []string
	for _, st := range steps {
		start, end := u.span(u.src, st.stmt)
		list = append(list, at(u.src, start)+u.rendered(u.src, start, end))
	}
	start, _ := u.span(u.src, steps[0].stmt)
	text := strings.Join(list, ", ")
	if steps[0].value {
		text = fmt.Sprintf("%s.Show(%s)", u.use(hookPath), text)
	} else {
		text = fmt.Sprintf("%s = %s", strings.Join(slices.Repeat([]string{"_"}, len(list)), ", "), text)
	}
	fmt.Fprintf(run, "%s%s\n", at(u.src, start), text)
}

// expression writes an expression statement: a left-out error is checked, and the cell's last value shown.
func (u *unit) expression(run *strings.Builder, st *step, stmt *ast.ExprStmt) {
	hook, text := u.use(hookPath), u.piece(u.src, stmt.X)
	if st.call == nil || st.assign {
		if st.value {
			text = fmt.Sprintf("%s.Show(%s)", hook, text)
		} else if st.assign {
			text = "_ = " + text
		}
		fmt.Fprintf(run, "%s\n", text)
		return
	}
	results := u.results(st.call)
	n := len(results)
	if n > 0 && isError(results[n-1].Type()) {
		text = u.checked(n-1, stmt.X)
		if written(results) {
			fmt.Fprintf(run, "%s\n", text)
			return
		}
		n--
	}
	if st.value && n > 0 {
		text = fmt.Sprintf("%s.Show(%s)", hook, text)
	}
	fmt.Fprintf(run, "%s\n", text)
}

// register makes the cell's variables, functions and types known to the direct evaluator.
func (u *unit) register() {
	var list []string
	for obj, sym := range u.fresh {
		if sym.pkg != u.n || sym.obj != obj {
			continue
		}
		name, ok := obj.(*types.TypeName)
		switch _, isVar := obj.(*types.Var); {
		case sym.pointer:
			list = append(list, fmt.Sprintf("%q, %s", sym.slot(), sym.expr))
		case isVar || sym.fn:
			list = append(list, fmt.Sprintf("%q, &%s", sym.slot(), sym.expr))
		case ok && !name.IsAlias():
			if named, ok := name.Type().(*types.Named); ok && named.TypeParams().Len() == 0 && !constraint(named) {
				list = append(list, fmt.Sprintf("%q, (*%s)(nil)", "type "+sym.slot(), sym.expr))
			}
		}
	}
	if len(list) == 0 {
		return
	}
	slices.Sort(list)
	u.declare("func init() {\n")
	for _, args := range list {
		u.declare("%s.Register(%s)\n", u.use(hookPath), args)
	}
	u.declare("}\n")
}
