package cell

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
)

// hidden is put before the tag of every lower-case field, so that encoders leave the field out as they do in Go: to reflection its struct
// type has no package, and the field counts as exported.
const hidden = `json:"-" xml:"-" toml:"-" yaml:"-" `

// typeArgument matches the package of a type of the session where it is the argument of a generic type; elsewhere its name is main.
var typeArgument = regexp.MustCompile(`\bsession/c[0-9]+\.`)

// unmark removes the marks from the names of types, fields and methods in a compiled package, so that %T, %+v and
// reflection show what the user wrote. It edits the names in place: the runtime's form of a name is a byte of flags, a
// length and the text, and a shorter text leaves the bytes behind it unused.
func unmark(archive string) error {
	data, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	const magic = "\x00go120ld"
	start := bytes.Index(data, []byte(magic))
	if start < 0 {
		return fmt.Errorf("%s: not an object file of a known form", archive)
	}
	object := data[start:]
	// Header: magic, fingerprint (8), flags (4), then the offsets of the blocks. Block 13 is the index of data, block 16
	// the data (cmd/internal/goobj).
	const offsets, dataIdx, dataBlock = 20, 13, 16
	block := func(i int) int { return int(binary.LittleEndian.Uint32(object[offsets+4*i:])) }
	index, base := object[block(dataIdx):block(dataIdx+1)], block(dataBlock)
	for i := 0; i+8 <= len(index); i += 4 {
		from, to := binary.LittleEndian.Uint32(index[i:]), binary.LittleEndian.Uint32(index[i+4:])
		if from < to && base+int(to) <= len(object) {
			unmarkName(object[base+int(from) : base+int(to)])
		}
	}
	return os.WriteFile(archive, data, 0o600)
}

// unmarkName edits one symbol's data if it is a name with marks.
func unmarkName(data []byte) {
	const exportedBit, tagBit, embeddedBit = 1, 2, 8
	if len(data) < 2 || data[0] > 15 || !bytes.Contains(data, []byte(Mark)) && !typeArgument.Match(data) {
		return
	}
	length, n := binary.Uvarint(data[1:])
	if n <= 0 || 1+n+int(length) > len(data) {
		return
	}
	text := data[1+n : 1+n+int(length)]
	rest := data[1+n+int(length):]
	if data[0]&tagBit == 0 && len(rest) > 0 && data[0]&4 == 0 {
		return // not a name: a name ends where its text ends
	}
	plain := typeArgument.ReplaceAll(bytes.ReplaceAll(text, []byte(Mark), nil), []byte("main."))
	if len(plain) == len(text) {
		return
	}
	flags := data[0]
	if bytes.HasPrefix(text, []byte(Mark)) && flags&(tagBit|embeddedBit) != 0 {
		flags &^= exportedBit
	}
	out := append([]byte{flags}, binary.AppendUvarint(nil, uint64(len(plain)))...)
	for len(out) < 1+n { // keep the length of the length
		out[len(out)-1] |= 0x80
		out = append(out, 0)
	}
	out = append(append(out, plain...), rest...)
	copy(data, out)
	clear(data[len(out):])
}
