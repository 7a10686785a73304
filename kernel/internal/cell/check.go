package cell

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
)

// check has go/types check the cell with the session's names in scope. Where a statement of the cell's top level takes one
// value fewer than its call returns and the last one is an error, the statement is checked again with that error taken.
func (u *unit) check() []Problem {
	u.rename()
	for range 4 {
		u.errors = nil
		u.pkg = types.NewPackage("main", "main")
		u.info = &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
			Implicits: map[ast.Node]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
			Instances: map[*ast.Ident]types.Instance{}, Scopes: map[ast.Node]*types.Scope{},
		}
		u.fresh, u.nicknames = map[types.Object]*symbol{}, map[string]types.Type{}
		file := u.file()
		u.populate(file)
		conf := types.Config{
			Importer: u.chain,
			Error:    func(err error) { u.errors = append(u.errors, err.(types.Error)) },
			Sizes:    types.SizesFor("gc", u.chain.arch),
		}
		_ = types.NewChecker(&conf, u.fset, u.pkg, u.info).Files([]*ast.File{file})
		again := u.retry()
		if !u.grow() && !again {
			break
		}
	}
	return u.report()
}

// retry looks for statements that leave out an error, or whose value is the cell's, and says whether there are new ones.
func (u *unit) retry() bool {
	again := false
	for _, st := range u.steps {
		if st.call == nil || st.try {
			continue
		}
		results, _ := u.info.Types[st.call].Type.(*types.Tuple)
		left := -1
		switch stmt := st.stmt.(type) {
		case *ast.AssignStmt:
			left = len(stmt.Lhs)
		case *ast.DeclStmt:
			if len(st.specs[0].Values) == 1 {
				left = len(st.specs[0].Names)
			}
		case *ast.ExprStmt:
			if u.wrong(st.stmt, "is not used") && st.value && !st.assign {
				st.assign, again = true, true
			}
		}
		if left > 0 && results != nil && results.Len() == left+1 && isError(results.At(left).Type()) {
			st.try, again = true, true
		}
	}
	return again
}

// listed reports the calls among the values listed last that do not return one value. To go/types they are statements.
func (u *unit) listed() (problems []Problem) {
	if u.src.values < 2 {
		return nil
	}
	for _, st := range u.steps[len(u.steps)-u.src.values:] {
		if st.call == nil {
			continue
		}
		if results, ok := u.info.Types[st.call].Type.(*types.Tuple); ok {
			start, end := u.span(u.src, st.call.Fun)
			problems = append(problems, u.src.problemAt(start,
				fmt.Sprintf("%s returns %d values, and a list takes one from each; show it alone", u.src.text[start:end], results.Len())))
		}
	}
	return problems
}

// wrong reports whether the check found an error with these words in stmt.
func (u *unit) wrong(stmt ast.Stmt, words string) bool {
	for _, e := range u.errors {
		if stmt.Pos() <= e.Pos && e.Pos <= stmt.End() && strings.Contains(e.Msg, words) {
			return true
		}
	}
	return false
}

var errorType = types.Universe.Lookup("error").Type()

func isError(t types.Type) bool { return types.Identical(t, errorType) }

// file is the cell as go/types is to see it: declarations, the top-level variables, and a function with the statements.
func (u *unit) file() *ast.File {
	file := &ast.File{Package: u.src.decls.Package, Name: ast.NewIdent("main"), FileStart: u.src.decls.FileStart, FileEnd: u.src.body.End()}
	for _, d := range u.src.decls.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			if d.Tok == token.IMPORT {
				continue
			}
			if d = u.kept(d); d == nil {
				continue
			}
			file.Decls = append(file.Decls, d)
		case *ast.FuncDecl:
			if u.adopted[d] != nil {
				u.plain[d] = plainFunc(d)
				d = u.plain[d]
			}
			file.Decls = append(file.Decls, d)
		}
	}
	file.Decls = append(file.Decls, u.again()...)
	var body []ast.Stmt
	for _, st := range u.steps {
		for _, spec := range st.specs {
			for _, spec := range tried(st, spec) {
				file.Decls = append(file.Decls, &ast.GenDecl{Tok: token.VAR, TokPos: spec.Pos(), Specs: []ast.Spec{spec}})
			}
		}
		switch stmt := st.stmt.(type) {
		case *ast.AssignStmt:
			switch {
			case stmt.Tok == token.DEFINE:
				body = append(body, st.extra...)
			case st.try:
				body = append(body, &ast.AssignStmt{
					Lhs: append(stmt.Lhs[:len(stmt.Lhs):len(stmt.Lhs)], blankAt(st.call)), TokPos: stmt.TokPos, Tok: stmt.Tok, Rhs: stmt.Rhs,
				})
			default:
				body = append(body, stmt)
			}
		case *ast.DeclStmt: // is among the specs
		case *ast.ExprStmt:
			if st.assign {
				body = append(body, &ast.AssignStmt{
					Lhs: []ast.Expr{&ast.Ident{NamePos: stmt.Pos(), Name: "_"}}, TokPos: stmt.Pos(), Tok: token.ASSIGN, Rhs: []ast.Expr{stmt.X},
				})
			} else {
				body = append(body, stmt)
			}
		default:
			body = append(body, stmt)
		}
	}
	run := *u.src.body
	run.Body = &ast.BlockStmt{Lbrace: run.Body.Lbrace, List: body, Rbrace: run.Body.Rbrace}
	file.Decls = append(file.Decls, &run)
	return file
}

// tried returns a declaration with a place for the error it leaves out.
func tried(st *step, spec *ast.ValueSpec) []*ast.ValueSpec {
	if !st.try {
		return []*ast.ValueSpec{spec}
	}
	names := spec.Names[:len(spec.Names):len(spec.Names)]
	if spec.Type == nil {
		return []*ast.ValueSpec{{Names: append(names, blankAt(st.call)), Values: spec.Values}}
	}
	typed, all := &ast.ValueSpec{Names: names, Type: spec.Type}, &ast.ValueSpec{Values: spec.Values}
	for _, id := range names {
		temp := &ast.Ident{NamePos: id.NamePos, Name: own + "v" + id.Name}
		all.Names = append(all.Names, temp)
		typed.Values = append(typed.Values, &ast.Ident{NamePos: id.NamePos, Name: temp.Name})
	}
	all.Names = append(all.Names, blankAt(st.call))
	return []*ast.ValueSpec{all, typed}
}

func blankAt(n ast.Node) *ast.Ident { return &ast.Ident{NamePos: n.Pos(), Name: "_"} }

// populate puts the session's names into the scope of the cell's package. A name that the cell declares anew stays
// reachable as what it was, for the statements before it.
func (u *unit) populate(file *ast.File) {
	declared := map[string]bool{}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				declared[d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					declared[spec.Name.Name] = true
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						declared[name.Name] = true
					}
				}
			}
		}
	}
	scope := u.pkg.Scope()
	insert := func(name string, sym *symbol) {
		obj := sym.obj
		if p, ok := obj.(*types.PkgName); ok {
			obj = types.NewPkgName(p.Pos(), u.pkg, name, p.Imported())
		} else if name != obj.Name() {
			obj = renamed(obj, name)
		}
		u.fresh[obj] = sym
		scope.Insert(obj)
	}
	for name, t := range u.nicknames {
		scope.Insert(types.NewTypeName(token.NoPos, u.pkg, name, t))
	}
	for _, p := range u.imports {
		if !declared[p.Name()] {
			insert(p.Name(), &symbol{obj: p})
			declared[p.Name()] = true
		}
	}
	for name, sym := range u.names {
		switch {
		case !declared[name]:
			insert(name, sym)
		case u.defines[name] && u.retyped[name] == nil:
			insert(name+earlier, sym)
		}
	}
	for _, list := range [][]*types.Package{u.dotted, u.dots} {
		for _, pkg := range list {
			for _, name := range pkg.Scope().Names() {
				if obj := pkg.Scope().Lookup(name); obj.Exported() && !declared[name] {
					scope.Insert(obj)
				}
			}
		}
	}
}

// renamed returns obj under another name.
func renamed(obj types.Object, name string) types.Object {
	switch obj := obj.(type) {
	case *types.Var:
		return types.NewVar(obj.Pos(), obj.Pkg(), name, obj.Type())
	case *types.Const:
		return types.NewConst(obj.Pos(), obj.Pkg(), name, obj.Type(), obj.Val())
	case *types.Func:
		return types.NewFunc(obj.Pos(), obj.Pkg(), name, obj.Signature())
	}
	return types.NewTypeName(obj.Pos(), obj.Pkg(), name, obj.Type())
}

// sessionName matches what go/types puts before a name of an earlier cell.
var sessionName = regexp.MustCompile(`\bmain\.`)

// report turns the errors of go/types into the cell's. Not errors in a cell: a cycle of initial values, since the
// statements run one after the other.
func (u *unit) report() []Problem {
	var problems []Problem
	seen := map[int]bool{}
	for _, e := range u.errors {
		if strings.HasPrefix(e.Msg, "initialization cycle") || strings.HasPrefix(e.Msg, "\t") || u.ownField(e.Msg) {
			continue
		}
		src := u.owner(e.Pos)
		offset, ok := src.offset(e.Pos)
		if !ok || seen[offset] {
			continue
		}
		seen[offset] = true
		problems = append(problems, src.problemAt(offset, u.explain(e.Msg)+u.advise(e, src.text[offset:])))
	}
	return problems
}

// leftOut matches what go/types says of a call whose error has no place.
var leftOut = regexp.MustCompile(`(?s)^multiple-value .*\berror\)\) in |^assignment mismatch: 1 variable but .* returns 2 values`)

// advise returns what else helps with an error at the beginning of rest: the import that is missing, why := did not declare.
func (u *unit) advise(e types.Error, rest string) string {
	if name, ok := strings.CutPrefix(e.Msg, "undefined: "); ok && strings.HasPrefix(rest, name+".") {
		if path := u.chain.named(name); path != "" {
			return fmt.Sprintf("; is import %q missing?", path)
		}
	}
	if name, ok := strings.CutPrefix(Plain(e.Msg), "undefined: "); ok && u.defines[name] {
		for _, st := range u.steps {
			if slices.Contains(st.names, name) && st.stmt.Pos() > e.Pos {
				line, _ := place(u.src.text, u.offsetOf(st.stmt.Pos()))
				return fmt.Sprintf("; statements run in order, and %s is declared only in line %d: move that line up", name, line)
			}
		}
	}
	if leftOut.MatchString(e.Msg) {
		return "; only a statement of the cell itself whose right side is one call may leave out its error"
	}
	if strings.HasPrefix(e.Msg, "cannot use ") {
		for _, st := range u.steps {
			if stmt, ok := st.stmt.(*ast.AssignStmt); ok && len(st.extra) > 0 && stmt.Pos() <= e.Pos && e.Pos <= stmt.End() {
				return "; a second := in one cell assigns, in a cell of its own it declares the name anew"
			}
		}
	}
	return ""
}

// implicit is what go/types says of a struct literal without names whose type has lower-case fields and comes from
// another package, as types of earlier cells do.
var implicit = regexp.MustCompile(`^implicit assignment to unexported field \w+ in struct literal of type ([\pL_][\pL\pN_]*)(\[|$)`)

// ownField reports whether a message complains about a field of a type of the session.
func (u *unit) ownField(message string) bool {
	m := implicit.FindStringSubmatch(sessionName.ReplaceAllString(message, ""))
	return m != nil && u.names[m[1]] != nil
}

// outdated is what go/types says where a value still has the type that a name had before.
var outdated = regexp.MustCompile(`type ([\pL_][\pL\pN_]*)\) as ([\pL_][\pL\pN_]*) value`)

// shown rewords what go/types says of the cell's last expression, which it sees as an assignment to _.
var shown = strings.NewReplacer(" in assignment to _ identifier (overflows)", ": it is too large; convert it, as in float64(…), to show it",
	"use of untyped nil in assignment to _ identifier", "nil alone has no type and nothing to show", " in assignment to _ identifier", "")

// explain words what go/types says for a notebook.
func (u *unit) explain(message string) string {
	message = strings.ReplaceAll(shown.Replace(message), own+"v", "the new ") // what := is to assign to a name of the cell
	message = strings.ReplaceAll(sessionName.ReplaceAllString(message, ""), "(no value) used as value", "returns no value")
	if m := outdated.FindStringSubmatch(message); m != nil && m[1] == m[2] && u.names[m[1]] != nil {
		message += fmt.Sprintf("; %s was declared anew in %s, and what was made before has the earlier type: run its cell again",
			m[1], u.names[m[1]].cell)
	}
	return message
}

// owner returns the cell that pos lies in: this one, or the earlier one whose type is declared again.
func (u *unit) owner(pos token.Pos) *source {
	if _, ok := u.src.offset(pos); ok {
		return u.src
	}
	for _, sym := range u.names {
		if sym.decl == nil {
			continue
		}
		if _, ok := sym.decl.src.offset(pos); ok {
			return sym.decl.src
		}
		for _, m := range u.methods(sym) {
			if _, ok := m.src.offset(pos); ok {
				return m.src
			}
		}
	}
	return u.src
}
