package session

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/lohakit/notebook/kernel/internal/wire"
)

var (
	errNoInput     = errors.New("the cell reads standard input, but this front end cannot be asked for any")
	errInterrupted = errors.New("interrupted while waiting for input")
	errOver        = errors.New("the cell ended before its question was answered")
)

// ErrFed is what [Output.Input] returns where the cell itself has put the question: the answer goes to [Engine.Feed].
var ErrFed = errors.New("the answer to gonbui.RequestInput goes to standard input")

// questions are what the front ends are asked.
type questions struct {
	mu   sync.Mutex
	open map[string]chan string // input_requests that wait for an answer, by their id
	own  *ownQuestion           // the latest that a cell has put itself
}

// ownQuestion is a gonbui.RequestInput.
type ownQuestion struct {
	over chan struct{} // closed once the answer has been fed to the worker, or there is none
	err  error         // why there is none
}

// waits reports whether the question has no answer yet.
func (q *ownQuestion) waits() bool {
	if q == nil {
		return false
	}
	select {
	case <-q.over:
		return false
	default:
		return true
	}
}

// latest is the latest question that a cell has put itself; nil for none.
func (q *questions) latest() *ownQuestion {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.own
}

// Input asks the user for a line. The read that it is asked for usually follows a gonbui.RequestInput, and then that is the question.
func (o *output) Input(prompt string, password bool) (string, error) {
	q := &o.session.questions
	before := q.latest()
	waited := before.waits()
	o.session.gonb.Drain(4 * time.Second) // the RequestInput comes by another way than the news of the read
	own := q.latest()
	if own == before && !waited {
		return o.ask(prompt, password)
	}
	select {
	case <-own.over:
		if own.err != nil {
			return "", own.err
		}
		return "", ErrFed
	case <-o.task.ctx.Done():
		return "", context.Cause(o.task.ctx)
	}
}

// Ask puts the question of a gonbui.RequestInput, once those before it are answered.
func (h *host) Ask(prompt string, password bool) {
	s := (*Session)(h)
	o := s.current()
	own := &ownQuestion{over: make(chan struct{})}
	s.questions.mu.Lock()
	before := s.questions.own
	s.questions.own = own
	s.questions.mu.Unlock()
	go func() {
		defer close(own.over)
		if before != nil {
			<-before.over
		}
		line, err := o.ask(prompt, password)
		if err != nil {
			if own.err = err; err != errInterrupted {
				o.Stream("stderr", err.Error()+"\n")
			}
			return
		}
		s.engine.Feed(line + "\n")
	}()
}

// ask sends an input_request to the front end that sent the cell, and waits for the answer.
func (o *output) ask(prompt string, password bool) (string, error) {
	s := o.session
	if !o.mayAsk {
		return "", errNoInput
	}
	if o.task.ctx.Err() != nil {
		return "", context.Cause(o.task.ctx)
	}
	s.outlet.Flush()
	m, err := wire.Child(o.task.Message, s.id, "input_request", map[string]any{"prompt": prompt, "password": password})
	if err != nil {
		return "", err
	}
	answer := s.questions.expect(m.Header.ID)
	defer s.questions.forget(m.Header.ID)
	for {
		var again <-chan time.Time
		if !s.stdin.Send(m) { // a client opens its sockets one by one, and this one may be the last
			again = time.After(20 * time.Millisecond)
		}
		select {
		case line := <-answer:
			return line, nil
		case <-again:
		case <-o.task.ctx.Done():
			return "", context.Cause(o.task.ctx)
		case <-s.done:
			return "", errInterrupted
		}
	}
}

// expect opens a question.
func (q *questions) expect(id string) <-chan string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open == nil {
		q.open = map[string]chan string{}
	}
	q.open[id] = make(chan string, 1)
	return q.open[id]
}

// forget closes a question.
func (q *questions) forget(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.open, id)
}

// answer takes an input_reply. One that names no open question answers the only open one: not every client fills in the
// parent header.
func (q *questions) answer(m *wire.Message) {
	if m.Header.Type != "input_reply" {
		return
	}
	var parent wire.Header
	var content struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(m.Parent, &parent) != nil || json.Unmarshal(m.Content, &content) != nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	to, ok := q.open[parent.ID]
	if !ok && parent.Type != "input_request" && len(q.open) == 1 {
		for _, to = range q.open {
			ok = true
		}
	}
	if ok {
		select {
		case to <- content.Value:
		default:
		}
	}
}
