package cell

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Toolchain is the Go compiler and linker together with the compiled packages that cells may import: those of the worker
// program, in the variant that can be linked into a plugin, and those that the session has added since.
type Toolchain struct {
	Module string // the folder of the module that the worker was built from

	arch                 string
	compiler, linker, ld string
	mu                   sync.Mutex
	flags                []string          // build flags
	archives             map[string]string // import path to compiled package
	worker               map[string]string // those of the worker
	table                map[string]bool   // what the direct evaluator can use
	folders              map[string]string // import path to source folder
	base                 string            // the import configuration's text
	gc                   types.Importer
	fset                 *token.FileSet // of the declarations in compiled packages
}

// NewToolchain reads the list of packages that [ListPackages] wrote.
func NewToolchain(module, list string, flags []string) (*Toolchain, error) {
	tools, err := exec.Command("go", "env", "GOTOOLDIR", "GOARCH").Output()
	if err != nil {
		return nil, fmt.Errorf("ask go for its tools: %w", err)
	}
	fields := strings.Split(strings.TrimSpace(string(tools)), "\n")
	t := &Toolchain{
		Module: module, flags: flags, arch: fields[1],
		compiler: filepath.Join(fields[0], "compile"), linker: filepath.Join(fields[0], "link"),
		archives: map[string]string{}, folders: map[string]string{},
	}
	if t.ld, err = exec.LookPath("ld"); err != nil {
		return nil, errors.New("ld, the linker that comes with a C compiler, is not installed; run apt install gcc")
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	t.add(text)
	t.worker = maps.Clone(t.archives)
	t.fset = token.NewFileSet()
	t.gc = importer.ForCompiler(t.fset, "gc", t.open)
	return t, nil
}

// listFormat makes go list write what add reads.
const listFormat = "{{if .Export}}{{.ImportPath}}\t{{.Export}}\t{{.Dir}}{{end}}"

// ListPackages writes the compiled packages that pkg needs, one a line, building what is missing. The folder is that of
// pkg's module.
func ListPackages(ctx context.Context, module string, flags []string, pkgs ...string) ([]byte, error) {
	args := append([]string{"list", "-export", "-deps", "-buildmode=plugin", "-f", listFormat}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkgs...)...)
	cmd.Dir = module
	cmd.WaitDelay = time.Second // for compilers that an interrupt leaves running
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %s", bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// add takes packages from a list, and returns those whose compiled form is another than the worker's.
func (t *Toolchain) add(list []byte) (changed []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bufio.NewScanner(bytes.NewReader(list))
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t")
		if len(f) != 3 || f[0] == "" {
			continue
		}
		if old, ok := t.archives[f[0]]; ok {
			if filepath.Base(old) != filepath.Base(f[1]) { // the names say what is inside
				changed = append(changed, f[0])
			}
			continue
		}
		t.archives[f[0]], t.folders[f[0]] = f[1], f[2]
	}
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(t.archives)) {
		fmt.Fprintf(&b, "packagefile %s=%s\n", path, t.archives[path])
	}
	t.base = b.String()
	return changed
}

// open returns the export data of a package.
func (t *Toolchain) open(path string) (io.ReadCloser, error) {
	t.mu.Lock()
	file, ok := t.archives[path]
	t.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("package %s is not compiled", path)
	}
	return os.Open(file)
}

// named returns the import path of the package that is most likely meant by a name: the shortest whose last element it is. It
// is empty if there is none.
func (t *Toolchain) named(name string) (found string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for path := range t.archives {
		if strings.Contains(path, "internal") || strings.Contains(path, "vendor/") || filepath.Base(path) != name {
			continue
		}
		if found == "" || len(path) < len(found) || len(path) == len(found) && path < found {
			found = path
		}
	}
	return found
}

// Import returns the types of a package, compiling it first if no cell has used it and the worker does not hold it.
func (t *Toolchain) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if err := t.compile(context.Background(), path); err != nil {
		return nil, err
	}
	return t.gc.Import(path)
}

// compile compiles a package that no cell has used and the worker does not hold.
func (t *Toolchain) compile(ctx context.Context, path string) error {
	if t.has(path) {
		return nil
	}
	if path == "C" {
		return errors.New("a cell cannot hold C code; put it in a package of its own and import that")
	}
	t.mu.Lock()
	flags := t.flags
	t.mu.Unlock()
	list, err := ListPackages(ctx, t.Module, flags, path)
	if err != nil {
		return importError(path, err)
	}
	if changed := t.add(list); len(changed) > 0 {
		return fmt.Errorf("%s needs another version of %s than the session runs; restart the kernel", path, changed[0])
	}
	return nil
}

// has reports whether a package can be imported without compiling it first.
func (t *Toolchain) has(path string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.archives[path]
	return ok || path == "unsafe"
}

// whole reports whether every compiled package of the worker is still there.
func (t *Toolchain) whole() bool {
	for _, file := range t.worker {
		if _, err := os.Stat(file); err != nil {
			return false
		}
	}
	return true
}

// held reports whether the worker itself holds a package.
func (t *Toolchain) held(path string) bool {
	_, ok := t.worker[path]
	return ok || path == "unsafe"
}

// Table makes the named package functions, variables and types known to the direct evaluator; without it every cell is
// compiled.
func (t *Toolchain) Table(names []string) {
	t.table = make(map[string]bool, len(names))
	for _, name := range names {
		t.table[name] = true
	}
}

// importError shortens what go list says of a package that is not there.
func importError(path string, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "is not in std"):
		return fmt.Errorf("package %s is not in std", path)
	case strings.Contains(text, "no required module provides"), strings.Contains(text, "updates to go.mod needed"):
		return fmt.Errorf("no module of the session provides %s; add it with %%get %s", path, path)
	}
	return err
}

// Folder returns where the sources of a package are, "" for an unknown one.
func (t *Toolchain) Folder(path string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.folders[path]
}

// Paths lists every package that can be imported without compiling it first.
func (t *Toolchain) Paths() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.archives))
}

// Use sets the build flags for packages that are compiled from now on: the worker's and a go.mod of the session.
func (t *Toolchain) Use(flags []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flags = flags
}

// run executes one tool.
func (t *Toolchain) run(ctx context.Context, dir, tool string, args ...string) error {
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w\n%s", filepath.Base(tool), err, out)
	}
	return nil
}

// build compiles source, the package n of the session, and links it into a plugin in dir, where the earlier packages are.
func (t *Toolchain) build(ctx context.Context, dir string, n int, source string) (object string, err error) {
	t.mu.Lock()
	config := t.base
	t.mu.Unlock()
	name := func(suffix string) string { return filepath.Join(dir, fmt.Sprintf("c%d%s", n, suffix)) }
	var b strings.Builder
	b.WriteString(config)
	for i := range n {
		fmt.Fprintf(&b, "packagefile %s=%s\n", path(i+1), filepath.Join(dir, fmt.Sprintf("c%d.a", i+1)))
	}
	main := fmt.Sprintf("package main\n\nimport cell %q\n\nfunc Run(done func(int)) { cell.%s(done) }\n\nfunc main() {}\n", path(n), entry)
	for file, text := range map[string]string{name(".cfg"): b.String(), name(".go"): source, name("_main.go"): main} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	defer func() {
		for _, suffix := range []string{".cfg", ".go", "_main.go", "_main.a", ".tmp"} {
			_ = os.RemoveAll(name(suffix))
		}
	}()
	flags := []string{"-dynlink", "-pack", "-importcfg", name(".cfg"), "-trimpath", dir}
	if err := t.run(ctx, dir, t.compiler, append(flags, "-p", path(n), "-o", name(".a"), name(".go"))...); err != nil {
		return "", err
	}
	if err := unmark(name(".a")); err != nil {
		return "", err
	}
	plugin := fmt.Sprintf("session/p%d.%d", os.Getpid(), n)
	if err := t.run(ctx, dir, t.compiler, append(flags, "-p", plugin, "-o", name("_main.a"), name("_main.go"))...); err != nil {
		return "", err
	}
	tmp := name(".tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return "", err
	}
	// The Go linker would call gcc, which takes longer than everything else; ld alone does.
	err = t.run(ctx, dir, t.linker, "-buildmode=plugin", "-pluginpath", plugin, "-importcfg", name(".cfg"), "-s", "-w",
		"-checklinkname=0", "-tmpdir", tmp, "-extld", "true", "-o", name(".so"), name("_main.a"))
	if err != nil {
		return "", err
	}
	return name(".so"), t.run(ctx, dir, t.ld, "-shared", "-s", "-z", "norelro", "-z", "now", "-z", "nocopyreloc", "--hash-style=gnu",
		"-o", name(".so"), filepath.Join(tmp, "go.o"))
}
