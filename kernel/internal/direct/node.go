// Package direct runs cells that only call, assign and show, without compiling them: the front turns the checked syntax into
// a small tree, and the worker evaluates it by reflection on the session's variables and a table of the packages' functions.
// What a tree cannot say, the front compiles.
package direct

// Op is what a node does.
type Op int

// The operations. Each says what its node's fields mean.
const (
	Const   Op = iota // Text, a constant in Go's exact form, a string quoted, of Type
	Nil               // the zero value of Type, or of what is wanted
	Slot              // the variable registered under Text
	Func              // the package function, or a pointer's target, under Text in the table
	Field             // Args[0].Index…, through no pointer
	Method            // the method Text of Args[0], which is of the receiver's type or embeds it
	Call              // Args[0](Args[1:]…); Spread: the last argument is f(x...)
	Try               // Args[0], whose last result is an error that ends the cell
	Convert           // Type(Args[0])
	Unary             // Text Args[0]
	Binary            // Args[0] Text Args[1]
	Index             // Args[0][Args[1]]
	Slice             // Args[0][Args[1]:Args[2]], absent bounds nil
	Deref             // *Args[0]
	Address           // &Args[0]
	Literal           // a composite of Type: Args are its elements, Keys their keys (maps), Index their fields (structs)
	Builtin           // len, cap, append, min, max: Text of Args
	// Statements.
	Set    // Args[:N] = Args[N:], or one call with N results
	Define // as Set, but Args[:N] are slots, to be made where Index is 1, of their Type or the value's; "" is the blank
	Update // Args[0] Text= Args[1]
	Show   // shows Args, the values of the cell's last expression
	Eval   // evaluates Args[0]
)

// Node is one node of the tree.
type Node struct {
	Op     Op
	Text   string
	Type   *Type
	Args   []*Node
	Keys   []*Node
	Index  []int
	N      int
	Spread bool
	Line   int // in the cell, of a statement and of what can fail; 0 for other nodes
}

// Type describes a type that can be built by reflection or is registered.
type Type struct {
	Kind string // a basic type's name, "slice", "array", "map", "pointer", "any", "error", or "named"
	Name string // named: what it is registered under
	Elem *Type
	Key  *Type
	Len  int
}

// Program is a cell.
type Program struct {
	Cell       string // "Cell[3]"
	Statements []*Node
}
