package cell

import (
	"go/scanner"
	"go/token"
	"strings"
)

// refusedDirectives are the comments to the compiler that change what a program does and that a cell cannot follow, with what to do
// instead. The others change at most its speed, or speak of files (go:build, go:generate), and are passed over.
var refusedDirectives = map[string]string{
	"//go:embed":      "a cell cannot embed files; read them when it runs, with os.ReadFile or os.DirFS, or embed them in a package and import that",
	"//go:linkname":   "a cell cannot name another package's symbols; use //go:linkname in a package and import that",
	"//go:wasmimport": "a cell is not compiled for WebAssembly",
	"//export":        "a cell cannot be called from C; export the function in a package of its own",
}

// directives reports the comments to the compiler that a cell cannot follow.
func (s *source) directives() (problems []Problem) {
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(s.text))
	var scan scanner.Scanner
	scan.Init(file, []byte(s.text), nil, scanner.ScanComments)
	for {
		pos, tok, text := scan.Scan()
		if tok == token.EOF {
			return problems
		}
		if name, _, spaced := strings.Cut(strings.ReplaceAll(text, "\t", " "), " "); tok == token.COMMENT && spaced && refusedDirectives[name] != "" {
			problems = append(problems, s.problemAt(file.Offset(pos), refusedDirectives[name]))
		}
	}
}
