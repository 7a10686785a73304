package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"github.com/lohakit/notebook/lohakit/fault"
)

// legacyStart and legacyLength are the part of a file that web UIs first told files apart by: 64 KiB at 1 MiB.
const legacyStart, legacyLength = 1 << 20, 1 << 16

// Hashes returns what other programs know a file by: the SHA-256 of its content in 64 hexadecimal digits, and the 8 digits that web UIs
// used before, of the SHA-256 of 64 KiB at 1 MiB.
func Hashes(path string) (legacy, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", fault.New(fault.IO, "hash", path, "%w", err).Fix("check that it can be read")
	}
	defer f.Close()
	part, whole := sha256.New(), sha256.New()
	if _, err = io.Copy(part, io.NewSectionReader(f, legacyStart, legacyLength)); err == nil {
		_, err = io.Copy(whole, f)
	}
	if err != nil {
		return "", "", fault.New(fault.IO, "hash", path, "%w", err).Fix("check that it is a file and can be read")
	}
	return hex.EncodeToString(part.Sum(nil))[:8], hex.EncodeToString(whole.Sum(nil)), nil
}
