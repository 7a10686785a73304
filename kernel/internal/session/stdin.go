package session

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/lohakit/notebook/kernel/internal/wire"
)

var (
	errNoInput     = errors.New("the cell reads standard input, but this front end cannot be asked for any")
	errInterrupted = errors.New("interrupted while waiting for input")
)

// questions are the input_requests that wait for an answer.
type questions struct {
	mu   sync.Mutex
	open map[string]chan string // by the id of the input_request
}

// ask sends an input_request to the front end that sent the cell, and waits for the answer.
func (q *questions) ask(ctx context.Context, s *Session, cell *wire.Message, prompt string, password bool) (string, error) {
	m, err := wire.Child(cell, s.id, "input_request", map[string]any{"prompt": prompt, "password": password})
	if err != nil {
		return "", err
	}
	answer := make(chan string, 1)
	q.mu.Lock()
	if q.open == nil {
		q.open = map[string]chan string{}
	}
	q.open[m.Header.ID] = answer
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		delete(q.open, m.Header.ID)
		q.mu.Unlock()
	}()
	s.stdin.Send(m)
	select {
	case line := <-answer:
		return line, nil
	case <-ctx.Done():
		return "", errInterrupted
	case <-s.done:
		return "", errInterrupted
	}
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
