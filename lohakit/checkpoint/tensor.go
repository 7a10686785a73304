package checkpoint

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// DType is the element type of a stored tensor. Its order is the one in which a safetensors writer lays tensors out, last first.
type DType uint8

// The element types of safetensors 0.8.
const (
	Bool DType = iota
	F4
	F6E2M3
	F6E3M2
	U8
	I8
	F8E5M2
	F8E4M3
	F8E8M0
	F8E4M3FNUZ
	F8E5M2FNUZ
	I16
	U16
	F16
	BF16
	I32
	U32
	F32
	C64
	F64
	I64
	U64
)

var dtypes = [...]struct {
	name string
	bits uint64
}{
	{"BOOL", 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8}, {"I8", 8}, {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},
	{"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16}, {"I32", 32}, {"U32", 32},
	{"F32", 32}, {"C64", 64}, {"F64", 64}, {"I64", 64}, {"U64", 64},
}

// String returns the name a file's header uses: "F16", "BF16", "F8_E4M3".
func (d DType) String() string {
	if int(d) < len(dtypes) {
		return dtypes[d].name
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Bits returns the size of one element in bits; four types are smaller than a byte.
func (d DType) Bits() int { return int(dtypes[d].bits) }

// Float reports whether the type holds real numbers that Tensor.Floats converts: F16, BF16, F32 and F64, none of those of 8 bits and fewer.
func (d DType) Float() bool { return d == F16 || d == BF16 || d == F32 || d == F64 }

// ParseDType returns the type a header calls name. Names are case-sensitive.
func ParseDType(name string) (DType, bool) {
	for i, d := range dtypes {
		if d.name == name {
			return DType(i), true
		}
	}
	return 0, false
}

// Tensor is one named array, row-major and little-endian as in the file.
type Tensor struct {
	Name  string
	DType DType
	Shape []int // empty for a scalar
	// Data is the elements' bytes. In a tensor from a File it is a view of the mapped file: read-only, gone after File.Close.
	Data []byte
}

// byteSize returns the bytes a tensor of this type and shape takes. ok is false when the product overflows, in the order
// of multiplication the format prescribes, or when the elements do not fill whole bytes.
func byteSize(d DType, shape []uint64) (size uint64, ok bool) {
	n := uint64(1)
	for _, dim := range shape {
		hi, lo := bits.Mul64(n, dim)
		if hi != 0 {
			return 0, false
		}
		n = lo
	}
	hi, total := bits.Mul64(n, dtypes[d].bits)
	return total / 8, hi == 0 && total%8 == 0
}

// Len returns the number of elements, the product of Shape.
func (t Tensor) Len() int {
	n := 1
	for _, dim := range t.Shape {
		n *= dim
	}
	return n
}

// String describes the tensor as "name F16[320 768]".
func (t Tensor) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %v%v", t.Name, t.DType, t.Shape))
}

// Floats converts the elements to float32: exactly for F16, BF16 and F32, rounding to nearest for F64. The slice is a
// copy and may be changed. Other types are Unsupported; a file that another program truncated while it was open is Corrupt.
func (t Tensor) Floats() ([]float32, error) {
	if err := t.checkFloats(); err != nil {
		return nil, err
	}
	values := make([]float32, t.Len())
	if err := t.ReadFloats(values); err != nil {
		return nil, err
	}
	return values, nil
}

// ReadFloats is Floats into values, which has t.Len() elements.
func (t Tensor) ReadFloats(values []float32) error {
	if err := t.checkFloats(); err != nil {
		return err
	}
	if len(values) != t.Len() {
		return fault.New(fault.Invalid, "read tensor", t.Name, "%d values do not take shape %v", len(values), t.Shape)
	}
	return touching("read tensor", t.Name, func() error {
		decode(values, t.DType, t.Data)
		return nil
	})
}

// checkFloats is the fault of a tensor that is not made of floating-point numbers, or not of as many as its shape says.
func (t Tensor) checkFloats() error {
	const op = "read tensor"
	if !t.DType.Float() {
		return fault.New(fault.Unsupported, op, t.Name, "%v cannot be read here as numbers", t.DType).Fix("use a file of F16, BF16, F32 or F64")
	}
	if n := t.Len(); n < 0 || len(t.Data)/(t.DType.Bits()/8) != n {
		return fault.New(fault.Invalid, op, t.Name, "%d bytes do not hold shape %v of %v", len(t.Data), t.Shape, t.DType)
	}
	return nil
}

// FromFloats returns a tensor that holds values as F16, BF16, F32 or F64, rounded to nearest even. Values past the range
// of F16 become infinite; ask Overflows first where that matters.
func FromFloats(name string, dtype DType, shape []int, values []float32) (Tensor, error) {
	const op = "make tensor"
	if !dtype.Float() {
		return Tensor{}, fault.New(fault.Unsupported, op, name, "%v cannot be written here", dtype).Fix("use F16, BF16 or F32")
	}
	t := Tensor{Name: name, DType: dtype, Shape: append([]int(nil), shape...)}
	if t.Len() != len(values) {
		return Tensor{}, fault.New(fault.Invalid, op, name, "%d values do not fill shape %v", len(values), shape)
	}
	t.Data = make([]byte, len(values)*dtype.Bits()/8)
	encode(t.Data, dtype, values)
	return t, nil
}

// Overflows reports whether any finite value becomes infinite in dtype; only F16 (largest finite 65,504) is that narrow.
func Overflows(dtype DType, values []float32) bool {
	if dtype != F16 {
		return false
	}
	for _, v := range values {
		// 65,520 is halfway between the largest finite half and the next step, and rounds up to infinity.
		if a := math.Abs(float64(v)); a >= 65520 && !math.IsInf(a, 0) {
			return true
		}
	}
	return false
}
