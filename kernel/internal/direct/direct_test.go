package direct_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/lohakit/notebook/kernel/internal/direct"
	"github.com/lohakit/notebook/kernel/internal/live"
)

var table = []direct.Entry{
	{"strings.Repeat", strings.Repeat},
	{"strings.Fields", strings.Fields},
	{"type strings.Reader", (*strings.Reader)(nil)},
}

func text(s string) *direct.Node {
	return &direct.Node{Op: direct.Const, Text: strconv.Quote(s), Type: &direct.Type{Kind: "string"}}
}

func number(s, kind string) *direct.Node {
	return &direct.Node{Op: direct.Const, Text: s, Type: &direct.Type{Kind: kind}}
}

func run(statements ...*direct.Node) (string, *live.Failure) {
	machine := direct.New(table)
	e, done := live.Start(1, func(e *live.Exec) { machine(e, &direct.Program{Cell: "Cell[1]", Statements: statements}) })
	f := <-done
	if len(e.Bundle) == 0 {
		return "", f
	}
	return e.Bundle[0].Text, f
}

func show(n *direct.Node) *direct.Node {
	return &direct.Node{Op: direct.Show, Args: []*direct.Node{n}, Line: 1}
}

// The tree of the cell "x := strings.Repeat("ab", 3)" followed by "x[:2] + "!"".
func Example() {
	x := &direct.Node{Op: direct.Slot, Text: "e0.x"}
	call := &direct.Node{Op: direct.Call, Args: []*direct.Node{{Op: direct.Func, Text: "strings.Repeat"}, text("ab"), number("3", "int")}}
	cut := &direct.Node{Op: direct.Slice, Args: []*direct.Node{x, {Op: direct.Nil}, number("2", "int")}}
	shown, failure := run(
		&direct.Node{Op: direct.Define, N: 1, Index: []int{1}, Args: []*direct.Node{x, call}},
		show(&direct.Node{Op: direct.Binary, Text: "+", Args: []*direct.Node{cut, text("!")}}),
	)
	fmt.Println(shown, failure == nil)
	// Output: ab! true
}

// TestArithmetic holds the operators to the compiler's: overflow wraps, float32 rounds at every step, division by zero panics.
func TestArithmetic(t *testing.T) {
	var a, b int8 = 100, 100
	var f, g float32 = 0.1, 0.2
	for _, c := range []struct {
		kind, op, a, b, want string
	}{
		{"int8", "+", "100", "100", fmt.Sprint(a + b)},
		{"uint8", "-", "1", "2", "255"},
		{"int", "%", "-7", "3", "-1"},
		{"int", "&^", "7", "2", "5"},
		{"float32", "*", "1/10", "1/5", fmt.Sprint(f * g)},
		{"float64", "/", "1", "0", "+Inf"},
		{"float64", "<", "1", "2", "true"},
		{"int", "==", "1", "2", "false"},
		{"int", "/", "1", "0", "runtime error: integer divide by zero"},
	} {
		n := &direct.Node{Op: direct.Binary, Text: c.op, Args: []*direct.Node{number(c.a, c.kind), number(c.b, c.kind)}}
		got, failure := run(show(n))
		if failure != nil {
			got = failure.Text
		}
		if got != c.want {
			t.Errorf("%s(%s) %s %s = %s, not %s", c.kind, c.a, c.op, c.b, got, c.want)
		}
	}
}

// TestPanics holds the panics to the compiler's, and names the line of the cell.
func TestPanics(t *testing.T) {
	words := &direct.Node{Op: direct.Call, Args: []*direct.Node{{Op: direct.Func, Text: "strings.Fields"}, text("a b")}}
	_, failure := run(show(&direct.Node{Op: direct.Index, Args: []*direct.Node{words, number("2", "int")}}))
	if failure == nil || failure.Text != "runtime error: index out of range [2] with length 2" {
		t.Errorf("%+v", failure)
	}
	null := &direct.Node{Op: direct.Nil, Type: &direct.Type{Kind: "pointer", Elem: &direct.Type{Kind: "named", Name: "strings.Reader"}}}
	_, failure = run(show(&direct.Node{Op: direct.Deref, Args: []*direct.Node{null}}))
	if failure == nil || !strings.Contains(failure.Text, "nil pointer dereference") || failure.Frames[len(failure.Frames)-1].Line != 1 {
		t.Errorf("%+v", failure)
	}
}
