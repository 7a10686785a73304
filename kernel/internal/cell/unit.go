package cell

import (
	"context"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// unit is one cell on its way through check and generate.
type unit struct {
	*Session
	ctx       context.Context // of the check: for packages that have to be compiled first
	src       *source
	n         int // the number of its package
	pkg       *types.Package
	info      *types.Info
	imports   []*types.PkgName                // by this cell
	blanks    []string                        // imported for their side effects
	dotted    []*types.Package                // imported with a dot
	steps     []*step                         // the statements, in order
	defines   map[string]bool                 // names of the top-level variables of this cell
	fresh     map[types.Object]*symbol        // what this cell declares, and its view of what it declares anew
	dropped   map[*ast.TypeSpec]bool          // types declared again without a change
	adopted   map[*ast.FuncDecl]*symbol       // methods of types of earlier cells
	plain     map[*ast.FuncDecl]*ast.FuncDecl // those methods as functions
	revived   map[string]*symbol              // types of earlier cells that are declared again
	retyped   map[string]*symbol              // variables of earlier cells whose types are made of those
	spreadTo  int                             // how many types were declared again when that was last followed up
	nicknames map[string]types.Type           // types that go/types is to see under another name
	errors    []types.Error
	deps      map[int]bool      // the packages of the session it imports
	used      map[string]string // the other packages it imports, and their names
	helpers   map[string]bool   // functions generated so far
	edits     map[*source][]edit
	extras    strings.Builder // declarations of the generated code
	pending   []func()        // what can be written once every edit is known
	count     int
	quick     bool              // do without packages that are not compiled yet
	late      []string          // imported packages that the worker does not hold
	views     map[string]string // pointers to variables of the direct evaluator
}

// step is one statement of the cell's body.
type step struct {
	stmt   ast.Stmt
	specs  []*ast.ValueSpec // the variables it declares, as go/types is to see them
	extra  []ast.Stmt       // what else go/types is to see
	call   *ast.CallExpr    // the only call on the right-hand side, whose error may be left out
	try    bool             // the error is left out
	value  bool             // the cell's last expression, to be shown
	names  []string         // the variables it declares
	assign bool             // a value expression that is no statement in Go
	block  int              // numbers the var declarations with no statement between them; 0 for other statements
}

// outline lists the cell's statements and the variables they declare.
func (u *unit) outline() []Problem {
	u.defines = map[string]bool{}
	for _, d := range u.src.decls.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body == nil {
			return []Problem{u.src.problem(f.Name.Pos(), "missing function body")}
		}
	}
	list := u.src.body.Body.List
	block := 1
	for i, stmt := range list {
		st := &step{stmt: stmt}
		switch stmt := stmt.(type) {
		case *ast.AssignStmt:
			if len(stmt.Rhs) == 1 {
				st.call, _ = ast.Unparen(stmt.Rhs[0]).(*ast.CallExpr)
			}
			if stmt.Tok == token.DEFINE {
				if p := u.define(st, stmt); p != nil {
					return p
				}
			}
		case *ast.DeclStmt:
			if p := u.variable(stmt.Decl.(*ast.GenDecl), block); p != nil {
				return p
			}
			continue
		case *ast.ExprStmt:
			st.call, _ = ast.Unparen(stmt.X).(*ast.CallExpr)
			receive, _ := ast.Unparen(stmt.X).(*ast.UnaryExpr)
			last := i >= len(list)-u.src.values
			st.value = last && !u.ended(stmt)
			st.assign = last && st.call == nil && (receive == nil || receive.Op != token.ARROW)
		}
		u.steps = append(u.steps, st)
		block = len(u.steps) + 1
	}
	return nil
}

// variable turns each line of a var declaration into a step of its own.
func (u *unit) variable(d *ast.GenDecl, block int) []Problem {
	for _, spec := range d.Specs {
		spec, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		one := &ast.GenDecl{Tok: token.VAR, TokPos: d.TokPos, Specs: []ast.Spec{spec}}
		if d.Lparen.IsValid() {
			one.TokPos = spec.Pos()
		}
		st := &step{stmt: &ast.DeclStmt{Decl: one}, specs: []*ast.ValueSpec{spec}, block: block}
		if len(spec.Values) == 1 {
			st.call, _ = ast.Unparen(spec.Values[0]).(*ast.CallExpr)
		}
		for _, name := range spec.Names {
			if u.defines[name.Name] {
				return []Problem{u.src.problem(name.Pos(), name.Name+" redeclared in this cell")}
			}
			st.declare(u, name.Name)
		}
		u.steps = append(u.steps, st)
	}
	return nil
}

// ended reports whether the user typed a semicolon after stmt.
func (u *unit) ended(stmt ast.Stmt) bool {
	offset, _ := u.src.offset(stmt.Pos())
	return slices.ContainsFunc(u.src.items, func(it item) bool { return it.start <= offset && offset < it.end && it.semicolon })
}

// declare notes a variable of the step.
func (st *step) declare(u *unit, name string) {
	if name != "_" {
		u.defines[name] = true
		st.names = append(st.names, name)
	}
}

// define turns a := b into a declaration of the session's variables. A name that the same cell has declared already is
// assigned to.
func (u *unit) define(st *step, stmt *ast.AssignStmt) []Problem {
	spec := &ast.ValueSpec{Values: stmt.Rhs}
	again, blanks := 0, 0
	for _, left := range stmt.Lhs {
		id, ok := left.(*ast.Ident)
		switch {
		case !ok:
			return []Problem{u.src.problem(left.Pos(), "non-name on left side of :=")}
		case u.defines[id.Name]:
			again++
			temp := ast.NewIdent(own + "v" + id.Name)
			temp.NamePos = id.NamePos
			spec.Names = append(spec.Names, temp)
			st.extra = append(st.extra, &ast.AssignStmt{
				Lhs: []ast.Expr{id}, TokPos: stmt.TokPos, Tok: token.ASSIGN,
				Rhs: []ast.Expr{&ast.Ident{NamePos: id.NamePos, Name: temp.Name}},
			})
		default:
			if id.Name == "_" {
				blanks++
			}
			st.declare(u, id.Name)
			spec.Names = append(spec.Names, id)
		}
	}
	if again == len(stmt.Lhs) { // nothing new: an assignment
		st.extra = []ast.Stmt{&ast.AssignStmt{Lhs: stmt.Lhs, TokPos: stmt.TokPos, Tok: token.ASSIGN, Rhs: stmt.Rhs}}
		return nil
	}
	if blanks == len(stmt.Lhs) {
		return []Problem{u.src.problem(stmt.TokPos, "no new variables on left side of :=")}
	}
	st.specs = append(st.specs, spec)
	return nil
}
