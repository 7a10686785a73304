// Command worker runs the cells of one notebook and holds their state: variables, models, tensors, compiled graphs. The
// kernel's front starts it, with orders on file descriptor 3 and events on 4. The packages it is linked with can be
// imported by any cell without compiling anything.
package main

import (
	"fmt"
	"os"

	"github.com/lohakit/notebook/kernel/internal/serve"
	"github.com/lohakit/notebook/lohakit"
)

func main() {
	in, out := os.NewFile(3, "orders"), os.NewFile(4, "events")
	if _, err := in.Stat(); err != nil {
		fmt.Fprintln(os.Stderr, "worker: is started by the kernel, not by hand")
		os.Exit(2)
	}
	if err := serve.Serve(in, out, lohakit.SetContext, table); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}
