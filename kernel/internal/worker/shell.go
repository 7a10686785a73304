package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/lohakit/notebook/kernel/internal/session"
)

// writer passes what a command prints on to a cell's output.
type writer struct {
	out  session.Output
	name string
}

func (w writer) Write(p []byte) (int, error) {
	w.out.Stream(w.name, string(p))
	return len(p), nil
}

// folder returns the working directory of the cells.
func (e *Engine) folder() string {
	if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", e.PID())); err == nil {
		return dir
	}
	dir, _ := os.Getwd()
	return dir
}

// command runs a program; an interrupt ends it and everything it has started.
func (e *Engine) command(ctx context.Context, out session.Output, dir, name string, args ...string) session.Result {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = writer{out, "stdout"}, writer{out, "stderr"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // for what it left running with our pipes
	if err := cmd.Start(); err != nil {
		return failed("CommandError", err.Error(), nil)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return failed("CommandError", fmt.Sprintf("%s: %s", filepath.Base(name), exit), nil)
		}
		return session.Result{}
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
		return failed("Interrupted", "the command was interrupted", nil)
	}
}

func shell(e *Engine, ctx context.Context, in call) session.Result {
	return e.command(ctx, in.out, e.folder(), "/bin/sh", "-c", in.args)
}

func bash(e *Engine, ctx context.Context, in call) session.Result {
	return e.command(ctx, in.out, e.folder(), "bash", "-c", in.body)
}

// get adds a module to the session: to a copy of the worker's go.mod, which stays as it is.
func get(e *Engine, ctx context.Context, in call) session.Result {
	if in.args == "" {
		return failed("MagicError", "%get needs a module, as in %get golang.org/x/text@v0.30.0", nil)
	}
	mod := filepath.Join(e.dir, "go.mod")
	if _, err := os.Stat(mod); err != nil {
		for _, name := range []string{"go.mod", "go.sum"} {
			text, err := os.ReadFile(filepath.Join(e.chain.Module, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(e.dir, name), text, 0o644)
			}
			if err != nil {
				return failed("MagicError", err.Error(), nil)
			}
		}
	}
	r := e.command(ctx, in.out, e.chain.Module, "go", append([]string{"get", "-modfile=" + mod}, strings.Fields(in.args)...)...)
	if r.Err == nil {
		e.chain.Use(append(buildFlags[:len(buildFlags):len(buildFlags)], "-modfile="+mod, "-mod=mod"))
	}
	return r
}
