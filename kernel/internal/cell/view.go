package cell

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
)

// View is a cell as the editor sees it, complete or not: parsed and type-checked in the session, but not run.
type View struct {
	Info  *types.Info
	Scope *types.Scope // of the cell's package: everything the session has declared
	Roots []ast.Node   // the declarations and the statements

	s   *Session
	src *source
}

// View checks text; whatever could not be understood is missing from the view. It is nil if the text cannot even be parsed.
func (s *Session) View(text string) (v *View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		if recover() != nil { // unfinished code is allowed to confuse the checker
			v = nil
		}
	}()
	u, problems := s.begin(context.Background(), "Cell[0]", text)
	defer func() {
		for _, f := range u.src.files {
			s.fset.RemoveFile(f)
		}
	}()
	if len(problems) > 0 {
		return nil
	}
	u.quick = true
	u.load()
	u.outline()
	u.compare()
	u.check()
	return &View{Info: u.info, Scope: u.pkg.Scope(), Roots: []ast.Node{u.src.decls, u.src.body}, s: s, src: u.src}
}

// Offset returns the byte offset of pos in the text; false for a position elsewhere.
func (v *View) Offset(pos token.Pos) (int, bool) { return v.src.offset(pos) }

// Packages lists the import paths that a cell can use at once.
func (s *Session) Packages() []string { return s.chain.Paths() }

// Source returns the lines of the file that declares obj and the number of obj's line from 1; false if it is not known.
func (v *View) Source(obj types.Object) (lines []string, line int, ok bool) {
	if obj.Pkg() == nil || !obj.Pos().IsValid() {
		return nil, 0, false
	}
	if obj.Pkg().Path() != "main" {
		at := v.s.chain.fset.Position(obj.Pos())
		text, err := os.ReadFile(filepath.Join(v.s.chain.Folder(obj.Pkg().Path()), filepath.Base(at.Filename)))
		if err != nil || at.Line < 1 {
			return nil, 0, false
		}
		lines = strings.Split(string(bytes.TrimSpace(text)), "\n")
		return lines, at.Line, at.Line <= len(lines)
	}
	if offset, own := v.src.offset(obj.Pos()); own {
		line, _ = place(v.src.text, offset)
		return strings.Split(v.src.text, "\n"), line, true
	}
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	at := v.s.fset.Position(obj.Pos())
	lines = v.s.lines[at.Filename]
	return lines, at.Line, at.Line > 0 && at.Line <= len(lines)
}

// PackageDoc returns the comment of a package.
func (v *View) PackageDoc(path string) string {
	files, _ := filepath.Glob(filepath.Join(v.s.chain.Folder(path), "*.go"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || strings.HasSuffix(file, "_test.go") {
			continue
		}
		if doc := packageDoc(string(text)); doc != "" {
			return doc
		}
	}
	return ""
}

// packageDoc returns the comment before the package clause of a file.
func packageDoc(text string) string {
	file, err := parser.ParseFile(token.NewFileSet(), "", text, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil || file.Doc == nil {
		return ""
	}
	return file.Doc.Text()
}

// Parses reports whether text is a cell by its syntax.
func Parses(text string) bool {
	_, problems := parse(token.NewFileSet(), "Cell[0]", text)
	return len(problems) == 0
}
