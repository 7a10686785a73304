package cell

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// locating are the packages whose functions ask where they are called from. Only compiled cells have lines that the runtime knows.
var locating = map[string]bool{"log": true, "log/slog": true, "runtime": true, "runtime/debug": true}

// WorkerTable returns the Go file that gives the worker its table of package functions, variables and types, and their
// names, one a line.
func (t *Toolchain) WorkerTable(packages []string) (source, names string, err error) {
	var imports, entries, list strings.Builder
	for i, path := range slices.Compact(slices.Sorted(slices.Values(packages))) {
		if path == "unsafe" || path == "syscall" || locating[path] || strings.Contains(path, "/internal/") {
			continue
		}
		pkg, err := t.Import(path)
		if err != nil {
			return "", "", err
		}
		used := false
		for _, name := range pkg.Scope().Names() {
			obj := pkg.Scope().Lookup(name)
			if !obj.Exported() || generic(obj) {
				continue
			}
			key, value := path+"."+name, fmt.Sprintf("p%d.%s", i, name)
			switch obj := obj.(type) {
			case *types.Func:
			case *types.Var:
				value = "&" + value
			case *types.TypeName:
				if named, ok := obj.Type().(*types.Named); !ok || obj.IsAlias() || named.TypeParams().Len() > 0 || constraint(named) {
					continue
				}
				key, value = "type "+key, fmt.Sprintf("(*%s)(nil)", value)
			default:
				continue
			}
			used = true
			fmt.Fprintf(&entries, "\t{%q, %s},\n", key, value)
			fmt.Fprintf(&list, "%s\n", key)
		}
		if used {
			fmt.Fprintf(&imports, "\tp%d %q\n", i, path)
		}
	}
	source = "package main\n\nimport (\n\t\"github.com/lohakit/notebook/kernel/internal/direct\"\n\n" + imports.String() +
		")\n\nvar table = []direct.Entry{\n" + entries.String() + "}\n"
	return source, list.String(), nil
}

// constraint reports whether t is an interface that only constrains type parameters.
func constraint(t types.Type) bool {
	i, ok := t.Underlying().(*types.Interface)
	return ok && !i.IsMethodSet()
}
