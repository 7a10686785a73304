package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
)

// The SHA-256 of "abc" and of nothing are published with the algorithm (FIPS 180-4); that of 64 KiB of zeros is sha256sum's.
func TestHashes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	for _, c := range []struct{ content, legacy, sum string }{
		{"abc", "e3b0c442", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{strings.Repeat("a", 1<<20) + strings.Repeat("\x00", 1<<16) + "tail", "de2f256064a0af797747c2b97505dc0b9f3df0de4f489eac731c23ae9ca9cc31"[:8], ""},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		legacy, sum, err := Hashes(path)
		if err != nil || legacy != c.legacy || c.sum != "" && sum != c.sum {
			t.Errorf("%.9s…: %s, %s, %v; want %s, %s", c.content, legacy, sum, err, c.legacy, c.sum)
		}
	}
	if _, _, err := Hashes(filepath.Dir(path)); !fault.Is(err, fault.IO) {
		t.Errorf("a folder: %v", err)
	}
}
