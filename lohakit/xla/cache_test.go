package xla

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Only the cache's own files go, the longest unused first; others in its folder neither go nor count.
func TestPruneRemovesTheLongestUnused(t *testing.T) {
	folder := t.TempDir()
	name := func(c string) string { return strings.Repeat(c, 64) + ".program" }
	others := []string{"model.safetensors", "new-model.safetensors", strings.Repeat("d", 64), "notes.program"}
	hours := map[string]int{name("a"): 0, name("b"): 3, name("c"): 1, "new-1234.program": 2}
	for i, other := range others {
		hours[other] = 10 + i
	}
	for file, age := range hours {
		path := filepath.Join(folder, file)
		if err := os.WriteFile(path, make([]byte, 10), 0o644); err != nil {
			t.Fatal(err)
		}
		used := time.Now().Add(-time.Duration(age) * time.Hour)
		if err := os.Chtimes(path, used, used); err != nil {
			t.Fatal(err)
		}
	}
	prune(folder, 25)
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	want := append(others, name("a"), name("c"))
	if slices.Sort(want); !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

// What the cache writes it also removes.
func TestStoredProgramsCanBePruned(t *testing.T) {
	before := cache.folder
	t.Cleanup(func() { cache.folder = before })
	cache.folder = t.TempDir()
	store(strings.Repeat("5", 64), []byte("a program"))
	if stored, _ := os.ReadDir(cache.folder); len(stored) != 1 {
		t.Fatalf("stored as %v", stored)
	}
	prune(cache.folder, 0)
	if left, _ := os.ReadDir(cache.folder); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestFindPlugin(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "folder.so"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "plugin.so")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := findPlugin("plugin.so", []string{"/nowhere", folder}); got != path {
		t.Errorf("found %q", got)
	}
	if got := findPlugin("folder.so", []string{folder}); got != "" {
		t.Errorf("found %q, which is a folder", got)
	}
}
