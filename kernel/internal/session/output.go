package session

import (
	"encoding/json"
	"time"

	"github.com/lohakit/notebook/kernel/internal/display"
)

// output is what one cell shows; it implements [Output].
type output struct {
	*display.Cell
	session *Session
	lane    *lane
	task    *task
	mayAsk  bool // the front end can be asked for input
	guest   bool // of a subshell or a silent request: goroutines that go on after it are another cell's, as far as anyone can tell
}

func (s *Session) newOutput(l *lane, t *task, mayAsk bool) *output {
	var group any
	if m := t.Message; m != nil {
		var metadata struct {
			Cell string `json:"cellId"`
		}
		if json.Unmarshal(m.Metadata, &metadata) == nil && metadata.Cell != "" {
			group = metadata.Cell
		}
	}
	return &output{Cell: s.outlet.Cell(t.Message, group), session: s, lane: l, task: t, mayAsk: mayAsk}
}

// Begin makes the cell the one that displays are of, once those of the cell before it are through.
func (o *output) Begin() {
	o.session.gonb.Drain(2 * time.Second)
	o.lane.began(o)
	o.session.mu.Lock()
	defer o.session.mu.Unlock()
	o.session.cell = o
	if !o.guest {
		o.session.lasting = o
	}
}

// leave gives a guest's place back to the cell whose goroutines may go on.
func (o *output) leave() {
	o.session.mu.Lock()
	defer o.session.mu.Unlock()
	if o.guest && o.session.cell == o && o.session.lasting != nil {
		o.session.cell = o.session.lasting
	}
}

// Stream shows text after what the worker displayed before it. The worker goes on with a guest's output until another cell begins.
func (o *output) Stream(name, text string) {
	o.session.gonb.Before(50 * time.Millisecond)
	if o.guest {
		o = o.session.current()
	}
	o.Cell.Stream(name, text)
}

func (s *Session) current() *output {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cell
}

// host is the session as gonbui's protocol sees it.
type host Session

func (h *host) Cell() *display.Cell { return (*Session)(h).current().Cell }

func (h *host) Drain() { h.engine.Drain() }

func (h *host) Comm(kind string, content any) { (*Session)(h).current().Message(kind, content) }
