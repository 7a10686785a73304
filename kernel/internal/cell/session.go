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

// Session knows every name that the cells so far have declared. Its methods may be called from any goroutine.
type Session struct {
	mu    sync.Mutex
	chain *Toolchain
	dir   string
	fset  *token.FileSet
	names map[string]*symbol
	byObj map[types.Object]*symbol
	dots  []*types.Package    // imported with a dot
	next  int                 // number of the latest package
	evals int                 // how many cells went to the direct evaluator
	built map[string]*Cell    // by source text
	lines map[string][]string // the text of each cell that was run, by name
}

// Cell is a compiled cell.
type Cell struct {
	N       int             // the number of its package
	Object  string          // the plugin to load; "" if the worker has loaded it before
	Program *direct.Program // what to run in place of a compiled cell; nil to run package N

	steps   []*step
	symbols map[string]*symbol // what it declares
	old     map[string]*symbol // what it found in the session
	dots    []*types.Package
}

// New begins a session whose compiled cells are kept in dir. Imports are in scope from the start.
func New(chain *Toolchain, dir string, imports ...string) (*Session, error) {
	s := &Session{
		chain: chain, dir: dir, fset: token.NewFileSet(),
		names: map[string]*symbol{}, byObj: map[types.Object]*symbol{}, built: map[string]*Cell{},
		lines: map[string][]string{},
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
	c := &Cell{N: u.n, Object: object, steps: u.steps, symbols: u.declared(), old: u.found(), dots: u.dotted}
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
	if c := s.built[text]; c != nil && s.current(c) {
		return nil, "", &Cell{N: c.N, steps: c.steps, symbols: c.symbols, old: c.old}, nil
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
	return &Cell{Program: p, steps: u.steps, symbols: u.declared(), old: u.found(), dots: u.dotted}
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

// current reports whether a compiled cell still means the same: what it found is there, unless it was the cell itself
// that has declared it since.
func (s *Session) current(c *Cell) bool {
	for name, sym := range c.old {
		now, own := s.names[name], c.symbols[name]
		if now != sym && (now != own || own == nil || own.pkg != sym.pkg || own.expr != sym.expr) {
			return false
		}
	}
	return true
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
	s.dots = append(s.dots, c.dots...)
	c.dots = nil
}

// Discard forgets a compiled cell that could not be loaded.
func (s *Session) Discard(c *Cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.built, func(_ string, b *Cell) bool { return b.N == c.N })
}

// Line returns a line of a cell's text, without the space around it; "" for one that is not there.
func (s *Session) Line(name string, line int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if lines := s.lines[name]; line > 0 && line <= len(lines) {
		return strings.TrimSpace(lines[line-1])
	}
	return ""
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
