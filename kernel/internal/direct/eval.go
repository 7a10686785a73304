package direct

import (
	"fmt"
	"go/constant"
	"go/token"
	"reflect"
	"strconv"

	"github.com/lohakit/notebook/kernel/internal/hook"
	"github.com/lohakit/notebook/kernel/internal/live"
)

// Entry is a package function, a pointer to a package variable, or for "type …" a nil pointer to a type.
type Entry struct {
	Name  string
	Value any
}

// machine runs one program.
type machine struct {
	table map[string]reflect.Value
	exec  *live.Exec
	cell  string
}

// New returns a function that runs programs with the package functions of a table.
func New(entries []Entry) func(*live.Exec, *Program) {
	table := make(map[string]reflect.Value, len(entries))
	for _, e := range entries {
		table[e.Name] = reflect.ValueOf(e.Value)
	}
	return func(e *live.Exec, p *Program) {
		m := &machine{table, e, p.Cell}
		for i, n := range p.Statements {
			m.statement(n)
			e.Done(i + 1)
			hook.Check()
		}
	}
}

// at notes the line of what may fail next.
func (m *machine) at(n *Node) {
	if n.Line > 0 {
		m.exec.At(m.cell, n.Line)
	}
}

// statement runs one statement.
func (m *machine) statement(n *Node) {
	m.at(n)
	switch n.Op {
	case Set:
		m.assign(n)
	case Define:
		for i, v := range m.values(n.Args[n.N:], nil) {
			m.define(n.Args[i], n.Index[i] == 1, v)
		}
	case Update:
		p := m.place(n.Args[0])
		right := m.value(n.Args[1], p.of)
		p.fix()
		old := m.get(p)
		m.at(n)
		m.set(p, binary(n.Text, old, right))
	case Show:
		var list []any
		for _, v := range m.values(n.Args, nil) {
			list = append(list, v.Interface())
		}
		m.at(n)
		hook.Show(list...)
	case Eval:
		m.results(n.Args[0])
	}
}

// assign evaluates the operands of the places and the right side, and only then stores, from left to right.
func (m *machine) assign(n *Node) {
	var places []*place
	var types []reflect.Type
	for _, target := range n.Args[:n.N] {
		p := m.place(target)
		places, types = append(places, p), append(types, p.of)
	}
	values := m.values(n.Args[n.N:], types)
	for _, p := range places {
		p.fix()
	}
	for i, p := range places {
		m.at(n)
		m.set(p, values[i])
	}
}

// define stores v in a variable, which is made first if it is new; its type is then the one declared, or the value's.
func (m *machine) define(target *Node, isNew bool, v reflect.Value) {
	switch {
	case target.Text == "":
	case isNew:
		t := v.Type()
		if target.Type != nil {
			t = m.typeOf(target.Type)
		}
		live.Register(target.Text, held(v, t).Addr().Interface())
	default:
		m.value(target, nil).Set(v)
	}
}

// held returns a new variable of type t that holds v.
func held(v reflect.Value, t reflect.Type) reflect.Value {
	variable := reflect.New(t).Elem()
	variable.Set(v)
	return variable
}

// copied returns v apart from the variable that it is: a later assignment does not change it.
func copied(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return held(v, v.Type())
	}
	return v
}

// values evaluates a list, or the results of one call.
func (m *machine) values(list []*Node, want []reflect.Type) []reflect.Value {
	if len(list) == 1 && (list[0].Op == Call || list[0].Op == Try) {
		return m.results(list[0])
	}
	return m.each(list, want)
}

// each evaluates a list. Variables are read last: Go leaves open whether before or after the calls beside them, and the compiler does so.
func (m *machine) each(list []*Node, want []reflect.Type) []reflect.Value {
	values := make([]reflect.Value, len(list))
	for i, n := range list {
		var t reflect.Type
		if i < len(want) {
			t = want[i]
		}
		values[i] = m.value(n, t)
	}
	for i, v := range values {
		values[i] = copied(v)
	}
	return values
}

// results evaluates a call, whatever number of results it has, or a single value.
func (m *machine) results(n *Node) []reflect.Value {
	switch n.Op {
	case Try:
		out := m.results(n.Args[0])
		last := len(out) - 1
		if err, ok := out[last].Interface().(error); ok {
			m.at(n)
			hook.Try0(err)
		}
		return out[:last]
	case Call:
		return m.call(n)
	}
	return []reflect.Value{m.value(n, nil)}
}

// call calls a function. That it is nil, or a pointer to its receiver is, fails only once the arguments are evaluated.
func (m *machine) call(n *Node) []reflect.Value {
	callee, isMethod := n.Args[0], n.Args[0].Op == Method
	if isMethod {
		callee = callee.Args[0]
	}
	f := m.place(callee)
	var params []reflect.Type
	t := f.of
	if isMethod {
		method, _ := f.of.MethodByName(n.Args[0].Text)
		t = method.Type
	}
	for p := range t.Ins() {
		params = append(params, p)
	}
	if isMethod && f.of.Kind() != reflect.Interface { // the receiver
		params = params[1:]
	}
	args := m.arguments(n, params, t.IsVariadic())
	function := m.get(f)
	m.at(n)
	if isMethod {
		function = method(function, n.Args[0].Text)
	}
	switch {
	case function.IsNil():
		crash()
	case n.Spread:
		return function.CallSlice(args)
	case len(args) < len(params): // none for the "...": the slice is nil
		return function.CallSlice(append(args, reflect.Zero(params[len(params)-1])))
	}
	return function.Call(args)
}

// arguments evaluates the arguments of a call.
func (m *machine) arguments(n *Node, params []reflect.Type, variadic bool) []reflect.Value {
	list := n.Args[1:]
	if len(list) == 1 && len(params) > 1 && (list[0].Op == Call || list[0].Op == Try) && !variadic {
		return m.results(list[0])
	}
	var args []reflect.Value
	for i, a := range list {
		want := params[min(i, len(params)-1)]
		if variadic && !n.Spread && i >= len(params)-1 {
			want = want.Elem()
		}
		args = append(args, m.value(a, want))
	}
	return args
}

// method returns a method of v. As long as v is a variable, the receiver is what that holds when the method is called.
func method(v reflect.Value, name string) reflect.Value {
	if v.Kind() == reflect.Interface && v.IsNil() {
		crash()
	}
	f := v.MethodByName(name)
	if !f.IsValid() {
		panic(fmt.Sprintf("no method %s of %s", name, v.Type()))
	}
	return f
}

// value evaluates an expression of one value; a variable, an element or a field is returned as such, and is read where it is used. Want is
// the type of the place that takes the value, if that is known.
func (m *machine) value(n *Node, want reflect.Type) reflect.Value {
	switch n.Op {
	case Const:
		return literal(n.Text, m.typeOf(n.Type))
	case Nil:
		if n.Type != nil {
			want = m.typeOf(n.Type)
		}
		return reflect.Zero(want)
	case Slot:
		p, ok := live.Lookup(n.Text)
		if !ok {
			panic(fmt.Sprintf("no variable %s", n.Text))
		}
		return p.Elem()
	case Func:
		v, ok := m.table[n.Text]
		if !ok {
			panic(fmt.Sprintf("no %s in the worker", n.Text))
		}
		if v.Kind() == reflect.Pointer {
			return v.Elem()
		}
		return v
	case Field, Index, Deref:
		return m.get(m.place(n))
	case Method: // as a value, it keeps the receiver as it is now
		v := copied(m.value(n.Args[0], nil))
		m.at(n)
		return method(v, n.Text)
	case Call, Try:
		return m.results(n)[0]
	case Convert:
		return m.value(n.Args[0], nil).Convert(m.typeOf(n.Type))
	case Unary:
		return unary(n.Text, m.value(n.Args[0], nil))
	case Binary:
		return m.binary(n)
	case Slice:
		return m.slice(n)
	case Address:
		v := m.value(n.Args[0], nil)
		if !v.CanAddr() {
			v = held(v, v.Type())
		}
		return v.Addr()
	case Literal:
		return m.literal(n)
	case Builtin:
		return m.builtin(n)
	}
	panic(fmt.Sprintf("operation %d", n.Op))
}

// crash fails as the access to a nil pointer does in compiled code.
func crash() {
	var p *struct{ x int }
	p.x = 1
}

// literal makes a constant of a type.
func literal(text string, t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch kind := t.Kind(); {
	case kind == reflect.String:
		plain, _ := strconv.Unquote(text)
		v.SetString(plain)
	case kind == reflect.Bool:
		v.SetBool(text == "true")
	case v.CanInt():
		i, _ := constant.Int64Val(constant.ToInt(number(text)))
		v.SetInt(i)
	case v.CanUint():
		u, _ := constant.Uint64Val(constant.ToInt(number(text)))
		v.SetUint(u)
	case kind == reflect.Float32:
		f, _ := constant.Float32Val(number(text))
		v.SetFloat(float64(f))
	case kind == reflect.Float64:
		f, _ := constant.Float64Val(number(text))
		v.SetFloat(f)
	default:
		panic("constant of type " + t.String())
	}
	return v
}

// number reads what constant.Value.ExactString writes: an integer, a decimal or a fraction.
func number(text string) constant.Value {
	for i := range text {
		if text[i] == '/' {
			return constant.BinaryOp(number(text[:i]), token.QUO, number(text[i+1:]))
		}
	}
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	v := constant.MakeFromLiteral(text, token.INT, 0)
	if v.Kind() == constant.Unknown {
		v = constant.MakeFromLiteral(text, token.FLOAT, 0)
	}
	if negative {
		v = constant.UnaryOp(token.SUB, v, 0)
	}
	return v
}
