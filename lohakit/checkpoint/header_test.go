package checkpoint

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
)

// verdict is what safetensors 0.8.0 says of a file: see testdata/record_header.py.
type verdict struct {
	name    string
	file    []byte
	tensors map[string][]json.RawMessage // dtype and shape; nil if it rejects the file
}

func verdicts(t testing.TB) (list []verdict) {
	f, err := os.Open("testdata/verdicts.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var raw [][3]json.RawMessage
	if err := json.NewDecoder(z).Decode(&raw); err != nil {
		t.Fatal(err)
	}
	for _, r := range raw {
		var v verdict
		for i, into := range []any{&v.name, &v.file, &v.tensors} {
			if err := json.Unmarshal(r[i], into); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, v)
	}
	return list
}

// TestVerdicts holds the reader to the reference: the same files accepted, with the same tensors.
func TestVerdicts(t *testing.T) {
	accepted := 0
	for _, v := range verdicts(t) {
		entries, _, _, err := parseFile(v.file)
		if (err == nil) != (v.tensors != nil) {
			t.Errorf("%s: %v; the reference accepts it: %v", v.name, err, v.tensors != nil)
			continue
		}
		if err != nil {
			continue
		}
		accepted++
		if len(entries) != len(v.tensors) {
			t.Errorf("%s: %d tensors, want %d", v.name, len(entries), len(v.tensors))
		}
		for _, e := range entries {
			want := v.tensors[e.name]
			if want == nil {
				t.Errorf("%s: tensor %q, want one of %v", v.name, e.name, v.tensors)
				continue
			}
			var dtype string
			var shape []uint64
			json.Unmarshal(want[0], &dtype)
			json.Unmarshal(want[1], &shape)
			if dtype != e.dtype.String() || !slices.Equal(shape, e.shape) {
				t.Errorf("%s: %q is %v%v, want %s%v", v.name, e.name, e.dtype, e.shape, dtype, shape)
			}
		}
	}
	if accepted < 100 {
		t.Errorf("only %d files were accepted", accepted)
	}
}

// A header that claims to be large must be refused before anything of that size is allocated.
func TestNoAllocationBeforeCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bomb.safetensors")
	for _, claim := range []uint64{1 << 63, 100_000_001, 99_999_999} {
		file := binary.LittleEndian.AppendUint64(nil, claim)
		file = append(file, `{"a":{"dtype":"F64","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}}`...)
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Open(path)
		runtime.ReadMemStats(&after)
		if !fault.Is(err, fault.Corrupt) {
			t.Errorf("claim %d: %v", claim, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<16 {
			t.Errorf("claim %d: %d bytes allocated", claim, grown)
		}
	}
}

// FuzzHeader checks that no bytes make the reader panic or hand out a tensor outside the file.
func FuzzHeader(f *testing.F) {
	for i, v := range verdicts(f) {
		if i < 130 || v.tensors != nil {
			f.Add(v.file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		entries, _, data, err := parseFile(file)
		if err != nil {
			return
		}
		var at uint64
		for _, e := range entries {
			if e.begin != at || e.end < at || e.end > uint64(len(data)) {
				t.Fatalf("tensor %q at [%d, %d) of %d", e.name, e.begin, e.end, len(data))
			}
			at = e.end
		}
	})
}
