package checkpoint

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxHeader is the longest header the format allows, in bytes.
const maxHeader = 100_000_000

// entry is what the header says of one tensor; begin and end are byte offsets from the end of the header.
type entry struct {
	name       string
	dtype      DType
	shape      []uint64
	begin, end uint64
}

// parseFile checks a whole safetensors file and returns its entries in the order of their bytes, the metadata (nil when
// absent) and the bytes after the header. It accepts exactly the files the reference implementation 0.8 accepts.
func parseFile(file []byte) (entries []entry, metadata map[string]string, data []byte, err error) {
	if len(file) < 8 {
		return nil, nil, nil, fmt.Errorf("%d bytes are too few for the 8-byte header length", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > maxHeader {
		return nil, nil, nil, fmt.Errorf("header length %d is above the format's limit of %d", n, maxHeader)
	}
	if n > uint64(len(file)-8) {
		return nil, nil, nil, fmt.Errorf("header length is %d but only %d bytes follow", n, len(file)-8)
	}
	header, data := file[8:8+n], file[8+n:]
	if !utf8.Valid(header) {
		return nil, nil, nil, errors.New("header is not UTF-8")
	}
	p := parser{text: header}
	entries, metadata, err = p.header()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("header, byte %d: %w", p.at, err)
	}
	if err := layOut(entries, uint64(len(data))); err != nil {
		return nil, nil, nil, err
	}
	return entries, metadata, data, nil
}

// layOut sorts entries by offset and checks that they cover size bytes without hole or overlap, each as long as its type
// and shape say.
func layOut(entries []entry, size uint64) error {
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	var at uint64
	for _, e := range entries {
		if e.begin != at || e.end < e.begin {
			return fmt.Errorf("tensor %q has offsets [%d, %d) where %d is due", e.name, e.begin, e.end, at)
		}
		want, ok := byteSize(e.dtype, e.shape)
		if !ok {
			return fmt.Errorf("tensor %q: %v%v is not a whole number of bytes below 2^61", e.name, e.dtype, e.shape)
		}
		if want != e.end-e.begin {
			return fmt.Errorf("tensor %q: %v%v takes %d bytes, its offsets [%d, %d) hold %d",
				e.name, e.dtype, e.shape, want, e.begin, e.end, e.end-e.begin)
		}
		at = e.end
	}
	if at != size {
		return fmt.Errorf("tensors end at byte %d of %d", at, size)
	}
	return nil
}

// header reads the whole text. Of tensors with one name the last counts, but all must be well formed.
func (p *parser) header() (entries []entry, metadata map[string]string, err error) {
	index := map[string]int{}
	seenMetadata := false
	err = p.object(func(key string) error {
		if key == "__metadata__" {
			if seenMetadata {
				return errors.New("second __metadata__")
			}
			seenMetadata = true
			metadata, err = p.metadata()
			return err
		}
		e, err := p.entry(key)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", key, err)
		}
		if i, ok := index[key]; ok {
			entries[i] = e
			return nil
		}
		index[key] = len(entries)
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if p.peek() != 0 || p.at != len(p.text) {
		return nil, nil, p.wrong("the end")
	}
	return entries, metadata, nil
}

func (p *parser) metadata() (map[string]string, error) {
	if p.peek() == 'n' {
		return nil, p.word("null")
	}
	m := map[string]string{}
	return m, p.object(func(key string) error {
		value, err := p.str()
		m[key] = value
		return err
	})
}

// entry reads {"dtype":…, "shape":…, "data_offsets":…} with unknown fields skipped, or the same three as an array.
func (p *parser) entry(name string) (entry, error) {
	e := entry{name: name}
	if p.peek() == '[' {
		field := 0
		err := p.list('[', ']', func() error {
			if field++; field > 3 {
				return errors.New("more than dtype, shape and data_offsets")
			}
			return p.field(&e, field-1)
		})
		if err == nil && field != 3 {
			err = errors.New("fewer than dtype, shape and data_offsets")
		}
		return e, err
	}
	var seen [3]bool
	err := p.object(func(key string) error {
		i := slices.Index(fields[:], key)
		if i < 0 {
			return p.skip()
		}
		if seen[i] {
			return fmt.Errorf("second %s", key)
		}
		seen[i] = true
		return p.field(&e, i)
	})
	if err != nil {
		return e, err
	}
	if i := slices.Index(seen[:], false); i >= 0 {
		return e, fmt.Errorf("no %s", fields[i])
	}
	return e, nil
}

var fields = [3]string{"dtype", "shape", "data_offsets"}

func (p *parser) field(e *entry, i int) (err error) {
	switch i {
	case 0:
		e.dtype, err = p.dtype()
	case 1:
		e.shape, err = p.uints()
	default:
		var offsets []uint64
		if offsets, err = p.uints(); err == nil && len(offsets) != 2 {
			err = fmt.Errorf("%d data_offsets where 2 are due", len(offsets))
		}
		if err == nil {
			e.begin, e.end = offsets[0], offsets[1]
		}
	}
	return err
}

// dtype reads "F16", or {"F16":null}, which the reference's decoder also takes.
func (p *parser) dtype() (d DType, err error) {
	known := func(name string) error {
		var ok bool
		if d, ok = ParseDType(name); !ok {
			return fmt.Errorf("unknown dtype %q", name)
		}
		return nil
	}
	if p.peek() != '{' {
		name, err := p.str()
		if err != nil {
			return 0, err
		}
		return d, known(name)
	}
	keys := 0
	err = p.object(func(key string) error {
		if keys++; keys > 1 {
			return errors.New("more than one dtype")
		}
		if err := known(key); err != nil {
			return err
		}
		p.peek()
		return p.word("null")
	})
	if err == nil && keys != 1 {
		err = errors.New("no dtype")
	}
	return d, err
}

func (p *parser) uints() ([]uint64, error) {
	var list []uint64
	return list, p.list('[', ']', func() error {
		token, err := p.number()
		if err != nil {
			return err
		}
		v, err := strconv.ParseUint(string(token), 10, 64)
		if err != nil {
			return fmt.Errorf("%.40s is not an integer in [0, 2^64)", token)
		}
		list = append(list, v)
		return nil
	})
}
