// Package serve is the inside of the worker process: it takes orders from the front, loads compiled cells and runs them, and
// tells what became of them.
package serve

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"plugin"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lohakit/notebook/kernel/internal/direct"
	"github.com/lohakit/notebook/kernel/internal/hook"
	"github.com/lohakit/notebook/kernel/internal/live"
)

// server is the worker's state: the cells loaded so far and the runs under way.
type server struct {
	mu     sync.Mutex
	out    *gob.Encoder
	cells  map[int]func(*live.Exec)
	direct func(*live.Exec, *direct.Program)
	runs   map[int]*live.Exec
	gone   map[int]bool // runs that have been answered
	early  map[int]bool // runs that were interrupted before they began
	fed    atomic.Bool  // standard input has been written to since it was asked for
}

// Serve takes orders from in until it ends, and writes events to out. SetContext is handed the function that gives the
// context of the running cell; table lists what cells that are not compiled can use.
func Serve(in io.Reader, out io.Writer, setContext func(func() context.Context), table []direct.Entry) error {
	debug.SetMaxStack(256 << 20)                                   // a recursion without end is found in a second
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("800"), 0) // if memory runs out, the worker goes, not the front
	setContext(live.Context)
	s := &server{
		out: gob.NewEncoder(out), direct: direct.New(table), cells: map[int]func(*live.Exec){},
		runs: map[int]*live.Exec{}, gone: map[int]bool{}, early: map[int]bool{},
	}
	live.SetReport(func(f *live.Failure) { fmt.Fprint(os.Stderr, f) })
	// An interrupt is for the programs that cells start: see stop. Output that nobody reads any more is no reason to die before in ends.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGPIPE)
	go s.watchInput()
	s.tell(live.Event{Is: live.Ready})
	dec := gob.NewDecoder(in)
	for {
		var o live.Order
		if err := dec.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // the front has ended, or was killed as it wrote
				return nil
			}
			return err
		}
		switch o.Do {
		case live.Run:
			go s.run(o)
		case live.Stop:
			go s.stop(o.ID)
		case live.Mark:
			mark(o.ID)
		case live.Fed:
			s.fed.Store(true)
		}
	}
}

func (s *server) tell(e live.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.out.Encode(e) // a front that is gone needs no event
}

// streams are what cells print to.
var streams = []io.Writer{os.Stdout, os.Stderr}

// mark lets the front know that it has read everything written so far.
func mark(id int) {
	for _, w := range streams {
		_, _ = io.WriteString(w, live.Sync(id))
	}
}

// run loads one cell and runs it to its end. An interrupt that comes while it is loaded ends it before it begins.
func (s *server) run(o live.Order) {
	var problem error
	e, done := live.Start(o.ID, func(e *live.Exec) {
		var cell func(*live.Exec)
		if cell, problem = s.load(o); problem != nil {
			return
		}
		hook.Check()
		e.Done(0)
		cell(e)
	})
	s.mu.Lock()
	s.runs[o.ID] = e
	early := s.early[o.ID]
	delete(s.early, o.ID)
	s.mu.Unlock()
	if early {
		go s.stop(o.ID)
	}
	f := <-done
	if f != nil && f.Kind != live.Interrupted && e.Reached() < 0 {
		problem = fmt.Errorf("a package that it imports failed to initialise: %s; restart the kernel before importing it again", f.Text)
	}
	s.end(o.ID, e, f, problem)
}

// end answers a run, once.
func (s *server) end(id int, e *live.Exec, f *live.Failure, problem error) {
	s.mu.Lock()
	again := s.gone[id]
	s.gone[id] = true
	delete(s.runs, id)
	s.mu.Unlock()
	if again {
		return
	}
	mark(id)
	event := live.Event{ID: id, Is: live.Ended, Failure: f, Bundle: e.Bundle, Reached: e.Reached()}
	if problem != nil {
		event.Problem = problem.Error()
	}
	s.tell(event)
}

// load returns the function that runs a cell.
func (s *server) load(o live.Order) (func(*live.Exec), error) {
	if o.Direct != nil {
		var program direct.Program
		if err := json.Unmarshal(o.Direct, &program); err != nil {
			return nil, err
		}
		return func(e *live.Exec) { s.direct(e, &program) }, nil
	}
	if o.Object != "" {
		p, err := plugin.Open(o.Object)
		trim(o.Object)
		_ = os.Remove(o.Object)
		if err != nil {
			return nil, err
		}
		run, err := p.Lookup("Run")
		if err != nil {
			return nil, err
		}
		cell, ok := run.(func(func(int)))
		if !ok {
			return nil, fmt.Errorf("the cell was compiled for another worker: %T", run)
		}
		s.mu.Lock()
		s.cells[o.N] = func(e *live.Exec) { cell(e.Done) }
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	cell, ok := s.cells[o.N]
	if !ok {
		return nil, fmt.Errorf("cell package %d is not loaded", o.N)
	}
	return cell, nil
}

// stop interrupts a run. One that sits in a blocking operation of Go is answered at once and left behind: its goroutine
// ends when it wakes up. One that waits for a program that it has started is waited for after the program was interrupted, as in
// a terminal, and one inside a native call until that returns.
func (s *server) stop(id int) {
	s.mu.Lock()
	e := s.runs[id]
	early := e == nil && !s.gone[id]
	if early {
		s.early[id] = true
	}
	s.mu.Unlock()
	if early { // what the front has asked stands until the cell begins
		return
	}
	live.Withdraw(id)
	if e == nil {
		return
	}
	e.Stop()
	begin, blocked, signalled := time.Now(), 0, false
	for ; ; time.Sleep(20 * time.Millisecond) {
		s.mu.Lock()
		over := s.gone[id]
		s.mu.Unlock()
		if over {
			return
		}
		state, calls := e.State()
		switch state {
		case "syscall":
			blocked = 0
			if !signalled && strings.Contains(calls, "os.(*Process).Wait(") {
				signalled = true
				_ = syscall.Kill(0, syscall.SIGINT)
			}
		case "running", "runnable", "":
			blocked = 0
		default:
			blocked++
		}
		if blocked >= 3 && time.Since(begin) > 150*time.Millisecond {
			text := "the cell was interrupted while it waited (" + state + "); what it had done stays"
			if e.Reached() < 0 {
				text = "the cell was interrupted while a package that it imports was initialised (" + state + "); restart the kernel before importing it again"
			}
			s.end(id, e, &live.Failure{Kind: live.Interrupted, Text: text}, nil)
			return
		}
	}
}
