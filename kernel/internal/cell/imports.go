package cell

import (
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
)

// load imports what the cell's import declarations name.
func (u *unit) load() []Problem {
	var problems []Problem
	for _, d := range u.src.decls.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.IMPORT {
			continue
		}
		for _, spec := range gen.Specs {
			spec := spec.(*ast.ImportSpec)
			path, _ := strconv.Unquote(spec.Path.Value)
			if u.quick && !u.chain.has(path) {
				continue
			}
			pkg, err := u.imported(path)
			if err != nil {
				problems = append(problems, u.src.problem(spec.Path.Pos(), err.Error()))
				continue
			}
			if !u.chain.held(path) {
				u.late = append(u.late, path)
			}
			name := pkg.Name()
			if spec.Name != nil {
				name = spec.Name.Name
			}
			switch name {
			case "_":
				u.blanks = append(u.blanks, path)
			case ".":
				u.dotted = append(u.dotted, pkg)
			default:
				u.imports = append(u.imports, types.NewPkgName(spec.Pos(), u.pkg, name, pkg))
			}
		}
	}
	return problems
}

// imported returns the types of a package. While it is compiled, the session goes on answering the editor.
func (u *unit) imported(path string) (*types.Package, error) {
	err := func() error {
		u.mu.Unlock()
		defer u.mu.Lock()
		return u.chain.compile(u.ctx, path)
	}()
	if err != nil {
		return nil, err
	}
	return u.chain.Import(path)
}
