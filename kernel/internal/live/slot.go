package live

import (
	"reflect"
	"sync"
	"unsafe"
)

// slots are the variables of the session by name, as pointers: those of compiled cells and those that the direct
// evaluator made. Under "type …" a nil pointer stands for a type.
var slots sync.Map

// Register makes a variable, or with a nil pointer a type, known to the direct evaluator.
func Register(name string, pointer any) { slots.Store(name, reflect.ValueOf(pointer)) }

// Lookup returns what was registered: a pointer.
func Lookup(name string) (reflect.Value, bool) {
	v, ok := slots.Load(name)
	if !ok {
		return reflect.Value{}, false
	}
	return v.(reflect.Value), true
}

// slot returns the address of a variable that the direct evaluator made.
func slot(name string) unsafe.Pointer {
	v, ok := Lookup(name)
	if !ok {
		panic("no variable " + name)
	}
	return v.UnsafePointer()
}
