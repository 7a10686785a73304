package sample

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// textKey is the key under which web UIs store the infotext in a PNG.
const textKey = "parameters"

// maxText bounds the text read from a picture, packed or not.
const maxText = 1 << 20

var signature = []byte("\x89PNG\r\n\x1a\n")

// WritePNG writes img as PNG with the infotext in it: as tEXt where Latin-1 can hold it, else as iTXt in UTF-8. No text writes none.
func WritePNG(w io.Writer, img image.Image, text string) error {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return fault.New(fault.Other, "write PNG", "", "%w", err)
	}
	raw := b.Bytes()
	// the header chunk is the signature's 8 bytes and 25 more; text may follow it at once
	const header = 8 + 25
	out := append([]byte{}, raw[:header]...)
	if text != "" {
		if latin, ok := latin1(text); ok {
			out = appendChunk(out, "tEXt", append([]byte(textKey+"\x00"), latin...))
		} else {
			out = appendChunk(out, "iTXt", []byte(textKey+"\x00\x00\x00\x00\x00"+strings.ToValidUTF8(text, "\uFFFD")))
		}
	}
	if _, err := w.Write(append(out, raw[header:]...)); err != nil {
		return fault.New(fault.IO, "write PNG", "", "%w", err)
	}
	return nil
}

func appendChunk(out []byte, kind string, data []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	start := len(out)
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[start:]))
}

// latin1 is s in Latin-1 without NUL, if it can be.
func latin1(s string) ([]byte, bool) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r == 0 || r > 0xff {
			return nil, false
		}
		out = append(out, byte(r))
	}
	return out, true
}

// ReadPNGText returns the infotext of a PNG, from a tEXt, zTXt or iTXt chunk of the key "parameters"; "" if there is none. Data that is
// no PNG, or whose chunks do not fit, is a fault of kind Corrupt.
func ReadPNGText(r io.Reader) (string, error) {
	bad := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Corrupt, "read PNG", "", format, args...)
	}
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head); err != nil || !bytes.Equal(head, signature) {
		return "", bad("it does not begin as a PNG").Fix("give a .png file")
	}
	for {
		if _, err := io.ReadFull(r, head); err != nil {
			return "", bad("it ends inside a chunk's header: %w", err)
		}
		n, kind := binary.BigEndian.Uint32(head), string(head[4:])
		switch {
		case n > 1<<31-1:
			return "", bad("chunk %q says it has %d bytes", kind, n)
		case kind == "IEND":
			return "", nil
		case (kind == "tEXt" || kind == "zTXt" || kind == "iTXt") && n <= maxText:
			data := make([]byte, n)
			if _, err := io.ReadFull(r, data); err != nil {
				return "", bad("it ends inside a chunk: %w", err)
			}
			if text, ok := chunkText(kind, data); ok {
				return text, nil
			}
			n = 0
		}
		if _, err := io.CopyN(io.Discard, r, int64(n)+4); err != nil {
			return "", bad("it ends inside a chunk: %w", err)
		}
	}
}

// chunkText is the text of a chunk if its key is "parameters" and its form is right.
func chunkText(kind string, data []byte) (string, bool) {
	key, rest, ok := bytes.Cut(data, []byte{0})
	if !ok || string(key) != textKey {
		return "", false
	}
	packed := kind == "zTXt"
	if kind == "zTXt" {
		if len(rest) < 1 {
			return "", false
		}
		rest = rest[1:]
	}
	if kind == "iTXt" {
		if len(rest) < 2 {
			return "", false
		}
		packed, rest = rest[0] == 1, rest[2:]
		for range 2 { // language, translated key
			if _, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
				return "", false
			}
		}
	}
	if packed {
		z, err := zlib.NewReader(bytes.NewReader(rest))
		if err != nil {
			return "", false
		}
		if rest, err = io.ReadAll(io.LimitReader(z, maxText)); err != nil {
			return "", false
		}
	}
	if kind == "iTXt" {
		return strings.ToValidUTF8(string(rest), "\uFFFD"), true
	}
	var b strings.Builder
	for _, c := range rest {
		b.WriteRune(rune(c))
	}
	return b.String(), true
}
