package session

import (
	"context"
	"encoding/json"
	"runtime"
	"time"

	"github.com/lohakit/notebook/kernel/internal/wire"
)

// Release is the version of the kernel.
const Release = "0.1.0"

// assistTime bounds completion and inspection.
const assistTime = time.Second

func assistTimeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), assistTime)
}

// onShell takes a message from the shell socket. What changes the session waits its turn in a lane; what only asks about
// it is answered at once, also while a cell runs.
func (s *Session) onShell(m *wire.Message) {
	switch m.Header.Type {
	case "kernel_info_request", "comm_info_request", "is_complete_request", "comm_open", "comm_msg", "comm_close":
		s.atOnce(m, func() { s.ask(s.shell, m) })
	case "complete_request", "inspect_request":
		s.aside(m, func() { s.ask(s.shell, m) })
	case "shutdown_request":
		s.shutdown(s.shell, m)
	case "interrupt_request":
		s.atOnce(m, func() { s.interruptRequest(s.shell, m) })
	default:
		if lane := s.shells.find(m.Header.Subshell); lane == nil || !lane.put(m) && lane != s.shells.main {
			s.atOnce(m, func() {
				if kind := replyTo(m); kind != "" {
					s.reply(s.shell, m, kind, failure("NoSubshell", "subshell "+m.Header.Subshell+" does not exist"))
				}
			})
		}
	}
}

// handle answers a request that waited in a lane.
func (s *Session) handle(l *lane, t *task) {
	var aborted []*wire.Message
	answer := func() { aborted = s.inTurn(l, t) }
	if l == s.shells.main {
		s.mainly(t.Message, answer)
	} else {
		s.atOnce(t.Message, answer)
	}
	s.abort(aborted)
}

// inTurn answers a request whose turn has come; see [Session.execute] for what it returns.
func (s *Session) inTurn(l *lane, t *task) (aborted []*wire.Message) {
	m := t.Message
	switch m.Header.Type {
	case "execute_request":
		return s.execute(l, t)
	case "history_request":
		if found, err := s.history.find(m.Content); err != nil {
			s.reply(s.shell, m, "history_reply", failure("BadRequest", err.Error()))
		} else {
			s.reply(s.shell, m, "history_reply", map[string]any{"status": "ok", "history": found})
		}
	default:
		if kind := replyTo(m); kind != "" {
			s.reply(s.shell, m, kind, failure("NotSupported", m.Header.Type+" is not answered on the shell channel"))
		}
	}
	return nil
}

// mainly runs the answer to a request of the main shell between its busy and idle.
func (s *Session) mainly(m *wire.Message, answer func()) {
	s.state.Lock()
	s.busy = m
	s.status(m, "busy")
	s.state.Unlock()
	answer()
	s.state.Lock()
	defer s.state.Unlock()
	s.busy = nil
	s.status(m, "idle")
}

// atOnce runs the answer to any other request between its busy and idle. While a cell of the main shell runs, a busy of that
// cell follows: front ends show the state that came last.
func (s *Session) atOnce(m *wire.Message, answer func()) {
	s.status(m, "busy")
	answer()
	s.state.Lock()
	defer s.state.Unlock()
	s.status(m, "idle")
	if s.busy != nil {
		s.status(s.busy, "busy")
	}
}

// aside has a request answered beside those that come after it, as atOnce does.
func (s *Session) aside(m *wire.Message, answer func()) {
	select {
	case s.assist <- func() { s.atOnce(m, answer) }:
	case <-s.done:
	}
}

// ask answers a request that changes nothing, or a comm message.
func (s *Session) ask(by *wire.Router, m *wire.Message) {
	var c struct {
		Code   string `json:"code"`
		Cursor *int   `json:"cursor_pos"`
		Detail int    `json:"detail_level"`
		Target string `json:"target_name"`
	}
	if err := json.Unmarshal(m.Content, &c); err != nil {
		if kind := replyTo(m); kind != "" {
			s.reply(by, m, kind, failure("BadRequest", err.Error()))
		}
		return
	}
	cursor := len(c.Code)
	if c.Cursor != nil {
		cursor = byteOffset(c.Code, *c.Cursor)
	}
	ctx, cancel := assistTimeout()
	defer cancel()
	switch m.Header.Type {
	case "kernel_info_request":
		s.reply(by, m, "kernel_info_reply", info())
	case "comm_info_request":
		s.reply(by, m, "comm_info_reply", s.comms.info(c.Target))
	case "is_complete_request":
		status, indent := s.engine.IsComplete(c.Code)
		content := map[string]any{"status": status}
		if status == "incomplete" {
			content["indent"] = indent
		}
		s.reply(by, m, "is_complete_reply", content)
	case "complete_request":
		s.reply(by, m, "complete_reply", completion(c.Code, s.engine.Complete(ctx, c.Code, cursor)))
	case "inspect_request":
		data, found := s.engine.Inspect(ctx, c.Code, cursor, c.Detail)
		if data == nil {
			data = map[string]any{}
		}
		s.reply(by, m, "inspect_reply", map[string]any{"status": "ok", "found": found, "data": data, "metadata": map[string]any{}})
	default:
		s.comm(m)
	}
}

// completion is the content of a complete_reply; JupyterLab reads the types and signatures in its metadata.
func completion(code string, c Completion) map[string]any {
	start, end := characters(code, c.Start), characters(code, c.End)
	matches := make([]string, 0, len(c.Matches))
	typed := make([]any, 0, len(c.Matches))
	for _, m := range c.Matches {
		matches = append(matches, m.Text)
		typed = append(typed, map[string]any{"start": start, "end": end, "text": m.Text, "type": m.Type, "signature": m.Signature})
	}
	return map[string]any{
		"status": "ok", "matches": matches, "cursor_start": start, "cursor_end": end,
		"metadata": map[string]any{"_jupyter_types_experimental": typed},
	}
}

func info() map[string]any {
	return map[string]any{
		"status":                 "ok",
		"protocol_version":       wire.Version,
		"implementation":         "lohakit",
		"implementation_version": Release,
		"banner":                 "lohakit " + Release + ": " + runtime.Version() + ", compiled cells in a living worker. %help lists the magics.",
		"language_info": map[string]any{
			"name": "go", "version": runtime.Version()[len("go"):], "mimetype": "text/x-go", "file_extension": ".go",
			"pygments_lexer": "go", "codemirror_mode": "go", "nbconvert_exporter": "",
		},
		"help_links": []any{
			map[string]string{"text": "Go language", "url": "https://go.dev/doc/"},
			map[string]string{"text": "Go packages", "url": "https://pkg.go.dev/"},
			map[string]string{"text": "GoMLX", "url": "https://github.com/gomlx/gomlx"},
		},
		"debugger":           false,
		"supported_features": []string{"kernel subshells"},
	}
}
