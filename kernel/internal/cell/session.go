// Package cell turns the cells of a Go notebook into loadable code: it splits a cell at its top-level statements, checks it
// with go/types while the names of earlier cells are in scope, and compiles it to a package of the session that later
// cells can import. Top-level variables become package variables, and functions are called through variables, so that a
// later cell may define either anew.
package cell

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/lohakit/notebook/kernel/internal/direct"
)

// symbol is a name of the session: what go/types knows of it and where its compiled form lives.
type symbol struct {
	obj     types.Object
	pkg     int    // the package of the session that holds it; 0 for an import
	expr    string // its name in that package
	pointer bool   // expr is a pointer to it, not itself
	fn      bool   // a function, which lives in a variable
	decl    *decl  // how a type or generic function was declared; nil for other names
	cell    string // the cell that declared it last
}

// decl is the declaration of a type, kept because a method added in a later cell declares it again.
type decl struct {
	src     *source
	spec    *ast.TypeSpec
	fn      *ast.FuncDecl // in place of spec
	methods []method
	uses    map[string]*symbol // the session's names in it
}

// method is one method of a type of the session.
type method struct {
	src  *source
	decl *ast.FuncDecl
	pkg  int // the package whose variable holds its body
}

// body says which variable holds the body of a method.
type body struct {
	pkg  int
	name string
}

// Session knows every name that the cells so far have declared. Its methods may be called from any goroutine.
type Session struct {
	mu     sync.Mutex
	chain  *Toolchain
	dir    string
	fset   *token.FileSet
	names  map[string]*symbol
	byObj  map[types.Object]*symbol
	dots   []*types.Package    // imported with a dot
	next   int                 // number of the latest package
	evals  int                 // how many cells went to the direct evaluator
	body   map[body]method     // the latest body of each method that was declared again
	built  map[string]*Cell    // by source text
	called map[string]string   // what a compiled cell is called since it ran again, by the name that it was compiled under
	lines  map[string][]string // the text of each cell that was run, by name
}

// Cell is a compiled cell.
type Cell struct {
	N       int             // the number of its package
	Object  string          // the plugin to load; "" if the worker has loaded it before
	Program *direct.Program // what to run in place of a compiled cell; nil to run package N

	steps   []*step
	name    string
	symbols map[string]*symbol // what it declares
	bodies  map[body]method    // of the methods that it declares
	old     map[string]*symbol // what it found in the session
	dots    []*types.Package
}

// New begins a session whose compiled cells are kept in dir. Imports are in scope from the start.
func New(chain *Toolchain, dir string, imports ...string) (*Session, error) {
	s := &Session{
		chain: chain, dir: dir, fset: token.NewFileSet(),
		names: map[string]*symbol{}, byObj: map[types.Object]*symbol{}, built: map[string]*Cell{},
		body: map[body]method{}, lines: map[string][]string{}, called: map[string]string{},
	}
	for _, path := range imports {
		pkg, err := chain.Import(path)
		if err != nil {
			return nil, err
		}
		s.names[pkg.Name()] = &symbol{obj: types.NewPkgName(token.NoPos, nil, pkg.Name(), pkg), cell: "session"}
	}
	return s, nil
}

// Compile checks and compiles a cell. The error is an [*Error] if the cell is at fault. One cell is compiled at a time.
func (s *Session) Compile(ctx context.Context, name, text string) (*Cell, error) {
	s.mu.Lock()
	u, source, ready, err := s.prepare(ctx, name, text)
	s.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if ready != nil || err != nil {
		return ready, err
	}
	object, err := s.chain.build(ctx, s.dir, u.n, source)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if problems := u.src.refused(err); len(problems) > 0 {
			return nil, &Error{problems}
		}
		if !s.chain.whole() {
			return nil, errors.New("the kernel has been installed anew since this session began; restart it")
		}
		return nil, fmt.Errorf("the cell passed the check but not the compiler: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = u.n
	c := u.cell()
	c.N, c.Object = u.n, object
	s.built[text] = c
	return c, nil
}

// prepare does everything up to the compiler: it returns the cell if it was compiled before, or its source.
func (s *Session) prepare(ctx context.Context, name, text string) (u *unit, source string, ready *Cell, err error) {
	defer func() {
		if r := recover(); r != nil { // whatever was typed, the front lives
			err = fmt.Errorf("the checker failed on this cell: %v", r)
		}
	}()
	s.lines[name] = strings.Split(text, "\n")
	delete(s.called, name)
	if c := s.built[text]; c != nil && s.current(c) {
		s.called[c.name] = name
		again := *c
		again.Object, again.dots = "", nil
		return nil, "", &again, nil
	}
	u, problems := s.examine(ctx, name, text)
	if len(problems) == 0 {
		if c := u.uncompiled(); c != nil {
			return nil, "", c, nil
		}
		problems = u.plan()
	}
	if len(problems) > 0 {
		return nil, "", nil, &Error{problems}
	}
	return u, u.generate(), nil, nil
}

// uncompiled returns a cell for the direct evaluator, nil for one that has to be compiled.
func (u *unit) uncompiled() *Cell {
	p := u.program()
	if p == nil {
		return nil
	}
	c := u.cell()
	c.Program = p
	return c
}

// cell returns what the session is to know of the cell.
func (u *unit) cell() *Cell {
	return &Cell{name: u.src.name, steps: u.steps, symbols: u.declared(), bodies: u.bodies(), old: u.found(), dots: u.dotted}
}

// begin parses a cell.
func (s *Session) begin(ctx context.Context, name, text string) (*unit, []Problem) {
	src, problems := parse(s.fset, name, text)
	return &unit{
		Session: s, ctx: ctx, src: src, n: s.next + 1, deps: map[int]bool{}, used: map[string]string{}, helpers: map[string]bool{},
		edits: map[*source][]edit{}, plain: map[*ast.FuncDecl]*ast.FuncDecl{}, revived: map[string]*symbol{}, retyped: map[string]*symbol{},
		pkg: types.NewPackage("main", "main"), views: map[string]string{},
	}, problems
}

// examine parses and type-checks a cell.
func (s *Session) examine(ctx context.Context, name, text string) (*unit, []Problem) {
	u, problems := s.begin(ctx, name, text)
	if len(problems) > 0 {
		return u, problems
	}
	if problems := u.src.directives(); len(problems) > 0 {
		return u, problems
	}
	if problems := u.load(); len(problems) > 0 {
		return u, problems
	}
	if problems := u.outline(); len(problems) > 0 {
		return u, problems
	}
	u.compare()
	if problems := u.check(); len(problems) > 0 {
		return u, problems
	}
	if problems := u.listed(); len(problems) > 0 {
		return u, problems
	}
	return u, u.arrange()
}

// declared returns what the cell adds to the session.
func (u *unit) declared() map[string]*symbol {
	out := map[string]*symbol{}
	for _, p := range u.imports {
		out[p.Name()] = &symbol{obj: p, cell: u.src.name}
	}
	for obj, sym := range u.fresh {
		if sym.obj == obj && obj.Pkg() == u.pkg {
			if _, ok := obj.(*types.PkgName); !ok {
				out[obj.Name()] = sym
			}
		}
	}
	describe := func(src *source, decls []ast.Decl) {
		for _, d := range decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if spec, ok := spec.(*ast.TypeSpec); ok && !u.dropped[spec] {
						out[spec.Name.Name].decl = &decl{src: src, spec: spec, uses: u.global(spec)}
					}
				}
			case *ast.FuncDecl:
				if obj, _ := u.info.Defs[d.Name].(*types.Func); obj != nil && d.Recv == nil && generic(obj) {
					out[d.Name.Name].decl = &decl{src: src, fn: d, uses: u.global(d)}
				}
			}
		}
	}
	describe(u.src, u.src.decls.Decls)
	for name, sym := range u.revived {
		if sym.decl.fn != nil {
			describe(sym.decl.src, []ast.Decl{sym.decl.fn})
		} else if out[name] != nil {
			out[name].decl = &decl{src: sym.decl.src, spec: sym.decl.spec, uses: u.global(sym.decl.spec)}
		}
	}
	methods := func(src *source, d *ast.FuncDecl) {
		name, _ := receiver(d)
		if sym := out[name]; sym != nil && sym.decl != nil && u.adopted[d] == nil {
			sym.decl.methods = append(sym.decl.methods, method{src, d, u.n})
			maps.Copy(sym.decl.uses, u.global(d.Type))
		}
	}
	for _, d := range u.src.decls.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Recv != nil {
			methods(u.src, d)
		}
	}
	for name := range u.revived {
		for _, m := range u.inherited(name) {
			methods(m.src, m.decl)
		}
	}
	return out
}

// global returns the names of the session that a declaration uses.
func (u *unit) global(n ast.Node) map[string]*symbol {
	out := map[string]*symbol{}
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if obj := u.info.Uses[id]; obj != nil {
				if sym := u.fresh[obj]; sym != nil {
					out[id.Name] = sym
				}
			}
		}
		return true
	})
	return out
}

// found returns the names that the cell took from the session.
func (u *unit) found() map[string]*symbol {
	out := map[string]*symbol{}
	for _, obj := range u.info.Uses {
		if sym := u.fresh[obj]; sym != nil && obj.Pkg() != nil {
			if name := Plain(obj.Name()); u.names[name] == sym {
				out[name] = sym
			}
		}
	}
	return out
}

// bodies returns the bodies of the methods that the cell declares, by the variables that hold them.
func (u *unit) bodies() map[body]method {
	out := map[body]method{}
	for _, d := range u.src.decls.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Recv != nil {
			pkg := u.n
			if old := u.adopted[d]; old != nil {
				pkg = u.holds(old, d)
			}
			typeName, _ := receiver(d)
			out[body{pkg, holder(typeName, d.Name.Name)}] = method{u.src, d, pkg}
		}
	}
	return out
}

// methods returns the methods of a type with the bodies that they have now.
func (s *Session) methods(sym *symbol) []method {
	list := slices.Clone(sym.decl.methods)
	for i, m := range list {
		if now, ok := s.body[body{m.pkg, holder(sym.obj.Name(), m.decl.Name.Name)}]; ok {
			list[i] = now
		}
	}
	return list
}

// current reports whether a compiled cell still means the same: what it found is there, and no later cell has declared its types again to
// add a method.
func (s *Session) current(c *Cell) bool {
	for name, sym := range c.old {
		if !same(s.names[name], sym) {
			return false
		}
	}
	for name, sym := range c.symbols {
		now := s.names[name]
		if sym.decl != nil && now != nil && now != sym && now.decl != nil && now.decl.spec == sym.decl.spec && now.decl.fn == sym.decl.fn {
			return false
		}
	}
	return true
}

// same reports whether two symbols are one import, constants of one value, or the same variable, function or type.
func same(a, b *symbol) bool {
	if a == b || a == nil || b == nil {
		return a == b
	}
	switch x := a.obj.(type) {
	case *types.PkgName:
		y, ok := b.obj.(*types.PkgName)
		return ok && x.Imported() == y.Imported()
	case *types.Const:
		y, ok := b.obj.(*types.Const)
		return ok && types.Identical(x.Type(), y.Type()) && constant.Compare(x.Val(), token.EQL, y.Val())
	}
	return a.pkg == b.pkg && a.expr == b.expr && a.pointer == b.pointer && a.fn == b.fn && types.Identical(a.obj.Type(), b.obj.Type())
}

// Commit enters into the session what a cell has declared. Of its variables those of its first done statements count: the
// cell may have failed before the others.
func (s *Session) Commit(c *Cell, done int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	missing := map[string]bool{}
	for i, st := range c.steps {
		for _, name := range st.names {
			missing[name] = i >= done
		}
	}
	for name, sym := range c.symbols {
		if !missing[name] {
			s.names[name] = sym
			s.byObj[sym.obj] = sym
		}
	}
	maps.Copy(s.body, c.bodies)
	s.dots = append(s.dots, c.dots...)
	c.dots = nil
}

// Discard forgets a compiled cell that could not be loaded.
func (s *Session) Discard(c *Cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.built, func(_ string, b *Cell) bool { return b.N == c.N })
}

// Line returns the name that a compiled cell goes by now, and a line of its text without the space around it; "" for one that is not there.
func (s *Session) Line(name string, line int) (now, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now = s.called[name]; now == "" {
		now = name
	}
	if lines := s.lines[name]; line > 0 && line <= len(lines) {
		text = strings.TrimSpace(lines[line-1])
	}
	return now, text
}

// Continue numbers the cells of s after those of an earlier session in the same process.
func (s *Session) Continue(earlier *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next, s.evals = earlier.next, earlier.evals
}

// Name is one thing that the session has declared.
type Name struct{ Name, Kind, Type string }

// Names lists the variables, functions, types and constants of the session by name.
func (s *Session) Names() []Name {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Name
	for _, name := range slices.Sorted(maps.Keys(s.names)) {
		sym, kind := s.names[name], "var"
		switch sym.obj.(type) {
		case *types.PkgName:
			continue
		case *types.TypeName:
			list = append(list, Name{name, "type", short(sym.obj.Type().Underlying())})
			continue
		case *types.Const:
			kind = "const"
		}
		if sym.fn || generic(sym.obj) {
			kind = "func"
		}
		list = append(list, Name{name, kind, short(sym.obj.Type())})
	}
	return list
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

// Compiled returns how many cells went to the compiler.
func (s *Session) Compiled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}
