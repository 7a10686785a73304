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
	b := m.value(n.Args[1], a.Type())
	m.at(n)
	return binary(n.Text, a, b)
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

func integer(v reflect.Value) int {
	if v.CanUint() {
		return int(v.Uint())
	}
	return int(v.Int())
}

// slice slices a slice or string.
func (m *machine) slice(n *Node) reflect.Value {
	v := m.value(n.Args[0], nil)
	var bounds [2]reflect.Value
	for i := range bounds {
		if n.Args[i+1].Op != Nil {
			bounds[i] = m.value(n.Args[i+1], nil)
		}
	}
	low, high := 0, v.Len()
	if bounds[0].IsValid() {
		low = integer(bounds[0])
	}
	if bounds[1].IsValid() {
		high = integer(bounds[1])
	}
	m.at(n)
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
	if t.Kind() == reflect.Map {
		v := reflect.MakeMapWithSize(t, len(n.Args))
		for i, a := range n.Args {
			key := m.value(n.Keys[i], t.Key())
			elem := m.value(a, t.Elem())
			m.at(n)
			v.SetMapIndex(held(key, t.Key()), held(elem, t.Elem()))
		}
		return v
	}
	v := reflect.New(t).Elem()
	if t.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(t, len(n.Args), len(n.Args)))
	}
	part := v.Index
	if t.Kind() == reflect.Struct {
		part = func(i int) reflect.Value { return v.Field(n.Index[i]) }
	}
	elements := make([]reflect.Value, len(n.Args))
	for i, a := range n.Args {
		elements[i] = m.value(a, part(i).Type())
	}
	for i, e := range elements {
		part(i).Set(e)
	}
	return v
}

func (m *machine) builtin(n *Node) reflect.Value {
	v := m.value(n.Args[0], nil)
	switch {
	case n.Text == "append":
		types := make([]reflect.Type, len(n.Args)-1)
		for i := range types {
			types[i] = v.Type().Elem()
		}
		return reflect.Append(v, m.each(n.Args[1:], types)...)
	case v.Kind() == reflect.Pointer: // to an array, whose length is that of its type
		return reflect.ValueOf(v.Type().Elem().Len())
	case n.Text == "len":
		return reflect.ValueOf(v.Len())
	}
	return reflect.ValueOf(v.Cap())
}
