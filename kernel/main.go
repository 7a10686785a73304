// Command kernel is the Jupyter kernel of lohakit: Go cells, compiled, in a worker process that keeps the session's state.
//
//	kernel install [--user | --sys-prefix | --prefix DIR]   build the worker and register the kernel with Jupyter
//	kernel uninstall [--user | --sys-prefix | --prefix DIR] remove it
//	kernel version                                          print the version
//	kernel run CONNECTION_FILE                              serve one notebook; Jupyter calls this
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/lohakit/notebook/kernel/internal/session"
	"github.com/lohakit/notebook/kernel/internal/wire"
)

const usage = `usage:
  kernel install [--user | --sys-prefix | --prefix DIR] [--module DIR]
  kernel uninstall [--user | --sys-prefix | --prefix DIR]
  kernel version
  kernel run CONNECTION_FILE
`

func main() {
	if err := command(os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "kernel:", err)
		}
		os.Exit(1)
	}
}

func command(args []string, out io.Writer) error {
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	switch name {
	case "install":
		place, err := parsePlace(name, args[1:])
		if err != nil {
			return err
		}
		return install(place, out)
	case "uninstall":
		place, err := parsePlace(name, args[1:])
		if err != nil {
			return err
		}
		return uninstall(place, out)
	case "version":
		fmt.Fprintf(out, "lohakit kernel %s, Jupyter protocol %s, %s %s/%s\n",
			session.Release, wire.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return nil
	case "run":
		if len(args) == 2 {
			return run(args[1])
		}
	case "help", "-h", "--help":
		fmt.Fprint(out, usage)
		return nil
	}
	return fmt.Errorf("what to do?\n%s", usage)
}
