package session

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/lohakit/notebook/kernel/internal/display"
	"github.com/lohakit/notebook/kernel/internal/wire"
)

// execution is the content of an execute_request; what is absent takes the protocol's defaults.
type execution struct {
	Code         string            `json:"code"`
	Silent       bool              `json:"silent"`
	StoreHistory *bool             `json:"store_history"`
	Expressions  map[string]string `json:"user_expressions"`
	AllowStdin   *bool             `json:"allow_stdin"`
	StopOnError  *bool             `json:"stop_on_error"`
}

// inFlight is how long a failed cell waits before its reply, so that requests sent together with it are in the queue to be
// aborted.
const inFlight = 10 * time.Millisecond

// help is a cell that asks for inspection: name? or name?? for more.
var help = regexp.MustCompile(`^\s*([\pL_][\pL\pN_.]*)(\?\??)\s*$`)

// execute runs a cell and replies. It returns the requests behind it that are not to be run, because it failed.
func (s *Session) execute(l *lane, t *task) (aborted []*wire.Message) {
	m := t.Message
	var e execution
	if err := json.Unmarshal(m.Content, &e); err != nil {
		refusal := failure("BadRequest", err.Error())
		s.mu.Lock()
		refusal["execution_count"] = s.count
		s.mu.Unlock()
		s.reply(s.shell, m, "execute_reply", refusal)
		return nil
	}
	store := !e.Silent && (e.StoreHistory == nil || *e.StoreHistory)
	s.mu.Lock()
	number := 0 // the previous count is another cell's name
	if store {
		s.count++
		number = s.count
	}
	count := s.count
	s.mu.Unlock()
	if !e.Silent {
		s.publish(m, "execute_input", map[string]any{"code": e.Code, "execution_count": count})
	}
	out := s.newOutput(l, t, e.AllowStdin == nil || *e.AllowStdin)
	out.guest = e.Silent || l != s.shells.main

	var result Result
	var page map[string]any
	if ask := help.FindStringSubmatch(e.Code); ask != nil {
		page, result.Err = s.page(ask[1], len(ask[2])-1)
	} else if strings.TrimSpace(e.Code) != "" || len(e.Expressions) > 0 {
		result = s.engine.Execute(t.ctx, Request{Code: e.Code, Count: number, Silent: e.Silent, Expressions: e.Expressions}, out)
		l.ended(t)
		page = result.Page
	}
	s.gonb.Drain(2 * time.Second)
	out.leave()
	s.outlet.Flush()

	reply := map[string]any{"status": "ok", "execution_count": count, "payload": []any{}, "user_expressions": map[string]any{}}
	if result.Err != nil {
		trace := content(result.Err)
		if !e.Silent {
			s.publish(m, "error", trace)
		}
		reply = map[string]any{"status": "error", "execution_count": count, "payload": []any{}, "user_expressions": map[string]any{}}
		for k, v := range trace {
			reply[k] = v
		}
	} else {
		if result.Value != nil && !e.Silent {
			metadata := result.Metadata
			if metadata == nil {
				metadata = map[string]any{}
			}
			s.publish(m, "execute_result", map[string]any{
				"execution_count": count, "data": display.Bundle(result.Value), "metadata": metadata,
			})
		}
		if page != nil {
			reply["payload"] = []any{map[string]any{"source": "page", "data": display.Bundle(page), "start": 0}}
		}
		reply["user_expressions"] = expressions(result.Expressions)
	}
	if store {
		text, _ := display.Bundle(result.Value)["text/plain"].(string)
		s.history.add(count, e.Code, text)
	}
	if result.Err != nil && (e.StopOnError == nil || *e.StopOnError) {
		time.Sleep(inFlight)
		aborted = l.withdraw()
	}
	l.finish(t)
	s.reply(s.shell, m, "execute_reply", reply)
	return aborted
}

// page is the inspection of a name, for the pager.
func (s *Session) page(name string, detail int) (map[string]any, *CellError) {
	ctx, cancel := assistTimeout()
	defer cancel()
	if data, ok := s.engine.Inspect(ctx, name, len(name), detail); ok {
		return data, nil
	}
	return nil, &CellError{Name: "NotFound", Value: name + " is not known here", Traceback: []string{"NotFound: " + name + " is not known here"}}
}

func content(e *CellError) map[string]any {
	trace := e.Traceback
	if len(trace) == 0 {
		trace = []string{e.Error()}
	}
	return map[string]any{"ename": e.Name, "evalue": e.Value, "traceback": trace}
}

func expressions(in map[string]Expression) map[string]any {
	out := map[string]any{}
	for label, x := range in {
		if x.Err != nil {
			one := content(x.Err)
			one["status"] = "error"
			out[label] = one
			continue
		}
		out[label] = map[string]any{"status": "ok", "data": display.Bundle(x.Value), "metadata": map[string]any{}}
	}
	return out
}
