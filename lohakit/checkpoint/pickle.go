package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A pickle is a program for a machine with a stack, a memo and the power to call any function. This reader is that machine with the
// power removed: it makes numbers, strings, lists, dictionaries and references to tensors, knows the few functions that tensors are
// written with by name, keeps what is known to be harmless as values without meaning, and refuses everything else.

// Limits of the machine, far above what model files need.
const (
	maxPickle = 64 << 20 // bytes of program
	maxStack  = 1 << 20
	maxMade   = 1 << 22 // lists, dictionaries, tuples and remembered values
)

// Values of the machine beside bool, int64, float64 and string. None is for None, and for objects whose content does not matter.
type (
	tuple []any
	list  struct{ items []any }
	dict  struct {
		keys  []string // others are left out
		value map[string]any
	}
	global  string // a function or class by its full name
	none    struct{}
	mark    struct{}
	storage struct {
		dtype DType
		key   string
		n     uint64
	}
	stored struct { // a tensor not yet looked up in the file
		storage
		offset        uint64
		shape, stride []uint64
	}
)

// storageTypes are the classes that name an element type.
var storageTypes = map[global]DType{
	"torch.FloatStorage": F32, "torch.HalfStorage": F16, "torch.BFloat16Storage": BF16, "torch.DoubleStorage": F64,
	"torch.LongStorage": I64, "torch.IntStorage": I32, "torch.ShortStorage": I16, "torch.CharStorage": I8, "torch.ByteStorage": U8,
	"torch.BoolStorage": Bool,
}

// inert are classes and functions that training programs leave in checkpoints beside the tensors. Here calling one gives none.
var inert = map[global]bool{
	"numpy.core.multiarray.scalar": true, "numpy._core.multiarray.scalar": true, "numpy.dtype": true, "numpy.ndarray": true,
	"numpy.core.multiarray._reconstruct": true, "numpy._core.multiarray._reconstruct": true, "_codecs.encode": true,
	"pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint": true,
	"pytorch_lightning.utilities.argparse._gpus_arg_default":       true,
	"torch.torch_version.TorchVersion":                             true, "torch.device": true, "torch.Size": true,
	"__builtin__.set": true, "builtins.set": true, "collections.defaultdict": true, "__builtin__.dict": true, "builtins.dict": true,
}

// functions that this machine knows how to stand in for.
const (
	orderedDict      global = "collections.OrderedDict"
	rebuildTensor    global = "torch._utils._rebuild_tensor_v2"
	rebuildParameter global = "torch._utils._rebuild_parameter"
)

// allowed reports whether a pickle may name g.
func allowed(g global) bool {
	_, ok := storageTypes[g]
	return ok || inert[g] || g == orderedDict || g == rebuildTensor || g == rebuildParameter
}

// machine runs one pickle.
type machine struct {
	code  []byte
	at    int
	stack []any
	memo  map[uint32]any
	made  int
}

// unpickle returns the value the program leaves.
func unpickle(code []byte) (any, error) {
	if len(code) > maxPickle {
		return nil, fmt.Errorf("its pickle of %d bytes is above the limit of %d", len(code), maxPickle)
	}
	m := &machine{code: code, memo: map[uint32]any{}}
	for {
		if m.at >= len(code) {
			return nil, errEnd
		}
		op := code[m.at]
		m.at++
		if op == '.' {
			return m.pop()
		}
		if err := m.step(op); err != nil {
			return nil, fmt.Errorf("pickle, byte %d: %w", m.at, err)
		}
		switch op {
		case '}', ']', 't', 0x85, 0x86, 0x87, 'q', 'r', 0x94, 'R', 0x81:
			m.made++
		}
		if len(m.stack) > maxStack || m.made > maxMade {
			return nil, fmt.Errorf("pickle, byte %d: more values than any model has", m.at)
		}
	}
}

// step runs one instruction.
func (m *machine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		version, err := m.bytes(1)
		if err == nil && version[0] > 5 {
			err = fmt.Errorf("protocol %d", version[0])
		}
		return err
	case 0x95: // FRAME
		_, err := m.bytes(8)
		return err
	case '(':
		return m.push(mark{})
	case '}':
		return m.push(&dict{})
	case ']':
		return m.push(&list{})
	case ')':
		return m.push(tuple{})
	case 'N':
		return m.push(none{})
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		return m.push(op == 0x88)
	case 'J', 'K', 'M', 0x8a: // BININT, BININT1, BININT2, LONG1
		return m.integer(op)
	case 'G':
		b, err := m.bytes(8)
		if err != nil {
			return err
		}
		return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case 'X', 0x8c, 'T', 'U', 'B', 'C': // BINUNICODE, SHORT_BINUNICODE, BINSTRING, SHORT_BINSTRING, BINBYTES, SHORT_BINBYTES
		return m.text(op)
	case 'q', 'r', 0x94, 'h', 'j': // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
		return m.remember(op)
	case '0':
		_, err := m.pop()
		return err
	case 't', 0x85, 0x86, 0x87: // TUPLE, TUPLE1, TUPLE2, TUPLE3
		return m.tuple(op)
	case 'a', 'e': // APPEND, APPENDS
		return m.add(op)
	case 's', 'u': // SETITEM, SETITEMS
		return m.set(op)
	case 'c', 0x93: // GLOBAL, STACK_GLOBAL
		return m.global(op)
	case 'Q':
		return m.persistent()
	case 'R', 0x81: // REDUCE, NEWOBJ
		return m.call()
	case 'b':
		return m.build()
	}
	return fmt.Errorf("instruction %#02x is not one tensors are written with", op)
}

func (m *machine) push(v any) error {
	m.stack = append(m.stack, v)
	return nil
}

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, errors.New("empty stack")
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

// toMark pops everything above the last mark, and the mark.
func (m *machine) toMark() ([]any, error) {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if _, ok := m.stack[i].(mark); ok {
			items := slices.Clone(m.stack[i+1:])
			m.stack = m.stack[:i]
			return items, nil
		}
	}
	return nil, errors.New("no mark")
}

func (m *machine) bytes(n uint64) ([]byte, error) {
	if n > uint64(len(m.code)-m.at) {
		return nil, errEnd
	}
	b := m.code[m.at : m.at+int(n)]
	m.at += int(n)
	return b, nil
}

// persistent reads ("storage", type, key, device, elements).
func (m *machine) persistent() error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	id, ok := v.(tuple)
	if !ok || len(id) != 5 || id[0] != "storage" {
		return errors.New("a reference to something other than a tensor's storage")
	}
	class, _ := id[1].(global)
	dtype, known := storageTypes[class]
	key, isText := id[2].(string)
	n, isInt := id[4].(int64)
	if !known || !isText || !isInt || n < 0 || strings.ContainsAny(key, "/\\") {
		// not the values themselves: they may be nested without end
		return fmt.Errorf("a storage of %T under %T with %T elements", id[1], id[2], id[4])
	}
	return m.push(storage{dtype, key, uint64(n)})
}

// call stands in for calling a function with a tuple of arguments.
func (m *machine) call() error {
	a, err := m.pop()
	if err != nil {
		return err
	}
	f, err := m.pop()
	if err != nil {
		return err
	}
	args, ok := a.(tuple)
	name, isGlobal := f.(global)
	if !ok || !isGlobal {
		return fmt.Errorf("calling a %T", f)
	}
	switch {
	case name == orderedDict:
		return m.push(&dict{})
	case name == rebuildTensor && len(args) >= 4:
		s, isStorage := args[0].(storage)
		offset, isInt := args[1].(int64)
		shape, okShape := uints(args[2])
		stride, okStride := uints(args[3])
		if !isStorage || !isInt || offset < 0 || !okShape || !okStride || len(shape) != len(stride) {
			return errors.New("a tensor with impossible arguments")
		}
		return m.push(stored{s, uint64(offset), shape, stride})
	case name == rebuildParameter && len(args) >= 1:
		if x, ok := args[0].(stored); ok {
			return m.push(x)
		}
	case inert[name]:
		return m.push(none{})
	}
	return fmt.Errorf("calling %.80q with %d arguments", name, len(args))
}

// build gives an object its attributes; nothing here has attributes that matter.
func (m *machine) build() error {
	if _, err := m.pop(); err != nil {
		return err
	}
	if len(m.stack) == 0 {
		return errors.New("empty stack")
	}
	switch v := m.stack[len(m.stack)-1].(type) {
	case *dict, none:
		return nil
	default:
		return fmt.Errorf("setting attributes of a %T", v)
	}
}

// uints reads a tuple of non-negative integers.
func uints(v any) ([]uint64, bool) {
	items, ok := v.(tuple)
	list := make([]uint64, len(items))
	for i, item := range items {
		n, isInt := item.(int64)
		if !isInt || n < 0 {
			return nil, false
		}
		list[i] = uint64(n)
	}
	return list, ok
}
