package checkpoint

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Write stores tensors as a safetensors file, laid out as the reference writer does: by type, the widest first, then by
// name. The order of tensors does not matter; names must differ. metadata may be nil.
//
// The file appears at path whole or not at all: it is written beside path under a temporary name, flushed to the disk,
// read back and compared, and then renamed. If path is a symbolic link, the file it points to is replaced.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	return Stream(path, tensors, metadata, func(t Tensor) ([]byte, error) { return t.Data, nil })
}

// Stream is Write for tensors too large to hold at once: tensors need no Data, and data is asked for each tensor's bytes
// once, in the file's order. The bytes may be reused at the next call.
func Stream(path string, tensors []Tensor, metadata map[string]string, data func(Tensor) ([]byte, error)) error {
	const op = "write"
	ordered, header, err := layHeader(tensors, metadata)
	if err != nil {
		return fault.New(fault.Invalid, op, path, "%w", err)
	}
	return replaceFile(path, func(w io.Writer) error {
		if _, err := w.Write(header); err != nil {
			return err
		}
		for _, t := range ordered {
			bytes, err := data(t)
			if err != nil {
				return err
			}
			if size, _ := t.size(); uint64(len(bytes)) != size {
				return fault.New(fault.Invalid, op, path, "tensor %v takes %d bytes, not %d", t, size, len(bytes))
			}
			if _, err := w.Write(bytes); err != nil {
				return err
			}
		}
		return nil
	})
}

// Size returns the length in bytes of the file that Write would make of tensors; they need no Data.
func Size(tensors []Tensor, metadata map[string]string) (int64, error) {
	ordered, header, err := layHeader(tensors, metadata)
	if err != nil {
		return 0, fault.New(fault.Invalid, "measure", "file", "%w", err)
	}
	total := int64(len(header))
	for _, t := range ordered {
		size, _ := t.size()
		total += int64(size)
	}
	return total, nil
}

// size returns the bytes t takes; ok is false when its shape is impossible.
func (t Tensor) size() (n uint64, ok bool) {
	if int(t.DType) >= len(dtypes) {
		return 0, false
	}
	shape := make([]uint64, len(t.Shape))
	for i, dim := range t.Shape {
		if dim < 0 {
			return 0, false
		}
		shape[i] = uint64(dim)
	}
	return byteSize(t.DType, shape)
}

// layHeader returns the tensors in the order of their bytes, and everything that precedes the first of them: the length,
// the JSON and the spaces that make it a multiple of 8.
func layHeader(tensors []Tensor, metadata map[string]string) (ordered []Tensor, header []byte, err error) {
	ordered = slices.Clone(tensors)
	slices.SortStableFunc(ordered, func(a, b Tensor) int {
		return cmp.Or(-cmp.Compare(a.DType, b.DType), cmp.Compare(a.Name, b.Name))
	})
	header = append(make([]byte, 8), '{')
	if metadata != nil {
		header = append(header, `"__metadata__":{`...)
		for _, key := range slices.Sorted(maps.Keys(metadata)) { // the reference's order is random: choose one
			header = append(appendString(header, key), ':')
			header = append(appendString(header, metadata[key]), ',')
		}
		header = append(closeList(header), '}', ',')
	}
	seen := make(map[string]bool, len(ordered))
	var at uint64
	for _, t := range ordered {
		size, ok := t.size()
		switch {
		case !ok:
			return nil, nil, fmt.Errorf("tensor %v has an impossible shape or type", t)
		case seen[t.Name]:
			return nil, nil, fmt.Errorf("two tensors are named %q", t.Name)
		case t.Name == "__metadata__":
			return nil, nil, errors.New("a tensor is named __metadata__")
		}
		seen[t.Name] = true
		header = append(appendString(header, t.Name), `:{"dtype":"`...)
		header = append(append(header, t.DType.String()...), `","shape":[`...)
		for _, dim := range t.Shape {
			header = append(strconv.AppendInt(header, int64(dim), 10), ',')
		}
		header = append(closeList(header), `],"data_offsets":[`...)
		header = append(strconv.AppendUint(header, at, 10), ',')
		at += size
		header = append(strconv.AppendUint(header, at, 10), "]},"...)
	}
	header = append(closeList(header), '}')
	for len(header)%8 != 0 {
		header = append(header, ' ')
	}
	n := len(header) - 8
	if n > maxHeader {
		return nil, nil, fmt.Errorf("header of %d bytes is above the format's limit of %d", n, maxHeader)
	}
	binary.LittleEndian.PutUint64(header, uint64(n))
	return ordered, header, nil
}

// closeList drops the comma after the last item.
func closeList(b []byte) []byte {
	if b[len(b)-1] == ',' {
		return b[:len(b)-1]
	}
	return b
}

// appendString appends s as JSON text, escaping only what must be, as the reference writer does.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s { // bytes that are not UTF-8 become U+FFFD: the header must be UTF-8
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r >= ' ':
			b = append(b, string(r)...)
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r == '\r':
			b = append(b, `\r`...)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return append(b, '"')
}
