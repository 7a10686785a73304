package direct

import "reflect"

// place is a variable, field, element or target of a pointer, to be read or stored to. Its operands are evaluated when it is made; a nil
// pointer or an index out of range among them fails only when it is used.
type place struct {
	n     *Node
	of    reflect.Type  // nil for the blank, which is only stored to
	whole *place        // of a field, or of an element of an array
	base  reflect.Value // the pointer, slice, map or string; otherwise the variable or value itself
	index reflect.Value // or key
}

// place evaluates the operands of a place.
func (m *machine) place(n *Node) *place {
	p := &place{n: n}
	switch n.Op {
	case Field:
		p.whole = m.place(n.Args[0])
		p.of = p.whole.of.FieldByIndex(n.Index).Type
	case Index:
		var key reflect.Type
		switch whole := m.place(n.Args[0]); whole.of.Kind() {
		case reflect.Array:
			p.whole, p.of = whole, whole.of.Elem()
		case reflect.String:
			p.base, p.of = m.get(whole), reflect.TypeFor[byte]()
		case reflect.Map:
			key = whole.of.Key()
			fallthrough
		default:
			p.base, p.of = m.get(whole), whole.of.Elem()
		}
		p.index = m.value(n.Args[1], key)
	case Deref:
		p.base = m.value(n.Args[0], nil)
		p.of = p.base.Type().Elem()
	case Slot:
		if n.Text == "" {
			break
		}
		fallthrough
	default:
		p.base = m.value(n, nil)
		p.of = p.base.Type()
	}
	return p
}

// fix has the place stay where it is, whatever is assigned to its operands.
func (p *place) fix() {
	if p.whole != nil {
		p.whole.fix()
	}
	if p.n.Op == Index || p.n.Op == Deref {
		p.base, p.index = copied(p.base), copied(p.index)
	}
}

// get returns what is in the place; it can be set unless it is a map's.
func (m *machine) get(p *place) reflect.Value {
	v := p.base
	if p.whole != nil {
		v = m.get(p.whole)
	}
	m.at(p.n)
	switch p.n.Op {
	case Field:
		return v.FieldByIndex(p.n.Index)
	case Deref:
		if v.IsNil() {
			crash()
		}
		return v.Elem()
	case Index:
		if v.Kind() != reflect.Map {
			i := integer(p.index)
			if i < 0 || i >= v.Len() {
				bound(i, v.Len())
			}
			return v.Index(i)
		}
		if e := v.MapIndex(held(p.index, v.Type().Key())); e.IsValid() {
			return e
		}
		return reflect.Zero(p.of)
	}
	return v
}

// set stores a value.
func (m *machine) set(p *place, v reflect.Value) {
	switch {
	case p.of == nil:
	case p.n.Op == Index && p.base.IsValid() && p.base.Kind() == reflect.Map:
		m.at(p.n)
		p.base.SetMapIndex(held(p.index, p.base.Type().Key()), held(v, p.of))
	default:
		m.get(p).Set(v)
	}
}
