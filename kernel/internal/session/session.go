package session

import (
	"context"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lohakit/notebook/kernel/internal/display"
	"github.com/lohakit/notebook/kernel/internal/wire"
)

// Session serves one notebook.
type Session struct {
	id     string
	start  time.Time
	signer *wire.Signer
	engine Engine
	gonb   *display.Gonb
	outlet *display.Outlet

	shell, control, stdin *wire.Router
	iopub                 *wire.Publisher
	heartbeat             *wire.Heartbeat

	history   history
	comms     comms
	questions questions
	shells    shells

	assist  chan func()   // completion, inspection and usage, one at a time, beside a running cell
	ready   chan struct{} // closed once requests can be answered
	done    chan struct{}
	ending  sync.Once
	restart atomic.Bool
	dropped atomic.Int64 // messages refused: bad signature, replay, not a message

	state sync.Mutex    // orders the statuses
	busy  *wire.Message // the request of the main shell between its busy and its idle

	mu      sync.Mutex
	count   int         // the last In[n]
	cell    *output     // the cell that runs, or the last one that ran
	lasting *output     // the last that was not a guest; nil for none
	usage   processTime // at the last usage_request
}

var kernelID = regexp.MustCompile(`^kernel-(.+)\.json$`)

// New binds the sockets of the connection file at path. The engine is made with the session's WorkerEnv, through which
// its worker displays.
func New(path string, engine func(WorkerEnv) (Engine, error)) (*Session, error) {
	c, err := wire.ReadConnection(path)
	if err != nil {
		return nil, err
	}
	s := &Session{
		id: wire.NewID(), start: time.Now(), signer: wire.NewSigner(c.Key),
		assist: make(chan func(), 256), ready: make(chan struct{}), done: make(chan struct{}),
	}
	id := ""
	if m := kernelID.FindStringSubmatch(filepath.Base(path)); m != nil {
		id = m[1]
	}
	s.outlet = display.NewOutlet(func(parent any, kind string, content any) { s.publish(parent.(*wire.Message), kind, content) })
	s.gonb = display.NewGonb((*host)(s), id)
	s.cell = s.newOutput(nil, &task{ctx: context.Background()}, false)
	s.shells.init(s)
	if err := s.listen(&c); err != nil {
		s.close()
		return nil, err
	}
	s.publish(nil, "status", map[string]string{"execution_state": "starting"})
	if s.engine, err = engine(s.gonb.Env); err != nil {
		s.End()
		s.close()
		return nil, err
	}
	close(s.ready)
	return s, nil
}

func (s *Session) listen(c *wire.Connection) (err error) {
	drop := func(error) { s.dropped.Add(1) }
	if s.heartbeat, err = wire.ListenHeartbeat(c, c.HeartbeatPort); err != nil {
		return err
	}
	if s.iopub, err = wire.ListenPublisher(c, c.IOPubPort, s.signer, s.id); err != nil {
		return err
	}
	gate := func(handle func(*wire.Message)) func(*wire.Message) {
		return func(m *wire.Message) {
			select {
			case <-s.ready:
				handle(m)
			case <-s.done:
			}
		}
	}
	if s.stdin, err = wire.ListenRouter(c, c.StdinPort, s.signer, gate(s.questions.answer), drop); err != nil {
		return err
	}
	if s.control, err = wire.ListenRouter(c, c.ControlPort, s.signer, gate(s.onControl), drop); err != nil {
		return err
	}
	s.shell, err = wire.ListenRouter(c, c.ShellPort, s.signer, gate(s.onShell), drop)
	return err
}

// Serve answers messages until a shutdown request or End, and reports whether the front end will start the kernel again.
func (s *Session) Serve() (restart bool) {
	go func() {
		for {
			select {
			case f := <-s.assist:
				f()
			case <-s.done:
				return
			}
		}
	}()
	<-s.done
	s.shells.end()
	restart = s.restart.Load()
	s.engine.Close(restart)
	s.close()
	return restart
}

// End makes Serve return.
func (s *Session) End() { s.ending.Do(func() { close(s.done) }) }

func (s *Session) close() {
	s.gonb.Close()
	s.outlet.Close()
	for _, r := range []*wire.Router{s.shell, s.control, s.stdin} {
		if r != nil {
			r.Close()
		}
	}
	if s.iopub != nil {
		s.iopub.Close()
	}
	if s.heartbeat != nil {
		s.heartbeat.Close()
	}
}

// publish sends a message on iopub.
func (s *Session) publish(parent *wire.Message, kind string, content any) {
	if s.iopub == nil {
		return
	}
	m, err := wire.Child(parent, s.id, kind, content)
	if err != nil { // a value that JSON has no form for, such as NaN in a widget's data
		m, _ = wire.Child(parent, s.id, "stream", map[string]string{"name": "stderr", "text": err.Error() + "\n"})
	}
	s.iopub.Publish(m)
}

func (s *Session) status(parent *wire.Message, state string) {
	s.publish(parent, "status", map[string]string{"execution_state": state})
}

// reply answers a request on the socket that it came by.
func (s *Session) reply(by *wire.Router, request *wire.Message, kind string, content any) {
	m, err := wire.Child(request, s.id, kind, content)
	if err != nil {
		m, _ = wire.Child(request, s.id, kind, failure("EncodeError", err.Error()))
	}
	by.Send(m)
}

// failure is the content of a reply that reports an error.
func failure(name, value string) map[string]any {
	return map[string]any{"status": "error", "ename": name, "evalue": value, "traceback": []string{name + ": " + value}}
}
