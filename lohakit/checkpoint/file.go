// Package checkpoint reads and writes the files models and adapters live in: safetensors, mapped rather than copied and
// checked as strictly as by the reference implementation; .ckpt pickles, through a reader that executes nothing; and
// diffusers folders. It knows the two naming schemes of Stable Diffusion 1.x tensors and turns one into the other, and it
// writes so that a crash at any instant leaves the old file or the new one, whole.
package checkpoint

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"runtime/debug"

	"github.com/lohakit/notebook/lohakit/fault"
)

// File is an open file of tensors. Its methods may be called concurrently, except Close.
type File struct {
	Path     string
	Metadata map[string]string // what safetensors stores under __metadata__; never nil, empty for a .ckpt

	names   []string // in the order of their bytes
	tensors map[string]Tensor
	mapped  []byte
}

// Option changes what Open accepts.
type Option func(*options)

type options struct{ pickle, ema bool }

// AllowPickle lets Open read .ckpt and .pt files. They are pickles, programs in a small language that commonly run code
// when loaded; the reader here runs none, and refuses a file that asks for anything but tensors.
func AllowPickle() Option { return func(o *options) { o.pickle = true } }

// Open maps the file and checks its header whole; no tensor is read. Errors are NotExist, IO, Corrupt (not a well-formed
// file) and Unsupported (a .ckpt without AllowPickle).
func Open(path string, opts ...Option) (*File, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	const op = "open"
	mapped, err := mapFile(path)
	if err != nil {
		return nil, ioFault(op, path, err)
	}
	f := &File{Path: path, Metadata: map[string]string{}, mapped: mapped}
	if err := f.read(o); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) read(o options) error {
	return touching("open", f.Path, func() error {
		if isPickle(f.mapped) {
			return f.readPickle(o)
		}
		return f.readHeader()
	})
}

// touching runs f, which reads a mapped file. Reading a page that is no longer in the file, or that the disk does not give, is a memory fault,
// not an error: it is turned into one.
func touching(op, path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if _, memory := r.(interface{ Addr() uintptr }); memory {
			err = fault.New(fault.Corrupt, op, path, "its file shrank or was closed while in use (%v)", r).Fix("keep the file unchanged while it is open")
		} else if r != nil {
			panic(r)
		}
	}()
	return f()
}

func (f *File) readHeader() error {
	const op = "open"
	entries, metadata, data, err := parseFile(f.mapped)
	if err != nil {
		return fault.New(fault.Corrupt, op, f.Path, "not a well-formed safetensors file: %w", err).Fix("%s", remedyFor(f.mapped))
	}
	f.tensors = make(map[string]Tensor, len(entries))
	for _, e := range entries {
		shape := make([]int, len(e.shape))
		for i, dim := range e.shape {
			if dim > math.MaxInt { // only beside a zero dimension: the tensor is empty
				return fault.New(fault.Unsupported, op, f.Path, "tensor %q has a dimension of %d", e.name, dim)
			}
			shape[i] = int(dim)
		}
		f.names = append(f.names, e.name)
		f.tensors[e.name] = Tensor{Name: e.name, DType: e.dtype, Shape: shape, Data: data[e.begin:e.end:e.end]}
	}
	for key, value := range metadata {
		f.Metadata[key] = value
	}
	return nil
}

// remedyFor recognises what people mistake for a model file.
func remedyFor(file []byte) string {
	switch {
	case bytes.HasPrefix(file, []byte("version https://git-lfs")):
		return "this is a Git LFS pointer: run git lfs pull, or download the file itself"
	case bytes.HasPrefix(bytes.TrimSpace(file[:min(len(file), 64)]), []byte("<")):
		return "this is a web page: download the file itself"
	}
	return "download or save the file again"
}

// Names returns the tensors' names in the order of their bytes in the file.
func (f *File) Names() []string { return append([]string(nil), f.names...) }

// Tensor returns the named tensor as a view of the mapped file. The error of a missing one names those spelt nearest.
func (f *File) Tensor(name string) (Tensor, error) {
	t, ok := f.tensors[name]
	if !ok {
		return Tensor{}, Unknown("read "+f.Path, "tensor", name, f.names)
	}
	return t, nil
}

// Release tells the system that a tensor's bytes are not needed for now, so that going through a large file takes the memory of one tensor
// and not of all. The tensor stays usable. Tensors that are no views of this file are left alone.
func (f *File) Release(t Tensor) {
	if within(t.Data, f.mapped) {
		forget(t.Data)
	}
}

// Has reports whether the file holds the named tensor.
func (f *File) Has(name string) bool {
	_, ok := f.tensors[name]
	return ok
}

// Close unmaps the file. Tensors taken from it must not be used afterwards. A second Close does nothing.
func (f *File) Close() error {
	mapped := f.mapped
	f.mapped, f.names, f.tensors = nil, nil, nil
	if mapped == nil {
		return nil
	}
	if err := unmapFile(mapped); err != nil {
		return fault.New(fault.IO, "close", f.Path, "%w", err)
	}
	return nil
}

func ioFault(op, path string, err error) *fault.Error {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		err = pathErr.Err // its own text would repeat the path
	}
	if os.IsNotExist(err) {
		return fault.New(fault.NotExist, op, path, "no such file").Fix("check the path and the working folder")
	}
	return fault.New(fault.IO, op, path, "%w", err)
}
