package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/lohakit/notebook/kernel/internal/wire"
	"github.com/lohakit/notebook/kernel/internal/worker"
	"github.com/lohakit/notebook/lohakit/fault"
)

// kernelName is the name of the kernelspec, as in `jupyter console --kernel lohakit`.
const kernelName = "lohakit"

// modulePath is the module whose packages the cells use; the worker is built from its checkout.
const modulePath = "github.com/lohakit/notebook"

// place says where the kernelspec goes and what the worker is built from.
type place struct {
	spec   string // the kernelspec's directory
	module string // the checkout of this module
}

func parsePlace(name string, args []string) (place, error) {
	flags := flag.NewFlagSet("kernel "+name, flag.ContinueOnError)
	prefix := flags.String("prefix", "", "use `DIR`/share/jupyter/kernels")
	sys := flags.Bool("sys-prefix", false, "use the Python environment that is active")
	user := flags.Bool("user", false, "use the user's own directory (the default)")
	module := flags.String("module", "", "checkout of "+modulePath+" to build from (default: the one around the working directory or this program)")
	if err := flags.Parse(args); err != nil {
		return place{}, err
	}
	if flags.NArg() > 0 {
		return place{}, fmt.Errorf("%s takes no argument %q", name, flags.Arg(0))
	}
	if n := btoi(*prefix != "") + btoi(*sys) + btoi(*user); n > 1 {
		return place{}, fmt.Errorf("--prefix, --sys-prefix and --user exclude each other")
	}
	data, err := dataDir(*prefix, *sys)
	if err != nil {
		return place{}, err
	}
	spec, err := filepath.Abs(filepath.Join(data, "kernels", kernelName))
	return place{spec: spec, module: *module}, err
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// dataDir is Jupyter's data directory: under a prefix, under the active Python environment, or the user's.
func dataDir(prefix string, sys bool) (string, error) {
	if sys {
		for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
			if prefix == "" {
				prefix = os.Getenv(name)
			}
		}
		if prefix == "" {
			out, err := exec.Command("python3", "-c", "import sys; print(sys.prefix)").Output()
			if err != nil {
				return "", fmt.Errorf("--sys-prefix needs an active Python environment: %w; or name one with --prefix", err)
			}
			prefix = strings.TrimSpace(string(out))
		}
	}
	if prefix != "" {
		return filepath.Join(prefix, "share", "jupyter"), nil
	}
	if dir := os.Getenv("JUPYTER_DATA_DIR"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Jupyter"), nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "jupyter"), nil
	}
	return filepath.Join(home, ".local", "share", "jupyter"), nil
}

// spec is kernel.json.
type spec struct {
	Argv            []string          `json:"argv"`
	DisplayName     string            `json:"display_name"`
	Language        string            `json:"language"`
	InterruptMode   string            `json:"interrupt_mode"`
	ProtocolVersion string            `json:"kernel_protocol_version"`
	Env             map[string]string `json:"env"`
	Metadata        map[string]any    `json:"metadata"`
}

// environment is what every session is told, so that a notebook may lie in any folder: where Go is, where the XLA plugins are (after the
// folders that the user's own variable names), where the shipped models are. The names are those of lohakit/xla and lohakit/world,
// which the front does not link.
func environment(module, goTool string) map[string]string {
	return map[string]string{
		goVariable:                 goTool,
		"PJRT_PLUGIN_LIBRARY_PATH": "${PJRT_PLUGIN_LIBRARY_PATH}" + string(filepath.ListSeparator) + filepath.Join(module, ".xla"),
		"LOHAKIT_WORLD":            filepath.Join(module, "lohakit", "world", "models"),
	}
}

// install builds the worker, copies this program and the logos into the kernelspec's directory, and writes kernel.json
// last, so that Jupyter never sees half a kernel.
func install(p place, out io.Writer) error {
	module, err := findModule(p.module)
	if err != nil {
		return err
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return fault.New(fault.Missing, "install kernel", "go", "%w", err).Fix("install Go from https://go.dev/dl and put it on PATH")
	}
	if err := os.MkdirAll(p.spec, 0o755); err != nil {
		return fault.New(fault.IO, "install kernel", p.spec, "%w", err).Fix("choose another place with --prefix, --sys-prefix or --user")
	}
	fmt.Fprintln(out, "building the worker from", module, "(the first time takes a minute)")
	if err := worker.Build(context.Background(), worker.BuildOptions{Module: module, Dir: workerDir(p.spec), Log: out}); err != nil {
		return err
	}
	program := filepath.Join(p.spec, "kernel")
	if err := copySelf(program); err != nil {
		return err
	}
	content, err := json.MarshalIndent(spec{
		Argv: []string{program, "run", "{connection_file}"}, DisplayName: "Go (lohakit)", Language: "go",
		InterruptMode: "message", ProtocolVersion: wire.Version,
		Env: environment(module, goTool), Metadata: map[string]any{"debugger": false},
	}, "", "  ")
	if err != nil {
		return err
	}
	files := []struct {
		name string
		data []byte
	}{
		{"logo-32x32.png", logoPNG(32)}, {"logo-64x64.png", logoPNG(64)}, {"logo-svg.svg", logoSVG()},
		{"kernel.json", append(content, '\n')},
	}
	for _, f := range files {
		if err := replace(filepath.Join(p.spec, f.name), f.data, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "installed kernel", kernelName, "in", p.spec)
	return nil
}

// goVariable holds the path of the go command that the worker was built with: a notebook server started from a menu often has
// another PATH than a terminal.
const goVariable = "LOHAKIT_GO"

// workerDir is where the worker of a kernelspec is.
func workerDir(spec string) string { return filepath.Join(spec, "worker") }

func uninstall(p place, out io.Writer) error {
	if _, err := os.Stat(p.spec); err != nil { // without kernel.json it is an install that did not end
		return fault.New(fault.NotExist, "uninstall kernel", p.spec, "no kernel is installed there").
			Fix("run jupyter kernelspec list to see where it is")
	}
	if err := os.RemoveAll(p.spec); err != nil {
		return err
	}
	fmt.Fprintln(out, "removed kernel", kernelName, "from", p.spec)
	return nil
}

// findModule returns the checkout to build from: dir, or the one around the working directory or this program.
func findModule(dir string) (string, error) {
	starts := []string{dir}
	if dir == "" {
		wd, _ := os.Getwd()
		self, _ := os.Executable()
		starts = []string{wd, filepath.Dir(self)}
	}
	for _, start := range starts {
		at, err := filepath.Abs(start)
		for err == nil {
			if isModule(filepath.Join(at, "go.mod")) {
				return at, nil
			}
			parent := filepath.Dir(at)
			if parent == at {
				break
			}
			at = parent
		}
	}
	return "", fault.New(fault.NotExist, "install kernel", modulePath, "no checkout around %s", strings.Join(starts, " or ")).
		Fix("run it inside the checkout, or name the checkout with --module")
}

func isModule(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.TrimSpace(lines.Text()) == "module "+modulePath {
			return true
		}
	}
	return false
}

// copySelf copies this program; a kernel that runs from the old copy goes on.
func copySelf(to string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	return replace(to, data, 0o755)
}

// replace writes a file under another name and renames it.
func replace(path string, data []byte, mode os.FileMode) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, mode); err != nil {
		return fault.New(fault.IO, "install kernel", path, "%w", err)
	}
	return os.Rename(temporary, path)
}
