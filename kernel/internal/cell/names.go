package cell

import (
	"fmt"
	"go/token"
	"strings"
)

// Mark is put before every lower-case name of a cell, so that later cells, which are other packages to the compiler, can
// reach it. It is a capital letter nobody types; it is removed again from type and field names in the compiled code
// ([strip]) and from stack traces ([Plain]), so that users never see it.
const Mark = "Ꜿ"

// hookPath is the package that compiled cells call.
const hookPath = "github.com/lohakit/notebook/kernel/internal/hook"

// exported returns name as later cells can reach it.
func exported(name string) string {
	if name == "_" || token.IsExported(name) {
		return name
	}
	return Mark + name
}

// Plain returns text as the user would have written it, without marks.
func Plain(text string) string {
	if !strings.Contains(text, Mark) && !strings.Contains(text, earlier) {
		return text
	}
	return strings.NewReplacer(Mark, "", earlier, "").Replace(text)
}

// earlier is put after a name that is declared anew in a cell, where it still means what it meant before the cell.
const earlier = "ꜿ"

// path returns the import path of the n-th package of the session.
func path(n int) string { return fmt.Sprintf("session/c%d", n) }

// own begins the names that the generated code adds; none that a user types comes out like that.
const own = Mark + Mark

// alias returns the name under which generated code imports the n-th package of the session.
func alias(n int) string { return fmt.Sprintf("%sc%d", own, n) }

// bodyName returns the name of the function that holds the body of the function or method a user declared.
func bodyName(typeName, name string) string {
	if typeName == "" {
		return own + "f" + own + name
	}
	return own + "m" + own + typeName + own + name
}

// holder returns the name of the variable that holds the body of a method.
func holder(typeName, name string) string { return own + "v" + own + typeName + own + name }

// Frame turns the name of a compiled function into what the user wrote: "session/c3.ꜾꜾmꜾꜾPointꜾꜾNorm" into "Point.Norm".
// It is false for a function that no cell declared.
func Frame(function string) (string, bool) {
	rest, ok := strings.CutPrefix(function, "session/c")
	if !ok {
		return "", false
	}
	_, rest, ok = strings.Cut(rest, ".")
	if !ok {
		return "", false
	}
	rest = strings.ReplaceAll(rest, "%ea%9c%be", Mark)
	if body, ok := strings.CutPrefix(rest, entry); ok && (body == "" || body[0] == '.') {
		return "", true // a statement of the cell, or a function literal in it
	}
	if method, ok := strings.CutPrefix(rest, own+"m"+own); ok {
		rest = strings.Replace(method, own, ".", 1)
	} else if name, ok := strings.CutPrefix(rest, own+"f"+own); ok {
		rest = name
	}
	return Plain(rest), true
}
