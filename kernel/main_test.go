package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
)

func TestVersionAndUsage(t *testing.T) {
	var out bytes.Buffer
	if err := command([]string{"version"}, &out); err != nil || !strings.Contains(out.String(), "protocol 5.5") {
		t.Error(out.String(), err)
	}
	for _, args := range [][]string{{}, {"run"}, {"dance"}, {"install", "--user", "--prefix", "x"}, {"install", "here"}} {
		if err := command(args, &out); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestPlace(t *testing.T) {
	t.Setenv("VIRTUAL_ENV", "/env")
	t.Setenv("JUPYTER_DATA_DIR", "/data")
	for _, test := range []struct{ args, want string }{
		{"--prefix /p", "/p/share/jupyter/kernels/lohakit"},
		{"--sys-prefix", "/env/share/jupyter/kernels/lohakit"},
		{"--user", "/data/kernels/lohakit"},
		{"", "/data/kernels/lohakit"},
	} {
		p, err := parsePlace("install", strings.Fields(test.args))
		if err != nil || p.spec != test.want {
			t.Errorf("%q goes to %s, %v; want %s", test.args, p.spec, err, test.want)
		}
	}
}

func TestFindModule(t *testing.T) {
	if dir, err := findModule(""); err != nil || !isModule(filepath.Join(dir, "go.mod")) {
		t.Error(dir, err)
	}
	if _, err := findModule(t.TempDir()); !fault.Is(err, fault.NotExist) {
		t.Error(err)
	}
}

func TestUninstall(t *testing.T) {
	prefix := t.TempDir()
	args := []string{"uninstall", "--prefix", prefix}
	if err := command(args, &bytes.Buffer{}); !fault.Is(err, fault.NotExist) {
		t.Error(err)
	}
	spec := filepath.Join(prefix, "share/jupyter/kernels/lohakit")
	for _, file := range []string{"kernel.json", "worker"} { // a whole install, and one that did not end
		os.MkdirAll(spec, 0o755)
		os.WriteFile(filepath.Join(spec, file), []byte("{}"), 0o644)
		if err := command(args, &bytes.Buffer{}); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(spec); !os.IsNotExist(err) {
			t.Errorf("the kernelspec with its %s is still there", file)
		}
	}
}

// An install that cannot succeed says what to do, and where.
func TestInstallFails(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "a prefix")
	os.WriteFile(prefix, nil, 0o644) // not a folder
	err := command([]string{"install", "--prefix", prefix}, &bytes.Buffer{})
	if !fault.Is(err, fault.IO) || !strings.Contains(err.Error(), prefix) || !strings.Contains(err.Error(), "--prefix") {
		t.Error(err)
	}
	t.Setenv("PATH", t.TempDir())
	err = command([]string{"install", "--prefix", t.TempDir()}, &bytes.Buffer{})
	if !fault.Is(err, fault.Missing) || !strings.Contains(err.Error(), "install Go") {
		t.Error(err)
	}
}
