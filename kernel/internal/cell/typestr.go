package cell

import (
	"fmt"
	"go/types"
	"strings"
)

// unspellable is the panic of spell where Go has no way to write a type down.
type unspellable struct{ t types.Type }

// spell writes t as the generated code of the cell has to write it. It is false for a type that another package keeps
// to itself.
func (u *unit) spell(t types.Type) (text string, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, isType := r.(unspellable); !isType {
				panic(r)
			}
			text, ok = "", false
		}
	}()
	var b strings.Builder
	u.write(&b, t)
	return b.String(), true
}

func (u *unit) write(b *strings.Builder, t types.Type) {
	switch t := t.(type) {
	case *types.Basic:
		switch {
		case t.Kind() == types.UnsafePointer:
			b.WriteString(u.use("unsafe") + ".Pointer")
		case t.Info()&types.IsUntyped != 0:
			u.write(b, types.Default(t))
		default:
			b.WriteString(t.Name())
		}
	case *types.Alias:
		u.named(b, t.Obj(), t.TypeArgs())
	case *types.Named:
		u.named(b, t.Obj(), t.TypeArgs())
	case *types.TypeParam:
		b.WriteString(t.Obj().Name())
	case *types.Pointer:
		b.WriteByte('*')
		u.write(b, t.Elem())
	case *types.Slice:
		b.WriteString("[]")
		u.write(b, t.Elem())
	case *types.Array:
		fmt.Fprintf(b, "[%d]", t.Len())
		u.write(b, t.Elem())
	case *types.Map:
		b.WriteString("map[")
		u.write(b, t.Key())
		b.WriteByte(']')
		u.write(b, t.Elem())
	case *types.Chan:
		b.WriteString([]string{"chan (", "chan<- (", "<-chan ("}[t.Dir()])
		u.write(b, t.Elem())
		b.WriteByte(')')
	case *types.Signature:
		b.WriteString("func")
		u.signature(b, t)
	case *types.Struct:
		u.structure(b, t)
	case *types.Interface:
		u.iface(b, t)
	case *types.Union:
		for i := range t.Len() {
			if i > 0 {
				b.WriteByte('|')
			}
			if t.Term(i).Tilde() {
				b.WriteByte('~')
			}
			u.write(b, t.Term(i).Type())
		}
	default:
		panic(unspellable{t})
	}
}

// named writes a declared type: of the universe, of the session or of an imported package.
func (u *unit) named(b *strings.Builder, obj *types.TypeName, args *types.TypeList) {
	switch {
	case obj.Pkg() == nil:
		b.WriteString(obj.Name())
	case obj.Pkg().Path() == u.pkg.Path():
		text, ok := u.reference(obj)
		if !ok {
			panic(unspellable{obj.Type()})
		}
		b.WriteString(text)
	case !obj.Exported():
		panic(unspellable{obj.Type()})
	default:
		if obj.Parent() != nil && obj.Parent() != obj.Pkg().Scope() {
			panic(unspellable{obj.Type()})
		}
		b.WriteString(u.use(obj.Pkg().Path()) + "." + obj.Name())
	}
	if args.Len() > 0 {
		b.WriteByte('[')
		for i := range args.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			u.write(b, args.At(i))
		}
		b.WriteByte(']')
	}
}

// signature writes parameters and results.
func (u *unit) signature(b *strings.Builder, t *types.Signature) {
	b.WriteByte('(')
	for i := range t.Params().Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		u.parameter(b, t, i)
	}
	b.WriteString(")(")
	for i := range t.Results().Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		u.write(b, t.Results().At(i).Type())
	}
	b.WriteByte(')')
	if t.Results().Len() == 0 {
		trimmed := strings.TrimSuffix(b.String(), "()")
		b.Reset()
		b.WriteString(trimmed)
	}
}

// parameter writes the type of the i-th parameter.
func (u *unit) parameter(b *strings.Builder, t *types.Signature, i int) {
	typ := t.Params().At(i).Type()
	if t.Variadic() && i == t.Params().Len()-1 {
		b.WriteString("...")
		typ = typ.(*types.Slice).Elem()
	}
	u.write(b, typ)
}

func (u *unit) structure(b *strings.Builder, t *types.Struct) {
	b.WriteString("struct{")
	for i := range t.NumFields() {
		f := t.Field(i)
		if !f.Exported() && f.Pkg() != nil && f.Pkg().Path() != u.pkg.Path() {
			panic(unspellable{t})
		}
		if i > 0 {
			b.WriteByte(';')
		}
		tag := t.Tag(i)
		if !f.Embedded() {
			b.WriteString(exported(f.Name()) + " ")
			if !f.Exported() && f.Name() != "_" {
				tag = hidden + tag
			}
		}
		u.write(b, f.Type())
		if tag = strings.TrimSpace(tag); tag != "" {
			fmt.Fprintf(b, " %q", tag)
		}
	}
	b.WriteByte('}')
}

func (u *unit) iface(b *strings.Builder, t *types.Interface) {
	b.WriteString("interface{")
	for i := range t.NumExplicitMethods() {
		m := t.ExplicitMethod(i)
		if !m.Exported() && m.Pkg() != nil && m.Pkg().Path() != u.pkg.Path() {
			panic(unspellable{t})
		}
		b.WriteString(exported(m.Name()))
		u.signature(b, m.Signature())
		b.WriteByte(';')
	}
	for i := range t.NumEmbeddeds() {
		u.write(b, t.EmbeddedType(i))
		b.WriteByte(';')
	}
	b.WriteByte('}')
}
