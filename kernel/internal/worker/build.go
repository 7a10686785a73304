package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/lohakit/notebook/kernel/internal/cell"
	"github.com/lohakit/notebook/lohakit/fault"
)

// workerPackage is the worker's main program.
const workerPackage = "github.com/lohakit/notebook/kernel/worker"

// buildFlags are those of the worker and of every package that is loaded into it; they have to be the same.
var buildFlags = []string{"-trimpath"}

// BuildOptions says what to build the worker from.
type BuildOptions struct {
	Module string    // the checkout of this module
	Dir    string    // where the worker goes
	Log    io.Writer // progress, one line per step; nil for none
}

// Build builds the worker program and the list of packages that cells can import, with the Go toolchain of this machine.
// What is up to date stays.
func Build(ctx context.Context, o BuildOptions) error {
	if o.Log == nil {
		o.Log = io.Discard
	}
	module, err := filepath.Abs(o.Module)
	if err != nil {
		return err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return fault.New(fault.IO, "build worker", o.Dir, "%w", err)
	}
	list, err := cell.ListPackages(ctx, module, buildFlags, workerPackage)
	if err != nil {
		return fault.New(fault.Other, "compile packages", module, "%w", err)
	}
	if list, err = keep(o.Dir, list); err != nil {
		return fault.New(fault.IO, "keep packages", o.Dir, "%w", err)
	}
	if err := write(o.Dir, "packages", list); err != nil {
		return err
	}
	fmt.Fprintln(o.Log, "compiled the packages that cells import; building the worker")
	overlay, err := table(ctx, module, o.Dir)
	if err != nil {
		return fault.New(fault.Other, "list package functions", module, "%w", err)
	}
	_, err = goTool(ctx, module, append(append([]string{"build"}, buildFlags...), "-overlay", overlay, "-ldflags=-s -w -checklinkname=0",
		"-o", filepath.Join(o.Dir, "worker"), workerPackage)...)
	if err != nil {
		return fault.New(fault.Other, "build worker", module, "%w", err)
	}
	return write(o.Dir, "module", []byte(module))
}

// keep gives the compiled packages of a list a place in dir, since Go's build cache drops what it has not used for days. A
// link costs nothing; on another file system the file is copied.
func keep(dir string, list []byte) ([]byte, error) {
	archives := filepath.Join(dir, "archives")
	if err := os.MkdirAll(archives, 0o755); err != nil {
		return nil, err
	}
	stale := map[string]bool{}
	old, _ := os.ReadDir(archives)
	for _, entry := range old {
		stale[entry.Name()] = true
	}
	lines := strings.Split(string(list), "\n")
	for i, line := range lines {
		f := strings.Split(line, "\t")
		if len(f) != 3 {
			continue
		}
		name := filepath.Base(f[1])
		if !stale[name] {
			if err := link(f[1], filepath.Join(archives, name)); err != nil && !errors.Is(err, os.ErrExist) {
				return nil, err
			}
		}
		delete(stale, name)
		f[1] = filepath.Join(archives, name)
		lines[i] = strings.Join(f, "\t")
	}
	for name := range stale {
		_ = os.Remove(filepath.Join(archives, name)) // of an earlier build; a session that runs has read what it needs or is restarted
	}
	return []byte(strings.Join(lines, "\n")), nil
}

// link makes a second name for a file, or a copy.
func link(from, to string) error {
	if err := os.Link(from, to); err == nil || errors.Is(err, os.ErrExist) {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

func write(dir, name string, text []byte) error {
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
		return fault.New(fault.IO, "build worker", dir, "%w", err)
	}
	return nil
}

// goTool runs the go command in a module; its error holds what it wrote.
func goTool(ctx context.Context, module string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// table writes the worker's table of package functions, and returns the file that has the build use it in place of the
// empty one.
func table(ctx context.Context, module, dir string) (overlay string, err error) {
	imports, err := goTool(ctx, module, "list", "-f", `{{join .Imports "\n"}}`, workerPackage)
	if err != nil {
		return "", err
	}
	chain, err := cell.NewToolchain(module, filepath.Join(dir, "packages"), buildFlags)
	if err != nil {
		return "", err
	}
	source, names, err := chain.WorkerTable(strings.Fields(string(imports)))
	if err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{
		"Replace": {filepath.Join(module, "kernel", "worker", "table.go"): filepath.Join(dir, "table.go")},
	})
	if err != nil {
		return "", err
	}
	for name, text := range map[string]string{"table": names, "table.go": source, "overlay.json": string(replace)} {
		if err := write(dir, name, []byte(text)); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "overlay.json"), nil
}
