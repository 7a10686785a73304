package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// The instructions of the pickle machine that move values about; those that make tensors are in pickle.go.

func (m *machine) integer(op byte) error {
	size := map[byte]uint64{'J': 4, 'K': 1, 'M': 2, 0x8a: 1}[op]
	b, err := m.bytes(size)
	if err != nil {
		return err
	}
	if op == 0x8a {
		if b, err = m.bytes(uint64(b[0])); err != nil {
			return err
		}
		if len(b) > 8 {
			return fmt.Errorf("integer of %d bytes", len(b))
		}
	}
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	if n := len(b); n > 0 && n < 8 && (op == 'J' || op == 0x8a) && b[n-1]&0x80 != 0 {
		v |= ^uint64(0) << (8 * n)
	}
	return m.push(int64(v))
}

func (m *machine) text(op byte) error {
	width := uint64(4)
	if op == 0x8c || op == 'U' || op == 'C' {
		width = 1
	}
	b, err := m.bytes(width)
	if err != nil {
		return err
	}
	n := uint64(b[0])
	if width == 4 {
		n = uint64(binary.LittleEndian.Uint32(b))
	}
	if b, err = m.bytes(n); err != nil {
		return err
	}
	return m.push(string(b))
}

func (m *machine) remember(op byte) error {
	var key uint32
	switch op {
	case 'q', 'h':
		b, err := m.bytes(1)
		if err != nil {
			return err
		}
		key = uint32(b[0])
	case 'r', 'j':
		b, err := m.bytes(4)
		if err != nil {
			return err
		}
		key = binary.LittleEndian.Uint32(b)
	default:
		key = uint32(len(m.memo))
	}
	if op == 'h' || op == 'j' {
		v, ok := m.memo[key]
		if !ok {
			return fmt.Errorf("nothing remembered as %d", key)
		}
		return m.push(v)
	}
	if len(m.stack) == 0 {
		return errors.New("empty stack")
	}
	m.memo[key] = m.stack[len(m.stack)-1]
	return nil
}

func (m *machine) tuple(op byte) error {
	if op == 't' {
		items, err := m.toMark()
		if err != nil {
			return err
		}
		return m.push(tuple(items))
	}
	n := int(op) - 0x84
	if len(m.stack) < n {
		return errors.New("empty stack")
	}
	items := slices.Clone(m.stack[len(m.stack)-n:])
	m.stack = m.stack[:len(m.stack)-n]
	return m.push(tuple(items))
}

// operands pops what APPEND(S) or SETITEM(S) works with, and returns the container below it, which stays.
func (m *machine) operands(many bool, n int) (container any, items []any, err error) {
	if many {
		items, err = m.toMark()
	} else if len(m.stack) >= n {
		items = slices.Clone(m.stack[len(m.stack)-n:])
		m.stack = m.stack[:len(m.stack)-n]
	}
	if err == nil && len(m.stack) == 0 {
		err = errors.New("empty stack")
	}
	if err != nil {
		return nil, nil, err
	}
	return m.stack[len(m.stack)-1], items, nil
}

func (m *machine) add(op byte) error {
	container, items, err := m.operands(op == 'e', 1)
	if err != nil {
		return err
	}
	switch c := container.(type) {
	case *list:
		c.items = append(c.items, items...)
	case none:
	default:
		return fmt.Errorf("appending to a %T", container)
	}
	return nil
}

func (m *machine) set(op byte) error {
	container, items, err := m.operands(op == 'u', 2)
	if err != nil {
		return err
	}
	if len(items)%2 != 0 {
		return errors.New("a key without a value")
	}
	switch c := container.(type) {
	case *dict:
		for i := 0; i < len(items); i += 2 {
			c.set(items[i], items[i+1])
		}
	case none:
	default:
		return fmt.Errorf("setting an item of a %T", container)
	}
	return nil
}

func (d *dict) set(key, value any) {
	name, ok := key.(string)
	if !ok {
		return
	}
	if d.value == nil {
		d.value = map[string]any{}
	}
	if _, ok := d.value[name]; !ok {
		d.keys = append(d.keys, name)
	}
	d.value[name] = value
}

func (m *machine) global(op byte) error {
	var module, name string
	if op == 'c' {
		for _, into := range []*string{&module, &name} {
			rest := m.code[m.at:]
			end := slices.Index(rest[:min(len(rest), 256)], '\n')
			if end < 0 {
				return errEnd
			}
			*into = string(rest[:end])
			m.at += end + 1
		}
	} else {
		n, err := m.pop()
		if err != nil {
			return err
		}
		mod, err := m.pop()
		if err != nil {
			return err
		}
		module, _ = mod.(string)
		name, _ = n.(string)
	}
	g := global(module + "." + name)
	if !allowed(g) {
		return fmt.Errorf("it asks for %.80q, which no model needs", g)
	}
	return m.push(g)
}
