// Package worker keeps the worker process of a session: it starts it, sends it the cells that package cell has compiled,
// passes on what it prints, interrupts it, and starts another when it dies.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lohakit/notebook/kernel/internal/assist"
	"github.com/lohakit/notebook/kernel/internal/cell"
	"github.com/lohakit/notebook/kernel/internal/live"
	"github.com/lohakit/notebook/kernel/internal/session"
	"github.com/lohakit/notebook/lohakit/fault"
)

// always is imported in every session unasked.
var always = []string{"github.com/lohakit/notebook/lohakit", "fmt"}

// Options says where the worker is and what it needs to start.
type Options struct {
	Dir     string            // where [Build] put it
	Env     session.WorkerEnv // called before every start of a worker; may be nil
	Compile bool              // compile every cell, also those that the direct evaluator could run
}

// Engine runs the cells of one session in a worker process. It implements [session.Engine].
type Engine struct {
	options Options
	chain   *cell.Toolchain
	dir     string // the session's compiled cells

	turn    sync.Mutex // held by the cell that runs
	mu      sync.Mutex
	cells   *cell.Session
	proc    *process
	spare   chan started // a worker that is being started
	out     session.Output
	ended   atomic.Bool
	running atomic.Int64 // nanoseconds that cells have run, without compiling
}

// started is a worker process or why there is none.
type started struct {
	proc *process
	err  error
}

// New begins a session with a worker that [Build] has built.
func New(o Options) (*Engine, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	module, err := os.ReadFile(filepath.Join(o.Dir, "module"))
	if err != nil {
		return nil, fault.New(fault.Missing, "start worker", o.Dir, "it is not built").Fix("run kernel install")
	}
	e := &Engine{options: o}
	if e.dir, err = os.MkdirTemp("", "lohakit-session-"); err != nil {
		return nil, err
	}
	e.launch()
	if e.chain, err = cell.NewToolchain(string(module), filepath.Join(o.Dir, "packages"), buildFlags); err != nil {
		return nil, err
	}
	if table, err := os.ReadFile(filepath.Join(o.Dir, "table")); err == nil && !o.Compile {
		e.chain.Table(strings.Split(string(table), "\n"))
	}
	e.cells, err = cell.New(e.chain, e.dir, always...)
	return e, err
}

// launch starts a worker in the background.
func (e *Engine) launch() {
	spare := make(chan started, 1)
	e.spare = spare
	go func() {
		var env []string
		var err error
		if e.options.Env != nil {
			env, err = e.options.Env()
		}
		env = append(env, "LOHAKIT_CHECKPOINT_NOTE="+e.checkpoint())
		var p *process
		if err == nil {
			p, err = start(filepath.Join(e.options.Dir, "worker"), env)
		}
		spare <- started{p, err}
	}()
}

// process returns the living worker.
func (e *Engine) process() (*process, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.proc != nil {
		select {
		case <-e.proc.dead:
			e.bury()
		default:
			return e.proc, nil
		}
	}
	if e.ended.Load() {
		return nil, errors.New("the session has ended")
	}
	if e.spare == nil {
		e.launch()
	}
	s := <-e.spare
	e.spare, e.proc = nil, s.proc
	if s.err == nil {
		go e.watch(s.proc)
	}
	return s.proc, s.err
}

// watch waits for a worker's death.
func (e *Engine) watch(p *process) {
	<-p.dead
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.proc == p && !e.ended.Load() {
		e.bury()
	}
}

// bury forgets a worker that is dead, and the session's values with it, and starts another; mu is held.
func (e *Engine) bury() {
	if cells, err := cell.New(e.chain, e.dir, always...); err == nil {
		cells.Continue(e.cells)
		e.cells = cells
	}
	e.proc = nil
	e.launch()
}

// session returns what the cells so far have declared.
func (e *Engine) session() *cell.Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.cells
}

// Execute runs one cell to its end; see [session.Engine].
func (e *Engine) Execute(ctx context.Context, req session.Request, out session.Output) session.Result {
	e.turn.Lock()
	defer e.turn.Unlock()
	if ctx.Err() != nil {
		return failed("Interrupted", "the cell was interrupted before it ran", nil)
	}
	out.Begin()
	name := fmt.Sprintf("Cell[%d]", req.Count)
	result, ok := e.magic(ctx, name, req, out)
	if !ok {
		result = e.code(ctx, name, req.Code, out)
	}
	if req.Silent {
		result.Value = nil
	}
	if result.Err == nil && len(req.Expressions) > 0 {
		result.Expressions = map[string]session.Expression{}
		for label, text := range req.Expressions {
			r := e.code(ctx, label, text, out)
			result.Expressions[label] = session.Expression{Value: r.Value, Err: r.Err}
		}
	}
	return result
}

// code compiles and runs Go.
func (e *Engine) code(ctx context.Context, name, text string, out session.Output) session.Result {
	if strings.TrimSpace(text) == "" {
		return session.Result{}
	}
	p, err := e.process()
	if err != nil {
		return failed("WorkerError", err.Error(), nil)
	}
	p.out.Store(&out)
	cells := e.session()
	c, err := cells.Compile(ctx, name, text)
	if err != nil {
		return compileFailure(ctx, err)
	}
	order := live.Order{Object: c.Object, N: c.N}
	if c.Program != nil {
		if order.Direct, err = json.Marshal(c.Program); err != nil {
			return failed("CompileError", err.Error(), nil)
		}
	}
	begin := time.Now()
	defer func() { e.running.Add(int64(time.Since(begin))) }()
	id, events := p.run(order)
	defer p.forget(id)
	interrupt := ctx.Done()
	refused := make(chan error, 16)
	var noInput error
	for {
		select {
		case err := <-refused: // an empty line lets the cell's read return, and the interrupt ends the cell then
			if noInput == nil {
				noInput = err
				p.stop(id)
			}
			p.feed("\n")
		case <-interrupt:
			interrupt = nil
			p.stop(id)
		case <-p.dead:
			return e.death(p)
		case event := <-events:
			switch event.Is {
			case live.Stdin:
				go answer(p, out, refused)
			case live.Ended:
				p.drain(id)
				if event.Problem != "" || event.Reached < 0 {
					cells.Discard(c)
				} else {
					cells.Commit(c, event.Reached)
				}
				if event.Problem != "" {
					return failed("LoadError", "the compiled cell could not be loaded: "+event.Problem, nil)
				}
				if noInput != nil && ctx.Err() == nil {
					return failed("InputError", noInput.Error(), nil)
				}
				if event.Failure != nil {
					return failure(event.Failure, cells)
				}
				return session.Result{Value: bundle(event.Bundle)}
			}
		}
	}
}

// answer asks the user for a line that the cell waits for; refused gets why there is none.
func answer(p *process, out session.Output, refused chan<- error) {
	line, err := out.Input("", false)
	if err == session.ErrFed {
		return
	}
	if err != nil {
		select {
		case refused <- err:
		default: // the cell has ended
		}
		return
	}
	p.feed(line + "\n")
}

// bundle turns a value's forms into a MIME bundle.
func bundle(items []live.Item) map[string]any {
	if len(items) == 0 {
		return nil
	}
	out := map[string]any{}
	for _, it := range items {
		switch {
		case it.JSON != nil:
			out[it.MIME] = json.RawMessage(it.JSON)
		case it.Data != nil:
			out[it.MIME] = it.Data
		default:
			out[it.MIME] = cell.Plain(it.Text)
		}
	}
	return out
}

// death is the result of a cell whose worker died.
func (e *Engine) death(p *process) session.Result {
	text := "the worker died: " + p.obituary() + "; the session's values are lost, and a new worker is ready"
	if path, err := os.ReadFile(e.checkpoint()); err == nil && len(path) > 0 {
		text += "; resume from " + strings.TrimSpace(string(path))
	}
	r := failed("WorkerDied", text, nil)
	r.Died = true
	return r
}

// checkpoint is the file in which lohakit notes where it saved a run last.
func (e *Engine) checkpoint() string { return filepath.Join(e.dir, "checkpoint") }

// Complete lists what may stand at the cursor; see [session.Engine].
func (e *Engine) Complete(ctx context.Context, code string, cursor int) session.Completion {
	return assist.Complete(ctx, e.session(), code, cursor, magicNames())
}

// Inspect describes what stands at the cursor; see [session.Engine].
func (e *Engine) Inspect(ctx context.Context, code string, cursor, detail int) (map[string]any, bool) {
	return assist.Inspect(ctx, e.session(), code, cursor, detail)
}

// IsComplete says whether code could be run now; see [session.Engine].
func (e *Engine) IsComplete(code string) (status, indent string) { return assist.IsComplete(code) }

// Drain waits until what the worker has printed is passed on; see [session.Engine].
func (e *Engine) Drain() {
	if p := e.living(); p != nil {
		p.mark()
	}
}

// living returns the worker if there is one.
func (e *Engine) living() *process {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.proc
}

// Feed appends text to the worker's standard input.
func (e *Engine) Feed(text string) {
	if p := e.living(); p != nil {
		p.feed(text)
	}
}

// Kill ends the worker at once; see [session.Engine].
func (e *Engine) Kill(reason string) {
	if p := e.living(); p != nil {
		p.end(reason)
	}
}

// PID is the process number of the living worker, 0 while there is none.
func (e *Engine) PID() int {
	if p := e.living(); p != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// Close ends the worker and removes the session's compiled cells.
func (e *Engine) Close(restart bool) error {
	e.ended.Store(true)
	e.mu.Lock()
	p, spare := e.proc, e.spare
	e.proc, e.spare = nil, nil
	e.mu.Unlock()
	if spare != nil {
		if s := <-spare; s.err == nil {
			p = s.proc
		}
	}
	if p != nil {
		p.end("the session ended")
		<-p.dead
	}
	return os.RemoveAll(e.dir)
}

// forget begins the session's names anew; the worker goes on.
func (e *Engine) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if cells, err := cell.New(e.chain, e.dir, always...); err == nil {
		cells.Continue(e.cells)
		e.cells = cells
	}
}
