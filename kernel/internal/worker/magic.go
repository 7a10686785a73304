package worker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lohakit/notebook/kernel/internal/session"
)

// magic is a line that is not Go.
type magic struct {
	name, args, help string
	run              func(e *Engine, ctx context.Context, in call) session.Result
}

// call is one use of a magic.
type call struct {
	name string // of the cell
	args string // the rest of the line
	body string // the lines below, after what is behind %time, all at their place in the cell
	out  session.Output
}

// magics lists every magic; %help prints it. Filled in by init, since help refers to it.
var magics []magic

func init() {
	magics = []magic{
		{"%help", "", "list the magics", help},
		{"%time", "[statement]", "run the statement, or the rest of the cell, and say how long it took", timed},
		{"%%time", "", "the same for the rest of the cell", timed},
		{"%who", "", "list what the session has declared", who},
		{"%reset", "", "forget everything: a new worker without variables, types or imports", reset},
		{"%get", "module[@version]", "add a module to the session, so that cells can import its packages", get},
		{"!", "command", "run a shell command and show what it prints", shell},
		{"%%bash", "", "run the rest of the cell with bash", bash},
		{"%%writefile", "[-a] path", "write the rest of the cell to a file; with -a append it", writeFile},
	}
}

// magicNames lists the magics for completion.
func magicNames() []string {
	var names []string
	for _, m := range magics {
		names = append(names, m.name)
	}
	return names
}

// elsewhere names what does the work of magics that other kernels have.
var elsewhere = map[string]string{
	"%cd": "os.Chdir changes the folder", "%pwd": "os.Getwd tells the folder", "%ls": "write !ls", "%env": "os.Getenv and os.Setenv do that",
	"%timeit": "%time runs a statement once, testing.Benchmark often", "%pip": "%get adds a module", "%run": "write !go run, or import the package",
	"%%go": "a cell is Go", "%%sh": "write %%bash", "%whos": "write %who",
}

// magic runs the magics that a cell begins with, and then the rest of the cell; false if it begins with none. One that takes the cell's
// other lines has to be the first.
func (e *Engine) magic(ctx context.Context, name string, req session.Request, out session.Output) (session.Result, bool) {
	var result session.Result
	blank, rest, any := "", req.Code, false
	for {
		line, below, _ := strings.Cut(rest, "\n")
		text := strings.TrimSpace(line)
		if !strings.HasPrefix(text, "%") && !strings.HasPrefix(text, "!") {
			if text == "" && below != "" && any {
				blank, rest = blank+"\n", below
				continue
			}
			break
		}
		any = true
		m, args := find(text)
		if m == nil {
			word, _, _ := strings.Cut(text, " ")
			if instead := elsewhere[word]; instead != "" {
				return failed("MagicError", word+" is not a magic; "+instead, nil), true
			}
			return failed("MagicError", word+" is not a magic; %help lists them", nil), true
		}
		whole := strings.HasPrefix(m.name, "%%") || m.name == "%time" && args == ""
		in := call{name: name, args: args, body: blank + "\n" + below, out: out}
		if strings.HasSuffix(m.name, "%time") { // what is behind it is Go too
			in.body = blank + strings.Repeat(" ", len(strings.TrimRight(line, " \t\r"))-len(args)) + args
			if whole {
				in.body += "\n" + below
			}
		}
		result = m.run(e, ctx, in)
		if whole || result.Err != nil {
			return result, true
		}
		blank, rest = blank+"\n", below
	}
	if !any {
		return result, false
	}
	if strings.TrimSpace(rest) != "" {
		result = e.code(ctx, name, blank+rest, out)
	}
	return result, true
}

// find returns the magic of a line and its arguments.
func find(line string) (*magic, string) {
	if rest, ok := strings.CutPrefix(line, "!"); ok {
		line = "! " + rest
	}
	name, args, _ := strings.Cut(line, " ")
	for i := range magics {
		if magics[i].name == name {
			return &magics[i], strings.TrimSpace(args)
		}
	}
	return nil, ""
}

func help(_ *Engine, _ context.Context, in call) session.Result {
	var b strings.Builder
	b.WriteString("A cell is Go: declarations and statements in any order. Its last expression is shown; end it with ; to hide it.\n")
	b.WriteString("name? shows what is known of a name, name?? its source too. These lines are not Go; they come first in a cell:\n\n")
	for _, m := range magics {
		fmt.Fprintf(&b, "  %-26s %s\n", strings.TrimSpace(m.name+" "+m.args), m.help)
	}
	in.out.Stream("stdout", b.String())
	return session.Result{}
}

func timed(e *Engine, ctx context.Context, in call) session.Result {
	spent := e.running.Load()
	begin := time.Now()
	r := e.code(ctx, in.name, in.body, in.out)
	ran := time.Duration(e.running.Load() - spent)
	in.out.Stream("stdout", fmt.Sprintf("ran for %s, and took %s to compile\n", round(ran), round(time.Since(begin)-ran)))
	return r
}

// round leaves three digits or so.
func round(d time.Duration) time.Duration {
	for unit := time.Nanosecond; ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}

func who(e *Engine, _ context.Context, in call) session.Result {
	names := e.session().Names()
	if len(names) == 0 {
		in.out.Stream("stdout", "nothing is declared yet\n")
	}
	for _, n := range names {
		in.out.Stream("stdout", fmt.Sprintf("%-16s %-8s %s\n", n.Name, n.Kind, n.Type))
	}
	return session.Result{}
}

func reset(e *Engine, _ context.Context, _ call) session.Result {
	if p := e.living(); p != nil {
		p.end("the session was reset")
		<-p.dead
	}
	e.mu.Lock()
	e.proc = nil
	e.mu.Unlock()
	e.forget()
	return session.Result{}
}

func writeFile(e *Engine, _ context.Context, in call) session.Result {
	path, flags := in.args, os.O_CREATE|os.O_WRONLY|os.O_TRUNC
	if rest, ok := strings.CutPrefix(path, "-a "); ok {
		path, flags = strings.TrimSpace(rest), os.O_CREATE|os.O_WRONLY|os.O_APPEND
	}
	if path == "" {
		return failed("MagicError", "%%writefile needs the path of the file", nil)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(e.folder(), path)
	}
	text := strings.TrimLeft(in.body, "\n")
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	file, err := os.OpenFile(path, flags, 0o644)
	if err == nil {
		_, err = file.WriteString(text)
		if e := file.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return failed("MagicError", err.Error(), nil)
	}
	in.out.Stream("stdout", fmt.Sprintf("wrote %d bytes to %s\n", len(text), in.args))
	return session.Result{}
}
