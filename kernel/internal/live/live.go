// Package live runs cells inside the worker: each in goroutines that an interrupt reaches, with panics, left-out errors and
// the value to show caught. Compiled cells reach it through package hook.
package live

import (
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/lohakit/notebook/kernel/internal/hook"
)

// Exec is one run of a cell.
type Exec struct {
	// Bundle is the value of the cell's last expression as it is shown; nil without one.
	Bundle []Item

	id      int
	ctx     context.Context
	cancel  context.CancelFunc
	done    atomic.Int64 // statements whose variables are assigned; -1 before the first begins
	stopped atomic.Bool
	at      Frame        // the current statement of a cell that is not compiled
	stacks  []byte       // where State has the runtime write
	routine atomic.Int64 // the number of the cell's own goroutine

	mu      sync.Mutex
	running int  // goroutines that carry the run's label
	counted bool // in hook.Stopping
}

// thread is the state of one goroutine of a run.
type thread struct {
	exec    *Exec
	stopped time.Time // when it was first told to end
}

var (
	threads sync.Map // label pointer to *thread, while the goroutine runs
	parents sync.Map // the same, while a goroutine that it has begun may not have had its first turn
	count   atomic.Int64
	latest  atomic.Pointer[Exec]
)

//go:linkname getLabel runtime/pprof.runtime_getProfLabel
func getLabel() unsafe.Pointer

// check ends the calling goroutine if its run was interrupted. Its deferred functions run for a second more.
func check() {
	t := current()
	if t == nil {
		return
	}
	if e := t.exec; e.id != 0 && int(shared.asked.Load()) == e.id {
		e.Stop()
		Withdraw(e.id)
	}
	if !t.exec.stopped.Load() {
		return
	}
	if t.stopped.IsZero() {
		t.stopped = time.Now()
		runtime.Goexit()
	}
	if time.Since(t.stopped) > time.Second {
		runtime.Goexit()
	}
}

// current returns the calling goroutine's state; nil for one that no cell started.
func current() *thread {
	if t, ok := threads.Load(uintptr(getLabel())); ok {
		return t.(*thread)
	}
	return nil
}

// enter labels the calling goroutine as one of e's; leave undoes it.
func (e *Exec) enter() (leave func()) {
	ctx := pprof.WithLabels(context.Background(), pprof.Labels("cell", fmt.Sprint(count.Add(1))))
	pprof.SetGoroutineLabels(ctx)
	label, t := getLabel(), &thread{exec: e}
	key := uintptr(label)
	threads.Store(key, t)
	parents.Store(key, t) // a goroutine has its parent's label at first, so the label lives as long as that may be looked for
	runtime.AddCleanup((*byte)(label), func(key uintptr) { parents.CompareAndDelete(key, t) }, key)
	e.count(1)
	return func() {
		threads.Delete(key)
		e.count(-1)
		runtime.KeepAlive(ctx)
	}
}

// count notes goroutines that have begun or ended.
func (e *Exec) count(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running += n
	e.tally()
}

// tally keeps the run's part in hook.Stopping; mu is held.
func (e *Exec) tally() {
	if counts := e.running > 0 && e.stopped.Load(); counts != e.counted {
		e.counted = counts
		if counts {
			hook.Stopping.Add(1)
		} else {
			hook.Stopping.Add(-1)
		}
	}
}

// goroutine makes the calling goroutine, which a cell's go statement began, one of the cell's run; what it returns has to be
// deferred. A panic is reported instead of ending the worker. One whose cell was interrupted before its first turn ends at once.
func goroutine() func() {
	e := latest.Load()
	if t, ok := parents.Load(uintptr(getLabel())); ok {
		e = t.(*thread).exec
	}
	if e != nil && e.stopped.Load() {
		runtime.Goexit()
	}
	if e == nil {
		e = newExec(context.Background())
	}
	leave := e.enter()
	return func() {
		if r := recover(); r != nil {
			report(fail(r))
		}
		leave()
	}
}

// report is how a goroutine's panic is shown.
var report = func(*Failure) {}

// SetReport sets how a goroutine's panic is shown.
func SetReport(f func(*Failure)) { report = f }

func init() {
	hook.Stop, hook.Goroutine, hook.Register, hook.Slot = check, goroutine, Register, slot
	hook.Fail = func(err error) { panic(left{err}) }
	hook.Show = func(values ...any) {
		if t := current(); t != nil {
			t.exec.Bundle = Render(values...)
		}
	}
}

func newExec(ctx context.Context) *Exec {
	e := &Exec{}
	e.done.Store(-1)
	e.ctx, e.cancel = context.WithCancel(ctx)
	return e
}

// Context is cancelled when the calling goroutine's cell is interrupted; for a goroutine of no cell it is that of the latest cell.
func Context() context.Context {
	if t := current(); t != nil {
		return t.exec.ctx
	}
	if e := latest.Load(); e != nil {
		return e.ctx
	}
	return context.Background()
}

// Start runs a cell in a goroutine of its own, under the number of the front's order. The channel receives nil or why the cell failed once it has ended.
func Start(id int, cell func(*Exec)) (*Exec, <-chan *Failure) {
	e := newExec(context.Background())
	e.id = id
	latest.Store(e)
	done := make(chan *Failure, 1)
	go func() {
		leave := e.enter()
		e.routine.Store(routine())
		finished := false
		var failure *Failure
		defer func() {
			if r := recover(); r != nil {
				failure = fail(r)
				if e.at.Line > 0 {
					failure.Frames = append(failure.Frames, e.at)
				}
			} else if !finished && e.stopped.Load() {
				failure = &Failure{Kind: Interrupted, Text: stopText}
			}
			leave()
			done <- failure
		}()
		cell(e)
		finished = true
	}()
	return e, done
}

// Stop interrupts the run: its goroutines end at their next check, and its context is cancelled.
func (e *Exec) Stop() {
	if e.stopped.Swap(true) {
		return
	}
	e.mu.Lock()
	e.tally()
	e.mu.Unlock()
	e.cancel()
}

// Done notes that the variables of the cell's first n statements are assigned.
func (e *Exec) Done(n int) { e.done.Store(int64(n)) }

// At notes where a cell is that runs without being compiled.
func (e *Exec) At(cell string, line int) { e.at = Frame{File: cell, Line: line} }

// Reached returns the number of the last statement noted by Done, -1 if the cell has not begun.
func (e *Exec) Reached() int { return int(e.done.Load()) }

// routine returns the number of the calling goroutine.
func routine() int64 {
	var buf [64]byte
	var n int64
	_, _ = fmt.Sscanf(string(buf[:runtime.Stack(buf[:], false)]), "goroutine %d ", &n)
	return n
}

// State says what the cell's own goroutine is doing in the runtime's words, "running", "syscall", "chan receive", "sleep" …, and
// the calls that it is in. It is called by one goroutine at a time.
func (e *Exec) State() (state, calls string) {
	n := runtime.Stack(e.stacks, true)
	for n == len(e.stacks) && n < 64<<20 { // there are thousands of goroutines
		e.stacks = make([]byte, max(4*n, 1<<20))
		n = runtime.Stack(e.stacks, true)
	}
	_, rest, ok := strings.Cut(string(e.stacks[:n]), fmt.Sprintf("goroutine %d [", e.routine.Load()))
	if !ok {
		return "", ""
	}
	rest, _, _ = strings.Cut(rest, "\n\n")
	head, calls, _ := strings.Cut(rest, "]")
	state, _, _ = strings.Cut(head, ",")
	return state, calls
}
