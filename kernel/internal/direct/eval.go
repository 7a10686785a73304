package direct

import (
	"fmt"
	"go/constant"
	"go/token"
	"reflect"

	"github.com/lohakit/notebook/kernel/internal/hook"
	"github.com/lohakit/notebook/kernel/internal/live"
)

// Entry is a package function, a pointer to a package variable, or for "type …" a nil pointer to a type.
type Entry struct {
	Name  string
	Value any
}

// machine evaluates trees.
type machine struct {
	table map[string]reflect.Value
}

// New returns a function that runs programs with the package functions of a table.
func New(entries []Entry) func(*live.Exec, *Program) {
	m := &machine{table: make(map[string]reflect.Value, len(entries))}
	for _, e := range entries {
		m.table[e.Name] = reflect.ValueOf(e.Value)
	}
	return func(e *live.Exec, p *Program) {
		for i, n := range p.Statements {
			e.At(p.Cell, n.Line)
			m.statement(n)
			e.Done(i + 1)
			hook.Check()
		}
	}
}

// statement runs one statement.
func (m *machine) statement(n *Node) {
	switch n.Op {
	case Set:
		m.assign(n.Args[:n.N], m.values(n.Args[n.N:], m.targets(n.Args[:n.N])))
	case Define:
		for i, v := range m.values(n.Args[n.N:], nil) {
			m.define(n.Args[i], n.Index[i] == 1, v)
		}
	case Update:
		target := m.value(n.Args[0], nil)
		result := binary(n.Text, target, m.value(n.Args[1], target.Type()))
		m.assign(n.Args[:1], []reflect.Value{result})
	case Show:
		var list []any
		for _, v := range m.values(n.Args, nil) {
			list = append(list, v.Interface())
		}
		hook.Show(list...)
	case Eval:
		m.results(n.Args[0])
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
		p := reflect.New(t)
		p.Elem().Set(v)
		live.Register(target.Text, p.Interface())
	default:
		m.value(target, nil).Set(v)
	}
}

// targets returns the types that values are assigned to; nil for the blank.
func (m *machine) targets(list []*Node) []reflect.Type {
	types := make([]reflect.Type, len(list))
	for i, n := range list {
		switch {
		case n.Op == Slot && n.Text == "":
		case n.Op == Index:
			types[i] = m.value(n.Args[0], nil).Type().Elem()
		default:
			types[i] = m.value(n, nil).Type()
		}
	}
	return types
}

// values evaluates a list, or the results of one call. Each value is a copy: a later assignment does not change it.
func (m *machine) values(list []*Node, want []reflect.Type) []reflect.Value {
	if len(list) == 1 && (list[0].Op == Call || list[0].Op == Try) {
		return m.results(list[0])
	}
	values := make([]reflect.Value, len(list))
	for i, n := range list {
		var t reflect.Type
		if i < len(want) {
			t = want[i]
		}
		v := m.value(n, t)
		if v.CanAddr() { // a variable: a later assignment is not to change the value
			copied := reflect.New(v.Type()).Elem()
			copied.Set(v)
			v = copied
		}
		values[i] = v
	}
	return values
}

// assign stores values.
func (m *machine) assign(targets []*Node, values []reflect.Value) {
	for i, n := range targets {
		if n.Op == Slot && n.Text == "" {
			continue
		}
		if n.Op == Index {
			if base := m.value(n.Args[0], nil); base.Kind() == reflect.Map {
				key := reflect.New(base.Type().Key()).Elem()
				key.Set(m.value(n.Args[1], base.Type().Key()))
				v := reflect.New(base.Type().Elem()).Elem()
				v.Set(values[i])
				base.SetMapIndex(key, v)
				continue
			}
		}
		m.value(n, nil).Set(values[i])
	}
}

// results evaluates a call, whatever number of results it has, or a single value.
func (m *machine) results(n *Node) []reflect.Value {
	switch n.Op {
	case Try:
		out := m.results(n.Args[0])
		last := len(out) - 1
		if err, ok := out[last].Interface().(error); ok {
			hook.Try0(err)
		}
		return out[:last]
	case Call:
		return m.call(n)
	}
	return []reflect.Value{m.value(n, nil)}
}

// call calls a function.
func (m *machine) call(n *Node) []reflect.Value {
	f := m.value(n.Args[0], nil)
	if f.IsNil() {
		crash()
	}
	t := f.Type()
	var args []reflect.Value
	if len(n.Args) == 2 && t.NumIn() > 1 && (n.Args[1].Op == Call || n.Args[1].Op == Try) && !t.IsVariadic() {
		args = m.results(n.Args[1])
	} else {
		for i, a := range n.Args[1:] {
			var want reflect.Type
			switch {
			case t.IsVariadic() && i >= t.NumIn()-1:
				want = t.In(t.NumIn() - 1)
				if !n.Spread {
					want = want.Elem()
				}
			default:
				want = t.In(i)
			}
			args = append(args, m.value(a, want))
		}
	}
	if n.Spread {
		return f.CallSlice(args)
	}
	return f.Call(args)
}

// value evaluates an expression of one value. Want is the type of the place that takes it, if that is known.
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
	case Field:
		v := m.value(n.Args[0], nil)
		for _, i := range n.Index {
			v = through(v).Field(i)
		}
		return v
	case Method:
		return m.method(n)
	case Call, Try:
		return m.results(n)[0]
	case Convert:
		return m.value(n.Args[0], nil).Convert(m.typeOf(n.Type))
	case Unary:
		return unary(n.Text, m.value(n.Args[0], nil))
	case Binary:
		return m.binary(n)
	case Index:
		return m.index(n)
	case Slice:
		return m.slice(n)
	case Deref:
		v := m.value(n.Args[0], nil)
		if v.IsNil() {
			crash()
		}
		return v.Elem()
	case Address:
		v := m.value(n.Args[0], nil)
		if !v.CanAddr() {
			p := reflect.New(v.Type())
			p.Elem().Set(v)
			return p
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

// through follows a pointer to a struct.
func through(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			crash()
		}
		return v.Elem()
	}
	return v
}

// method returns a bound method.
func (m *machine) method(n *Node) reflect.Value {
	v := m.value(n.Args[0], nil)
	if v.Kind() == reflect.Interface && v.IsNil() {
		crash()
	}
	if v.CanAddr() && v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface {
		if f := v.Addr().MethodByName(n.Text); f.IsValid() {
			return f
		}
	}
	f := v.MethodByName(n.Text)
	if !f.IsValid() {
		panic(fmt.Sprintf("no method %s of %s", n.Text, v.Type()))
	}
	return f
}

// literal makes a constant of a type.
func literal(text string, t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch kind := t.Kind(); {
	case kind == reflect.String:
		v.SetString(text)
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
