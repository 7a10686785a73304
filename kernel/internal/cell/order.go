package cell

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

// The statements of a cell run in order, and a name means what it meant before the cell until the statement that declares it anew. Within a
// block of var declarations, with no statement between them, the order is that of Go's packages: each variable after those it needs.

// rename makes each use of a variable before the statement that declares it anew mean the earlier one.
func (u *unit) rename() {
	for i, st := range u.steps {
		ahead := map[string]bool{}
		for _, later := range u.steps[i+1:] {
			for _, name := range later.names {
				ahead[name] = ahead[name] || st.block != 0 && later.block == st.block
			}
		}
		u.renameIn(st.stmt, ahead)
	}
}

// renameIn does that in one statement; of the names in ahead it can use the new meaning already.
func (u *unit) renameIn(stmt ast.Stmt, ahead map[string]bool) {
	skip := map[*ast.Ident]bool{}
	ast.Inspect(stmt, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			skip[n.Sel] = true
		case *ast.CompositeLit:
			if n.Type != nil {
				fieldNames(n, n.Type, skip)
			}
		case *ast.Field:
			for _, id := range n.Names {
				skip[id] = true
			}
		case *ast.BranchStmt:
			if n.Label != nil {
				skip[n.Label] = true
			}
		case *ast.LabeledStmt:
			skip[n.Label] = true
		case *ast.Ident:
			if n.Obj == nil && !skip[n] && u.defines[n.Name] && !ahead[n.Name] {
				n.Name += earlier
			}
		}
		return true
	})
}

// fieldNames notes the keys in a literal of type t that name fields; those of maps and arrays are expressions.
func fieldNames(lit *ast.CompositeLit, t ast.Expr, names map[*ast.Ident]bool) {
	inside := func(e, t ast.Expr) {
		if inner, ok := e.(*ast.CompositeLit); ok && inner.Type == nil {
			fieldNames(inner, t, names)
		}
	}
	for _, e := range lit.Elts {
		kv, keyed := e.(*ast.KeyValueExpr)
		if keyed {
			e = kv.Value
		}
		switch t := t.(type) {
		case *ast.MapType:
			if keyed {
				inside(kv.Key, t.Key)
			}
			inside(e, t.Value)
		case *ast.ArrayType:
			inside(e, t.Elt)
		default: // a struct, or a named type of whose elements some may be structs
			if keyed {
				if id, ok := kv.Key.(*ast.Ident); ok {
					names[id] = true
				}
				inside(kv.Key, t)
			}
			inside(e, t)
		}
	}
}

// arrange puts the variables of each block in the order in which they can be given their values.
func (u *unit) arrange() []Problem {
	rank := map[types.Object]int{}
	if !slices.ContainsFunc(u.errors, func(e types.Error) bool { return strings.HasPrefix(e.Msg, "initialization cycle") }) {
		for i, set := range u.info.InitOrder {
			for _, v := range set.Lhs {
				rank[v] = i + 1
			}
		}
	}
	last := func(st *step) (at int) {
		for _, id := range st.specs[0].Names {
			at = max(at, rank[u.info.Defs[id]])
		}
		return at
	}
	for i := 0; i < len(u.steps); {
		first := i
		for i++; u.steps[first].block != 0 && i < len(u.steps) && u.steps[i].block == u.steps[first].block; i++ {
		}
		if i-first < 2 {
			continue
		}
		block := u.steps[first:i]
		slices.SortStableFunc(block, func(a, b *step) int { return cmp.Compare(last(a), last(b)) })
		if p := u.unready(block); p != nil {
			return p
		}
	}
	return nil
}

// unready reports a variable of a block that needs one which only comes after it.
func (u *unit) unready(block []*step) (problems []Problem) {
	later := map[types.Object]bool{}
	for _, st := range slices.Backward(block) {
		ast.Inspect(st.stmt, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && later[u.info.Uses[id]] && problems == nil {
				problems = []Problem{u.src.problem(id.Pos(), fmt.Sprintf("%s cannot have its value yet: its declaration and that of %s need one another",
					id.Name, st.specs[0].Names[0].Name))}
			}
			return true
		})
		for _, id := range st.specs[0].Names {
			if obj := u.info.Defs[id]; obj != nil {
				later[obj] = true
			}
		}
	}
	return problems
}
