package xla

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPruneRemovesTheLongestUnused(t *testing.T) {
	folder := t.TempDir()
	for i, name := range []string{"new", "old", "middle"} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, make([]byte, 10), 0o644); err != nil {
			t.Fatal(err)
		}
		used := time.Now().Add(-time.Duration([]int{0, 2, 1}[i]) * time.Hour)
		if err := os.Chtimes(path, used, used); err != nil {
			t.Fatal(err)
		}
	}
	prune(folder, 25)
	left, _ := filepath.Glob(filepath.Join(folder, "*"))
	if len(left) != 2 || filepath.Base(left[0]) != "middle" || filepath.Base(left[1]) != "new" {
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
