package session

import (
	"context"
	"encoding/gob"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// fake is an engine whose cells are small commands, one per line: enough to drive every path of the session.
type fake struct {
	mu     sync.Mutex
	turn   sync.Mutex
	start  sync.Mutex // held while a worker starts
	held   chan bool  // releases a cell that holds
	killed chan string
	fed    chan string
	env    WorkerEnv
	pipe   *gob.Encoder // to the front, as gonbui has it
	latest Output       // where what the worker prints goes
	closed bool
}

func newFake(env WorkerEnv) (Engine, error) {
	f := &fake{held: make(chan bool), killed: make(chan string, 100), fed: make(chan string, 100), env: env}
	return f, f.open()
}

// open opens the pipe through which a worker's gonbui displays.
func (f *fake) open() error {
	vars, err := f.env()
	if err != nil {
		return err
	}
	for _, v := range vars {
		if path, ok := strings.CutPrefix(v, protocol.GONB_PIPE_ENV+"="); ok {
			pipe, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			f.pipe = gob.NewEncoder(pipe)
		}
	}
	return nil
}

// gonbui displays one thing as a cell does with package gonbui.
func (f *fake) gonbui(kind protocol.MIMEType, v any, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.pipe.Encode(&protocol.DisplayData{Data: map[protocol.MIMEType]any{kind: v}, DisplayID: id}); err != nil {
		panic(err)
	}
}

func (f *fake) Execute(ctx context.Context, req Request, out Output) (r Result) {
	if strings.HasPrefix(req.Code, "turn") { // as in an engine that runs one cell at a time
		f.turn.Lock()
		defer f.turn.Unlock()
	}
	out.Begin()
	f.mu.Lock()
	f.latest = out
	f.mu.Unlock()
	r.Expressions = map[string]Expression{}
	for label, x := range req.Expressions {
		if x == "bad" {
			r.Expressions[label] = Expression{Err: &CellError{Name: "E", Value: "bad"}}
		} else {
			r.Expressions[label] = Expression{Value: map[string]any{"text/plain": x}}
		}
	}
	for line := range strings.Lines(req.Code) {
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch verb {
		case "print":
			out.Stream("stdout", rest+"\n")
		case "warn":
			out.Stream("stderr", rest+"\n")
		case "flood":
			for i := range 1_000_000 {
				out.Stream("stdout", fmt.Sprintln(i))
				if ctx.Err() != nil {
					r.Err = &CellError{Name: "Interrupted", Value: "stopped"}
					return r
				}
			}
		case "number":
			out.Stream("stdout", fmt.Sprintln(req.Count))
		case "value":
			r.Value = map[string]any{"text/plain": rest}
		case "html":
			out.Display(map[string]any{"text/html": rest}, nil, "", false)
		case "update":
			out.Display(map[string]any{"text/html": rest}, nil, "u", false)
		case "clear":
			out.Clear(rest == "wait")
		case "later":
			go func() { time.Sleep(150 * time.Millisecond); out.Stream("stdout", rest+"\n") }()
		case "input":
			line, err := out.Input(rest, false)
			if err != nil {
				r.Err = &CellError{Name: "InputError", Value: err.Error()}
				return r
			}
			out.Stream("stdout", "got "+line+"\n")
		case "hold":
			<-f.held
		case "gonbui": // gonbui.UpdateHTML
			f.gonbui(protocol.MIMETextHTML, rest, "id "+rest)
		case "request": // gonbui.RequestInput
			f.gonbui(protocol.MIMEJupyterInput, protocol.InputRequest{Prompt: rest}, "")
		case "read": // standard input
			if len(f.fed) == 0 {
				line, err := out.Input("", false)
				if err == nil {
					f.Feed(line + "\n")
				} else if err != ErrFed {
					r.Err = &CellError{Name: "InputError", Value: err.Error()}
					return r
				}
			}
			out.Stream("stdout", "read "+<-f.fed)
		case "fail":
			r.Err = &CellError{Name: "Panic", Value: rest, Traceback: []string{"Panic: " + rest}}
			return r
		case "sleep":
			select {
			case <-ctx.Done():
				r.Err = &CellError{Name: "Interrupted", Value: "stopped"}
				return r
			case <-f.killed:
				return Result{Died: true, Err: &CellError{Name: "WorkerDied", Value: "killed"}}
			case <-time.After(10 * time.Minute): // longer than any test on a busy machine
			}
		case "native": // a call that no interrupt reaches
			<-f.killed
			return Result{Died: true, Err: &CellError{Name: "WorkerDied", Value: "killed"}}
		}
	}
	return r
}

func (f *fake) Complete(_ context.Context, code string, cursor int) Completion {
	start := strings.LastIndexAny(code[:cursor], " \n.") + 1
	return Completion{Start: start, End: cursor, Matches: []Match{{Text: code[start:cursor] + "Done", Type: "function", Signature: "func()"}}}
}

func (f *fake) Inspect(_ context.Context, code string, cursor, detail int) (map[string]any, bool) {
	return map[string]any{"text/plain": fmt.Sprint(code[:cursor], "|", detail)}, !strings.Contains(code, "unknown")
}

func (f *fake) IsComplete(code string) (string, string) {
	if strings.Count(code, "{") > strings.Count(code, "}") {
		return "incomplete", "\t"
	}
	return "complete", ""
}

func (f *fake) Drain()             {}
func (f *fake) Feed(text string)   { f.fed <- text }
func (f *fake) Kill(reason string) { f.killed <- reason }
func (f *fake) PID() int           { f.start.Lock(); defer f.start.Unlock(); return os.Getpid() }
func (f *fake) Close(bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}
