package session

import (
	"context"
	"sync"
	"time"

	"github.com/lohakit/notebook/kernel/internal/wire"
)

// lane is one shell: a queue of requests that are handled in order, one at a time. The main shell is a lane, and so is
// each subshell.
type lane struct {
	session *Session

	mu      sync.Mutex
	changed sync.Cond
	queue   []*task
	closed  bool
	running *task // the request being handled
}

// task is a request in a lane.
type task struct {
	*wire.Message
	ctx    context.Context
	cancel context.CancelCauseFunc // interrupts it, also before it runs

	out     *output   // of a cell that the engine runs; nil before and after
	over    bool      // the cell has ended
	pressed time.Time // first interrupt
	offered bool      // the user was told that another interrupt ends the worker
}

func newLane(s *Session) *lane {
	l := &lane{session: s}
	l.changed.L = &l.mu
	go l.run()
	return l
}

func (l *lane) put(m *wire.Message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	t := &task{Message: m}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	l.queue = append(l.queue, t)
	l.changed.Broadcast()
	return true
}

func (l *lane) run() {
	for {
		l.mu.Lock()
		for len(l.queue) == 0 && !l.closed {
			l.changed.Wait()
		}
		if len(l.queue) == 0 { // closed, and what only asks is answered
			l.mu.Unlock()
			return
		}
		t := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		l.running = t
		l.mu.Unlock()
		l.session.handle(l, t)
		l.mu.Lock()
		l.running = nil
		l.changed.Broadcast()
		l.mu.Unlock()
	}
}

// withdraw removes the execute requests that wait in the queue and returns them.
func (l *lane) withdraw() []*wire.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take()
}

// take is withdraw while l.mu is held.
func (l *lane) take() (withdrawn []*wire.Message) {
	var kept []*task
	for _, t := range l.queue {
		if t.Header.Type == "execute_request" {
			withdrawn = append(withdrawn, t.Message)
		} else {
			kept = append(kept, t)
		}
	}
	l.queue = kept
	return withdrawn
}

// abort answers execute requests that will not be run: a cell before them failed, or their subshell is gone.
func (s *Session) abort(requests []*wire.Message) {
	for _, m := range requests {
		s.atOnce(m, func() { s.reply(s.shell, m, "execute_reply", map[string]any{"status": "aborted"}) })
	}
}

// stuck is how long an interrupted cell may go on before the user is offered to end the worker.
const stuck = 2 * time.Second

// interrupt stops the cell that runs, or the next that waits where none does. A cell that goes on is in a call that cannot be
// stopped: the user is told so, and the next interrupt ends the worker.
func (l *lane) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.cell()
	if t == nil {
		return
	}
	if t.offered && t.out != nil {
		go l.session.engine.Kill("it was ended on request: the cell was in a call that cannot be interrupted")
		return
	}
	t.cancel(errInterrupted)
	l.session.outlet.Hurry()
	if !t.pressed.IsZero() {
		return
	}
	t.pressed = time.Now()
	time.AfterFunc(stuck, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if t.out != nil {
			t.offered = true
			t.out.Stream("stderr", "The cell is in a call that cannot be interrupted. "+
				"Wait for it, or interrupt again to end the worker: the session's variables are then lost, saved files are not.\n")
		}
	})
}

// cell returns the cell that runs, or else the first that waits; nil for none. l.mu is held.
func (l *lane) cell() *task {
	if t := l.running; t != nil && t.Header.Type == "execute_request" && !t.over {
		return t
	}
	for _, t := range l.queue {
		if t.Header.Type == "execute_request" {
			return t
		}
	}
	return nil
}

// began notes that the engine runs a cell.
func (l *lane) began(out *output) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out.task.out = out
}

// ended notes that the engine has run the cell of a task.
func (l *lane) ended(t *task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.out = nil
}

// finish ends a cell: from here on an interrupt is for another.
func (l *lane) finish(t *task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.over = true
	t.cancel(errOver)
}

// close stops the lane after the request being handled and what waits and only asks, and returns the execute requests that waited.
func (l *lane) close() (withdrawn []*wire.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true // nothing joins the queue from here on
	if t := l.cell(); t != nil {
		t.cancel(errInterrupted)
	}
	l.changed.Broadcast()
	return l.take()
}

// wait returns once nothing is being handled, or after the timeout; false then.
func (l *lane) wait(timeout time.Duration) bool {
	timer := time.AfterFunc(timeout, func() { l.mu.Lock(); l.changed.Broadcast(); l.mu.Unlock() })
	defer timer.Stop()
	deadline := time.Now().Add(timeout)
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.running != nil && time.Now().Before(deadline) {
		l.changed.Wait()
	}
	return l.running == nil
}

// shells are the main lane and the subshells.
type shells struct {
	session *Session
	main    *lane

	mu  sync.Mutex
	sub map[string]*lane
}

func (s *shells) init(session *Session) {
	s.session, s.main, s.sub = session, newLane(session), map[string]*lane{}
}

// find returns the lane that a request is for; nil when its subshell does not exist.
func (s *shells) find(id string) *lane {
	if id == "" {
		return s.main
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sub[id]
}

func (s *shells) create() string {
	id := wire.NewID()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sub[id] = newLane(s.session)
	return id
}

// remove ends a subshell and returns the execute requests that waited in it; false when it does not exist.
func (s *shells) remove(id string) (withdrawn []*wire.Message, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.sub[id]
	if ok {
		withdrawn = l.close()
		delete(s.sub, id)
	}
	return withdrawn, ok
}

func (s *shells) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.sub))
	for id := range s.sub {
		ids = append(ids, id)
	}
	return ids
}

func (s *shells) all() []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	lanes := []*lane{s.main}
	for _, l := range s.sub {
		lanes = append(lanes, l)
	}
	return lanes
}

// end stops every lane. A cell that runs gets a moment to stop; then its worker is ended.
func (s *shells) end() {
	lanes := s.all()
	for _, l := range lanes {
		l.close()
	}
	killed := false
	for _, l := range lanes {
		if !l.wait(500*time.Millisecond) && !killed {
			s.session.engine.Kill("the kernel shut down")
			killed = true
		}
	}
}
