package session

import (
	"encoding/json"
	"strings"

	"github.com/lohakit/notebook/kernel/internal/wire"
)

// replyTo is the type of the reply to a request; empty for messages that get none.
func replyTo(m *wire.Message) string {
	base, isRequest := strings.CutSuffix(m.Header.Type, "_request")
	if !isRequest {
		return ""
	}
	return base + "_reply"
}

// onControl takes a message from the control socket, which never waits for a cell.
func (s *Session) onControl(m *wire.Message) {
	switch m.Header.Type {
	case "shutdown_request":
		s.shutdown(s.control, m)
	case "usage_request": // a worker that starts keeps it waiting, which an interrupt may not
		s.aside(m, func() { s.reply(s.control, m, "usage_reply", s.measure()) })
	default:
		s.atOnce(m, func() { s.onControlBusy(m) })
	}
}

func (s *Session) onControlBusy(m *wire.Message) {
	ok := func(more map[string]any) {
		more["status"] = "ok"
		s.reply(s.control, m, replyTo(m), more)
	}
	switch m.Header.Type {
	case "kernel_info_request", "comm_info_request", "is_complete_request":
		s.ask(s.control, m)
	case "interrupt_request":
		s.interruptRequest(s.control, m)
	case "create_subshell_request":
		ok(map[string]any{"subshell_id": s.shells.create()})
	case "list_subshell_request":
		ok(map[string]any{"subshell_id": s.shells.list()})
	case "delete_subshell_request":
		var c struct {
			ID string `json:"subshell_id"`
		}
		json.Unmarshal(m.Content, &c) // what is not readable names no subshell
		withdrawn, found := s.shells.remove(c.ID)
		if !found {
			s.reply(s.control, m, replyTo(m), failure("NoSubshell", "subshell "+c.ID+" does not exist"))
			return
		}
		s.abort(withdrawn)
		ok(map[string]any{})
	default:
		if kind := replyTo(m); kind != "" {
			s.reply(s.control, m, kind, failure("NotSupported", m.Header.Type+" is not answered on the control channel"))
		}
	}
}

func (s *Session) interruptRequest(by *wire.Router, m *wire.Message) {
	s.Interrupt()
	s.reply(by, m, "interrupt_reply", map[string]any{"status": "ok"})
}

// Interrupt stops the cells that run; the session's state stays. Both the interrupt_request and SIGINT end here.
func (s *Session) Interrupt() {
	for _, l := range s.shells.all() {
		l.interrupt()
	}
}

func (s *Session) shutdown(by *wire.Router, m *wire.Message) {
	var c struct {
		Restart bool `json:"restart"`
	}
	json.Unmarshal(m.Content, &c) // without a readable flag it is a plain shutdown
	s.restart.Store(c.Restart)
	content := map[string]any{"status": "ok", "restart": c.Restart}
	s.status(m, "busy")
	s.reply(by, m, "shutdown_reply", content)
	s.publish(m, "shutdown_reply", content)
	s.status(m, "idle")
	s.End()
}
