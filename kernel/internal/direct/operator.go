package direct

import (
	"fmt"
	"reflect"
)

// unary applies - + ! ^.
func unary(op string, v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch {
	case op == "!":
		out.SetBool(!v.Bool())
	case op == "+":
		out.Set(v)
	case v.CanInt() && op == "-":
		out.SetInt(-v.Int())
	case v.CanInt():
		out.SetInt(^v.Int())
	case v.CanUint() && op == "-":
		out.SetUint(-v.Uint())
	case v.CanUint():
		out.SetUint(^v.Uint())
	case v.CanFloat():
		out.SetFloat(-v.Float())
	}
	return out
}

// binary evaluates both sides, the second of && and || only if it matters.
func (m *machine) binary(n *Node) reflect.Value {
	a := m.value(n.Args[0], nil)
	if n.Text == "&&" && !a.Bool() || n.Text == "||" && a.Bool() {
		return a
	}
	return binary(n.Text, a, m.value(n.Args[1], a.Type()))
}

// binary applies an operator to two values of one type.
func binary(op string, a, b reflect.Value) reflect.Value {
	switch op {
	case "&&", "||":
		return b
	case "==", "!=", "<", "<=", ">", ">=":
		return reflect.ValueOf(compare(op, a, b))
	}
	out := reflect.New(a.Type()).Elem()
	switch {
	case a.Kind() == reflect.String:
		out.SetString(a.String() + b.String())
	case a.CanInt():
		out.SetInt(arithmetic(op, a.Int(), b.Int()))
	case a.CanUint():
		out.SetUint(arithmetic(op, a.Uint(), b.Uint()))
	case a.Kind() == reflect.Float32: // rounded at every step, as in compiled code
		out.SetFloat(float64(float(op, float32(a.Float()), float32(b.Float()))))
	case a.CanFloat():
		out.SetFloat(float(op, a.Float(), b.Float()))
	default:
		panic(fmt.Sprintf("%s of %s", op, a.Type()))
	}
	return out
}

func arithmetic[N int64 | uint64](op string, a, b N) N {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		return a / b
	case "%":
		return a % b
	case "&":
		return a & b
	case "|":
		return a | b
	case "^":
		return a ^ b
	case "&^":
		return a &^ b
	}
	panic("operator " + op)
}

func float[F float32 | float64](op string, a, b F) F {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		return a / b
	}
	panic("operator " + op)
}

// compare compares two values of one basic type.
func compare(op string, a, b reflect.Value) bool {
	switch {
	case a.Kind() == reflect.String:
		return order(op, a.String(), b.String())
	case a.CanInt():
		return order(op, a.Int(), b.Int())
	case a.CanUint():
		return order(op, a.Uint(), b.Uint())
	case a.CanFloat():
		return order(op, a.Float(), b.Float())
	case a.Kind() == reflect.Bool:
		return (a.Bool() == b.Bool()) == (op == "==")
	}
	return nilness(a) == nilness(b) == (op == "==") // one of them is the constant nil
}

func order[T string | int64 | uint64 | float64](op string, a, b T) bool {
	switch op {
	case "==":
		return a == b
	case "!=":
		return a != b
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	}
	return a >= b
}

func nilness(v reflect.Value) bool { return v.IsNil() }

// bound fails as an index out of range does in compiled code.
func bound(i, n int) {
	_ = make([]struct{}, n)[i]
}

func (m *machine) index(n *Node) reflect.Value {
	v := m.value(n.Args[0], nil)
	if v.Kind() == reflect.Map {
		key := reflect.New(v.Type().Key()).Elem()
		key.Set(m.value(n.Args[1], v.Type().Key()))
		if e := v.MapIndex(key); e.IsValid() {
			return e
		}
		return reflect.Zero(v.Type().Elem())
	}
	v = through(v)
	i := integer(m.value(n.Args[1], nil))
	if i < 0 || i >= v.Len() {
		bound(i, v.Len())
	}
	return v.Index(i)
}

func integer(v reflect.Value) int {
	if v.CanUint() {
		return int(v.Uint())
	}
	return int(v.Int())
}

func (m *machine) slice(n *Node) reflect.Value {
	v := through(m.value(n.Args[0], nil))
	low, high := 0, v.Len()
	if n.Args[1].Op != Nil {
		low = integer(m.value(n.Args[1], nil))
	}
	if n.Args[2].Op != Nil {
		high = integer(m.value(n.Args[2], nil))
	}
	limit := v.Len()
	if v.Kind() == reflect.Slice {
		limit = v.Cap()
		if low < 0 || high < low || high > limit {
			_ = make([]struct{}, v.Len(), limit)[low:high]
		}
	} else if low < 0 || high < low || high > limit {
		_ = string(make([]byte, limit))[low:high]
	}
	return v.Slice(low, high)
}

// literal makes a composite value.
func (m *machine) literal(n *Node) reflect.Value {
	t := m.typeOf(n.Type)
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Struct:
		for i, a := range n.Args {
			f := v.Field(n.Index[i])
			f.Set(m.value(a, f.Type()))
		}
	case reflect.Map:
		v = reflect.MakeMapWithSize(t, len(n.Args))
		for i, a := range n.Args {
			key, elem := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			key.Set(m.value(n.Keys[i], t.Key()))
			elem.Set(m.value(a, t.Elem()))
			v.SetMapIndex(key, elem)
		}
	default:
		if t.Kind() == reflect.Slice {
			v = reflect.MakeSlice(t, len(n.Args), len(n.Args))
		}
		for i, a := range n.Args {
			v.Index(i).Set(m.value(a, t.Elem()))
		}
	}
	return v
}

func (m *machine) builtin(n *Node) reflect.Value {
	v := m.value(n.Args[0], nil)
	switch n.Text {
	case "len":
		return reflect.ValueOf(through(v).Len())
	case "cap":
		return reflect.ValueOf(through(v).Cap())
	}
	var rest []reflect.Value
	for _, a := range n.Args[1:] {
		e := reflect.New(v.Type().Elem()).Elem()
		e.Set(m.value(a, e.Type()))
		rest = append(rest, e)
	}
	return reflect.Append(v, rest...)
}
