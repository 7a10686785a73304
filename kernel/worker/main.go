// Command worker runs the cells of one notebook and holds their state: variables, models, tensors, compiled graphs. The
// kernel's front starts it, with orders on file descriptor 3, events on 4 and memory that
// both share on 5. The packages it is linked with can be imported by any cell without compiling anything.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/lohakit/notebook/kernel/internal/live"
	"github.com/lohakit/notebook/kernel/internal/serve"
	"github.com/lohakit/notebook/lohakit"
)

func main() {
	in, out := os.NewFile(3, "orders"), os.NewFile(4, "events")
	if _, err := in.Stat(); err != nil {
		fmt.Fprintln(os.Stderr, "worker: is started by the kernel, not by hand")
		os.Exit(2)
	}
	shared, err := live.Map(os.NewFile(5, "shared memory"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
	live.Share(shared)
	folders := folders()
	if err := serve.Serve(in, out, lohakit.SetContext, table); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
	for _, dir := range folders { // the front is gone, and where it was killed it has left them
		_ = os.RemoveAll(dir)
	}
}

// folders returns those that the front has made for the session: of the pipes, and of the compiled cells. Cells may change the
// environment, so it is called before any runs.
func folders() (list []string) {
	for _, name := range []string{protocol.GONB_PIPE_ENV, lohakit.CheckpointNote} {
		if dir := filepath.Dir(os.Getenv(name)); strings.HasPrefix(filepath.Base(dir), "lohakit-") {
			list = append(list, dir)
		}
	}
	return list
}
