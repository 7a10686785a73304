package direct

import (
	"reflect"

	"github.com/lohakit/notebook/kernel/internal/live"
)

var basic = map[string]reflect.Type{
	"bool": reflect.TypeFor[bool](), "string": reflect.TypeFor[string](),
	"int": reflect.TypeFor[int](), "int8": reflect.TypeFor[int8](), "int16": reflect.TypeFor[int16](),
	"int32": reflect.TypeFor[int32](), "int64": reflect.TypeFor[int64](), "rune": reflect.TypeFor[rune](),
	"uint": reflect.TypeFor[uint](), "uint8": reflect.TypeFor[uint8](), "uint16": reflect.TypeFor[uint16](), "byte": reflect.TypeFor[byte](),
	"uint32": reflect.TypeFor[uint32](), "uint64": reflect.TypeFor[uint64](), "uintptr": reflect.TypeFor[uintptr](),
	"float32": reflect.TypeFor[float32](), "float64": reflect.TypeFor[float64](),
	"any": reflect.TypeFor[any](), "error": reflect.TypeFor[error](),
}

// typeOf builds a type.
func (m *machine) typeOf(t *Type) reflect.Type {
	switch t.Kind {
	case "slice":
		return reflect.SliceOf(m.typeOf(t.Elem))
	case "array":
		return reflect.ArrayOf(t.Len, m.typeOf(t.Elem))
	case "map":
		return reflect.MapOf(m.typeOf(t.Key), m.typeOf(t.Elem))
	case "pointer":
		return reflect.PointerTo(m.typeOf(t.Elem))
	case "named":
		if p, ok := m.table["type "+t.Name]; ok {
			return p.Type().Elem()
		}
		if p, ok := live.Lookup("type " + t.Name); ok {
			return p.Type().Elem()
		}
		panic("no type " + t.Name)
	}
	return basic[t.Kind]
}
