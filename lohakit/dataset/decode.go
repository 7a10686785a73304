package dataset

import (
	"bufio"
	"image"
	_ "image/jpeg" // the decoders of the five image kinds
	_ "image/png"
	"io"
	"os"

	_ "golang.org/x/image/bmp"
	_ "golang.org/x/image/webp"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Limits is what an image file may be; more is refused from its header, before pixels are allocated.
type Limits struct {
	Bytes  int64 // size of the file; default 256 MiB
	Pixels int   // width × height; default 64 Mi (8192 × 8192)
}

func (l Limits) complete() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 256 << 20
	}
	if l.Pixels <= 0 {
		l.Pixels = 64 << 20
	}
	return l
}

// Header returns an image file's size in pixels from its first bytes, or why it cannot be used.
func (l Limits) Header(path string) (Size, error) {
	f, err := l.open(path)
	if err != nil {
		return Size{}, err
	}
	defer f.Close()
	return l.header(path, bufio.NewReader(f))
}

// open opens an image file that is regular and not too large.
func (l Limits) open(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, readFault("read image", path, err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fault.New(fault.Invalid, "read image", path, "is not a regular file").Fix("remove it from the folder")
	case info.Size() == 0:
		return nil, fault.New(fault.Corrupt, "read image", path, "is empty").Fix("copy it again, or delete it")
	case info.Size() > l.Bytes:
		return nil, fault.New(fault.Invalid, "read image", path, "%d bytes is more than the limit of %d", info.Size(), l.Bytes).
			Fix("make it smaller, or raise Limits.Bytes")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, readFault("read image", path, err)
	}
	return f, nil
}

func (l Limits) header(path string, r io.Reader) (Size, error) {
	config, _, err := image.DecodeConfig(r)
	if err != nil {
		return Size{}, fault.New(fault.Corrupt, "read image", path, "cannot be decoded: %w", err).
			Fix("save it again as PNG, JPEG, WebP or BMP, or delete it")
	}
	size := Size{config.Width, config.Height}
	if size.W < 1 || size.H < 1 || size.W > l.Pixels/size.H {
		return size, fault.New(fault.Invalid, "read image", path, "%s is more than the limit of %d pixels", size, l.Pixels).
			Fix("make it smaller, or raise Limits.Pixels")
	}
	return size, nil
}

// Decode reads an image file, header first.
func (l Limits) Decode(path string) (image.Image, error) {
	f, err := l.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := l.header(path, bufio.NewReader(f))
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, readFault("read image", path, err)
	}
	img, _, err := image.Decode(bufio.NewReader(f))
	if err != nil {
		return nil, fault.New(fault.Corrupt, "read image", path, "cannot be decoded: %w", err).
			Fix("save it again as PNG, JPEG, WebP or BMP, or delete it")
	}
	if b := img.Bounds(); b.Dx() != size.W || b.Dy() != size.H {
		return nil, fault.New(fault.Corrupt, "read image", path, "its header says %s, it is %d×%d", size, b.Dx(), b.Dy()).
			Fix("save it again as PNG, JPEG, WebP or BMP, or delete it")
	}
	return img, nil
}
