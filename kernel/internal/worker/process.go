package worker

import (
	"encoding/gob"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lohakit/notebook/kernel/internal/live"
	"github.com/lohakit/notebook/kernel/internal/session"
)

// process is one worker process.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	orders io.Closer
	state  *os.ProcessState               // once it is dead
	out    atomic.Pointer[session.Output] // where its output goes
	dead   chan struct{}                  // closed once it has ended and all its output is read

	mu     sync.Mutex
	shared *live.Shared // nil once it is dead
	enc    *gob.Encoder
	ids    int
	waits  map[int]chan live.Event // by run
	synced map[int]chan struct{}   // by mark: receives once for each stream
	reason string                  // why it was ended on purpose
	crash  string                  // what the runtime said when it died
}

// start begins a worker and waits until it takes orders.
func start(program string, env []string) (*process, error) {
	p := &process{dead: make(chan struct{}), waits: map[int]chan live.Event{}, synced: map[int]chan struct{}{}}
	ordersIn, ordersOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	eventsIn, eventsOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	page, err := os.CreateTemp("", "lohakit-worker-")
	if err != nil {
		return nil, err
	}
	defer page.Close()
	_ = os.Remove(page.Name())
	if p.shared, err = live.Map(page); err != nil {
		return nil, err
	}
	p.cmd = exec.Command(program)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.ExtraFiles = []*os.File{ordersIn, eventsOut, page}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt of the terminal is the front's to handle
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start worker %s: %w; run kernel install again", filepath.Base(program), err)
	}
	_ = ordersIn.Close()
	_ = eventsOut.Close()
	p.orders, p.enc = ordersOut, gob.NewEncoder(ordersOut)
	var readers sync.WaitGroup
	readers.Go(func() { p.stream("stdout", stdout) })
	readers.Go(func() { p.stream("stderr", stderr) })
	ready := make(chan struct{})
	readers.Go(func() { p.listen(eventsIn, ready) })
	go func() {
		p.state, _ = p.cmd.Process.Wait()
		hangUp := func() {
			for _, end := range []io.Closer{stdout, stderr, eventsIn, p.stdin, p.orders} {
				_ = end.Close()
			}
		}
		late := time.AfterFunc(time.Second, hangUp) // a program that a cell started may hold the streams open
		readers.Wait()
		late.Stop()
		hangUp()
		p.mu.Lock()
		p.shared.Unmap()
		p.shared = nil
		p.mu.Unlock()
		close(p.dead)
	}()
	select {
	case <-ready:
		return p, nil
	case <-p.dead:
		return nil, fmt.Errorf("the worker ended while it started: %s", p.obituary())
	case <-time.After(60 * time.Second):
		p.end("it did not start within a minute")
		return nil, fmt.Errorf("the worker did not start within a minute")
	}
}

// listen hands the worker's events to the runs they belong to.
func (p *process) listen(events io.ReadCloser, ready chan struct{}) {
	dec := gob.NewDecoder(events)
	for {
		var e live.Event
		if dec.Decode(&e) != nil {
			return
		}
		if e.Is == live.Ready {
			close(ready)
			continue
		}
		p.mu.Lock()
		wait := p.waits[e.ID]
		p.mu.Unlock()
		if wait != nil {
			wait <- e
		}
	}
}

// order sends an order.
func (p *process) order(o live.Order) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.enc.Encode(o) // a worker that is gone is noticed by dead
}

// stop interrupts a run.
func (p *process) stop(id int) {
	p.mu.Lock()
	if p.shared != nil {
		p.shared.Ask(id)
	}
	p.mu.Unlock()
	p.order(live.Order{ID: id, Do: live.Stop})
}

// run orders a run; its events arrive on the channel until forget.
func (p *process) run(o live.Order) (id int, events <-chan live.Event) {
	p.mu.Lock()
	p.ids++
	id = p.ids
	wait := make(chan live.Event, 16)
	p.waits[id] = wait
	p.synced[id] = make(chan struct{}, 2)
	p.mu.Unlock()
	o.ID, o.Do = id, live.Run
	p.order(o)
	return id, wait
}

// forget ends the interest in a run.
func (p *process) forget(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waits, id)
	delete(p.synced, id)
}

// drain waits until everything written before the mark id has been read; a worker that is stuck is waited for a second.
func (p *process) drain(id int) {
	p.mu.Lock()
	both := p.synced[id]
	p.mu.Unlock()
	for range 2 {
		select {
		case <-both:
		case <-p.dead:
			return
		case <-time.After(time.Second):
			return
		}
	}
}

// mark has the worker write a mark, and waits for it.
func (p *process) mark() {
	p.mu.Lock()
	p.ids++
	id := p.ids
	p.synced[id] = make(chan struct{}, 2)
	p.mu.Unlock()
	p.order(live.Order{ID: id, Do: live.Mark})
	p.drain(id)
	p.forget(id)
}

// feed writes to the worker's standard input.
func (p *process) feed(text string) {
	_, _ = io.WriteString(p.stdin, text)
	p.order(live.Order{Do: live.Fed})
}

// end kills the worker.
func (p *process) end(reason string) {
	p.mu.Lock()
	if p.reason == "" {
		p.reason = reason
	}
	p.mu.Unlock()
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
}

// obituary says what the worker died of, once it is dead.
func (p *process) obituary() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reason != "" {
		return p.reason
	}
	status, _ := p.state.Sys().(syscall.WaitStatus)
	switch cause := cause(p.crash); {
	case cause != "":
		return cause
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		return "it was killed, most likely because the machine ran out of memory"
	case status.Signaled():
		return fmt.Sprintf("signal %v in native code", status.Signal())
	default:
		return fmt.Sprintf("a cell ended the process with exit status %d", status.ExitStatus())
	}
}
