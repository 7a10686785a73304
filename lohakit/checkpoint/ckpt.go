package checkpoint

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// isPickle reports whether the file is what PyTorch writes: a zip archive around a pickle, or, before version 1.6, pickles in a row.
func isPickle(file []byte) bool {
	return bytes.HasPrefix(file, []byte("PK\x03\x04")) || bytes.HasPrefix(file, []byte("\x80\x02\x8a\x0a"))
}

// readPickle reads the tensors of a .ckpt: views of the mapped file wherever they lie in it as they should.
func (f *File) readPickle(o options) error {
	const op = "open"
	if !o.pickle {
		return fault.New(fault.Unsupported, op, f.Path, "it is a pickle, a kind of file that can hold programs").
			Fix("take the .safetensors version, or ask for pickles with AllowPickle: they are read without executing anything")
	}
	if f.mapped[0] == 0x80 {
		return fault.New(fault.Unsupported, op, f.Path, "it was written by PyTorch before version 1.6").Fix("save it again with a newer version")
	}
	root, archive, err := openArchive(f.mapped)
	if err == nil {
		err = f.collect(root, archive)
	}
	if err != nil {
		return fault.New(fault.Corrupt, op, f.Path, "not a checkpoint that can be read safely: %w", err).
			Fix("take the .safetensors version, or distrust the file")
	}
	return nil
}

// maxEntries is above the number of tensors in any model.
const maxEntries = 1 << 17

// openArchive runs the archive's pickle, and returns its value and the content of the stored files by name.
func openArchive(file []byte) (root any, entries map[string][]byte, err error) {
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, nil, err
	}
	if len(z.File) > maxEntries {
		return nil, nil, fmt.Errorf("%d files in the archive", len(z.File))
	}
	entries = make(map[string][]byte, len(z.File))
	var program string
	for _, e := range z.File {
		offset, err := e.DataOffset()
		if err != nil {
			return nil, nil, err
		}
		if e.Method != zip.Store || e.CompressedSize64 != e.UncompressedSize64 {
			return nil, nil, fmt.Errorf("%q in the archive is compressed", e.Name)
		}
		if offset < 0 || uint64(offset) > uint64(len(file)) || e.UncompressedSize64 > uint64(len(file))-uint64(offset) {
			return nil, nil, fmt.Errorf("%q lies outside the archive", e.Name)
		}
		if _, twice := entries[e.Name]; twice {
			return nil, nil, fmt.Errorf("%q is in the archive twice", e.Name)
		}
		entries[e.Name] = file[offset : uint64(offset)+e.UncompressedSize64]
		if strings.HasSuffix(e.Name, "/data.pkl") && strings.Count(e.Name, "/") == 1 {
			if program != "" {
				return nil, nil, errors.New("two pickles in the archive")
			}
			program = e.Name
		}
	}
	if program == "" {
		return nil, nil, errors.New("no data.pkl in the archive")
	}
	folder := strings.TrimSuffix(program, "data.pkl")
	if order := entries[folder+"byteorder"]; order != nil && string(order) != "little" {
		return nil, nil, fmt.Errorf("byte order %.10q", order)
	}
	if root, err = unpickle(entries[program]); err != nil {
		return nil, nil, err
	}
	data := map[string][]byte{}
	for name, content := range entries {
		if key, ok := strings.CutPrefix(name, folder+"data/"); ok {
			data[key] = content
		}
	}
	return root, data, nil
}

// Bounds of names: the points that come from dictionaries within dictionaries, and the bytes.
const (
	maxNesting = 64
	maxName    = 4096
)

// collect takes the tensors out of the pickle's value: of its "state_dict" if there is one. Names in nested dictionaries are joined by
// points.
func (f *File) collect(root any, data map[string][]byte) error {
	d, ok := root.(*dict)
	if !ok {
		return fmt.Errorf("it holds no dictionary but a %T", root)
	}
	if inner, ok := d.value["state_dict"].(*dict); ok {
		d = inner
	}
	f.tensors = map[string]Tensor{}
	room := uint64(len(f.mapped)) // for copies: a file of a few megabytes may name one storage a million times
	seen := map[*dict]bool{}
	var walk func(prefix string, d *dict) error
	walk = func(prefix string, d *dict) error {
		if seen[d] { // a dictionary may contain itself
			return nil
		}
		if strings.Count(prefix, ".") > maxNesting {
			return fmt.Errorf("dictionaries nested more than %d deep", maxNesting)
		}
		seen[d] = true
		for _, key := range d.keys {
			if len(prefix)+len(key) > maxName {
				return fmt.Errorf("a name of %d bytes", len(prefix)+len(key))
			}
			name := prefix + key
			switch v := d.value[key].(type) {
			case *dict:
				if err := walk(name+".", v); err != nil {
					return err
				}
			case stored:
				t, err := v.find(data, &room)
				if err != nil {
					return fmt.Errorf("tensor %q: %w", name, err)
				}
				t.Name = name
				if _, twice := f.tensors[name]; !twice {
					f.names = append(f.names, name)
				}
				f.tensors[name] = t
			}
		}
		return nil
	}
	return walk("", d)
}

// find returns the tensor's bytes from the archive's files, which must be exactly as long as the pickle says. What does not lie there
// row by row is copied into that order, and its bytes are taken from room.
func (s stored) find(data map[string][]byte, room *uint64) (Tensor, error) {
	content, ok := data[s.key]
	width := dtypes[s.dtype].bits / 8
	if hi, size := bits.Mul64(s.n, width); !ok || hi != 0 || size != uint64(len(content)) {
		return Tensor{}, fmt.Errorf("storage %.80q has %d bytes where %d elements of %v are due", s.key, len(content), s.n, s.dtype)
	}
	t := Tensor{DType: s.dtype, Shape: make([]int, len(s.shape))}
	size, ok := byteSize(s.dtype, s.shape)
	if !ok || size > uint64(len(content)) {
		return t, fmt.Errorf("shape %v is larger than its storage of %d elements", s.shape, s.n)
	}
	for i, dim := range s.shape {
		if dim > math.MaxInt {
			return t, fmt.Errorf("shape %v", s.shape)
		}
		t.Shape[i] = int(dim)
	}
	if size == 0 {
		return t, nil
	}
	last, contiguous, step := s.offset, true, uint64(1)
	for i := len(s.shape) - 1; i >= 0; i-- {
		hi, reach := bits.Mul64(s.shape[i]-1, s.stride[i])
		sum, carry := bits.Add64(last, reach, 0)
		if hi != 0 || carry != 0 {
			return t, fmt.Errorf("strides %v", s.stride)
		}
		last = sum
		contiguous = contiguous && (s.shape[i] == 1 || s.stride[i] == step)
		step *= s.shape[i] // cannot overflow: the product is at most size
	}
	if last >= s.n {
		return t, fmt.Errorf("shape %v with strides %v from %d reaches beyond %d elements", s.shape, s.stride, s.offset, s.n)
	}
	if contiguous {
		begin := s.offset * width
		t.Data = content[begin : begin+size : begin+size]
		return t, nil
	}
	if size > *room {
		return t, errors.New("tensors that do not lie row by row are larger together than the file")
	}
	*room -= size
	t.Data = make([]byte, 0, size)
	index := make([]uint64, len(s.shape))
	for {
		at := s.offset
		for i, k := range index {
			at += k * s.stride[i]
		}
		t.Data = append(t.Data, content[at*width:(at+1)*width]...)
		axis := len(index) - 1
		for ; axis >= 0; axis-- {
			if index[axis]++; index[axis] < s.shape[axis] {
				break
			}
			index[axis] = 0
		}
		if axis < 0 {
			return t, nil
		}
	}
}
