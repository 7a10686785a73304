package session

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/lohakit/notebook/kernel/internal/wire"
)

func TestOutputComesBeforeIdle(t *testing.T) {
	c := start(t, newFake)
	for range 20 {
		reply, seen := c.run("print a\nwarn b\nhtml <b>c</b>\nprint d\nvalue 42")
		want(t, seen, "status:busy execute_input stream:a\n stream:b\n display_data stream:d\n execute_result status:idle")
		if reply["status"] != "ok" {
			t.Fatal(reply)
		}
	}
}

func TestExecute(t *testing.T) {
	c := start(t, newFake)
	reply, _ := c.run("number")
	if reply["execution_count"] != 1.0 {
		t.Errorf("first count is %v", reply["execution_count"])
	}
	reply, seen := c.run("fail oh")
	if reply["status"] != "error" || reply["ename"] != "Panic" || reply["evalue"] != "oh" {
		t.Error(reply)
	}
	want(t, seen, "status:busy execute_input error status:idle")

	silent := code("number\nvalue 1")
	silent["silent"] = true
	id := c.send(c.shell, "execute_request", silent)
	want(t, c.until(id), "status:busy stream:0\n status:idle")
	if f := fields(c.replyTo(c.replies, id)); f["execution_count"] != 2.0 {
		t.Errorf("a silent cell counted: %v", f)
	}
	asking := code("")
	asking["user_expressions"] = map[string]string{"a": "x+1", "b": "bad"}
	f := c.ask("execute_request", asking)["user_expressions"].(map[string]any)
	if f["a"].(map[string]any)["status"] != "ok" || f["b"].(map[string]any)["status"] != "error" {
		t.Error(f)
	}
	if f := c.ask("execute_request", jsonText(`{"code":7}`)); f["ename"] != "BadRequest" || f["execution_count"] != 3.0 {
		t.Error(f)
	}
	if f := c.ask("connect_request", map[string]any{}); f["evalue"] != "connect_request is not answered on the shell channel" {
		t.Error(f) // the protocol has it, deprecated
	}
	reply, _ = c.run("fmt.Println?")
	if page := reply["payload"].([]any)[0].(map[string]any); page["source"] != "page" {
		t.Error(reply)
	}
}

func TestStopOnError(t *testing.T) {
	c := start(t, newFake)
	var ids []string
	for _, text := range []string{"print 1", "fail x", "print 2", "print 3"} {
		ids = append(ids, c.send(c.shell, "execute_request", code(text)))
	}
	for i, status := range []string{"ok", "error", "aborted", "aborted"} {
		if f := fields(c.replyTo(c.replies, ids[i])); f["status"] != status {
			t.Errorf("cell %d: %v, want %s", i, f["status"], status)
		}
	}
	going := code("fail x")
	going["stop_on_error"] = false
	c.send(c.shell, "execute_request", going)
	if reply, _ := c.run("print on"); reply["status"] != "ok" {
		t.Error("stop_on_error=false stopped the queue")
	}
}

func TestTenThousandQueuedThenInterrupt(t *testing.T) {
	c := start(t, newFake)
	first := c.begin("sleep")
	last := ""
	for range 10_000 {
		last = c.send(c.shell, "execute_request", code("print x"))
	}
	c.ask("kernel_info_request", map[string]any{}) // everything before it has been read
	c.askControl("interrupt_request", map[string]any{})
	if f := fields(c.replyTo(c.replies, first)); f["ename"] != "Interrupted" {
		t.Error(f)
	}
	if f := fields(c.replyTo(c.replies, last)); f["status"] != "aborted" {
		t.Error(f)
	}
}

func TestInterruptStorm(t *testing.T) {
	c := start(t, newFake)
	for i := range 100 {
		id := c.send(c.shell, "execute_request", code("sleep"))
		if i%2 == 0 {
			time.Sleep(time.Duration(i%7) * time.Millisecond)
		}
		for { // an interrupt that overtakes the cell on its way here finds nothing to stop
			if i%3 == 0 {
				c.session.Interrupt()
			} else {
				c.askControl("interrupt_request", map[string]any{})
			}
			select {
			case m := <-c.replies:
				if parentID(m) != id || fields(m)["ename"] != "Interrupted" {
					t.Fatalf("interrupt %d: %v", i, fields(m))
				}
			case <-time.After(5 * time.Millisecond):
				continue
			}
			break
		}
	}
	began := time.Now()
	c.ask("kernel_info_request", map[string]any{})
	if took := time.Since(began); took > time.Second {
		t.Errorf("kernel_info after the storm took %v", took)
	}
	if reply, _ := c.run("value 1"); reply["status"] != "ok" {
		t.Error(reply)
	}
}

// TestInterruptBeforeTheCellBegins interrupts a cell between the queue and its start.
func TestInterruptBeforeTheCellBegins(t *testing.T) {
	c := start(t, newFake)
	main := c.session.shells.main
	c.session.state.Lock() // holds the cell up before its busy
	id := c.send(c.shell, "execute_request", code("sleep"))
	for waits := false; !waits; time.Sleep(time.Millisecond) {
		main.mu.Lock()
		waits = main.cell() != nil
		main.mu.Unlock()
	}
	c.session.Interrupt()
	c.session.state.Unlock()
	if f := fields(c.replyTo(c.replies, id)); f["ename"] != "Interrupted" {
		t.Error(f)
	}
	if reply, _ := c.run("value 1"); reply["status"] != "ok" {
		t.Error(reply)
	}
}

func TestSecondInterruptEndsTheWorker(t *testing.T) {
	c := start(t, newFake)
	id := c.begin("native")
	c.askControl("interrupt_request", map[string]any{})
	for {
		m := c.next(c.iopub)
		if m.Header.Type == "stream" {
			if text := fields(m)["text"].(string); !strings.Contains(text, "interrupt again to end the worker") {
				t.Fatal(text)
			}
			break
		}
	}
	c.askControl("interrupt_request", map[string]any{})
	if f := fields(c.replyTo(c.replies, id)); f["ename"] != "WorkerDied" {
		t.Error(f)
	}
}

func TestInput(t *testing.T) {
	c := start(t, newFake)
	id := c.send(c.shell, "execute_request", code("input name?"))
	q := c.next(c.questions)
	if q.Header.Type != "input_request" || parentID(q) != id || fields(q)["prompt"] != "name?" {
		t.Fatal(q.Header, fields(q))
	}
	c.send(c.stdin, "input_reply", map[string]any{"status": "ok", "value": "Ada"})
	if seen := strings.Join(c.until(id), " "); !strings.Contains(seen, "got Ada") {
		t.Error(seen)
	}
	c.replyTo(c.replies, id)

	refused := code("input x")
	refused["allow_stdin"] = false
	if f := c.ask("execute_request", refused); f["evalue"] != errNoInput.Error() {
		t.Error(f)
	}
	id = c.send(c.shell, "execute_request", code("input again"))
	c.next(c.questions)
	c.askControl("interrupt_request", map[string]any{})
	if f := fields(c.replyTo(c.replies, id)); f["evalue"] != errInterrupted.Error() {
		t.Error(f)
	}
	c.send(c.stdin, "input_reply", map[string]any{"value": "too late"}) // must not answer the next question
	if reply, _ := c.run("value 1"); reply["status"] != "ok" {
		t.Error(reply)
	}
}

// A client whose stdin is connected last is asked once it is.
func TestInputOfALateClient(t *testing.T) {
	c := start(t, newFake)
	dial := func(port int) zmq4.Socket {
		s := zmq4.NewDealer(context.Background(), zmq4.WithID(zmq4.SocketIdentity("late")))
		if err := s.Dial(fmt.Sprintf("tcp://127.0.0.1:%d", port)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	shell := dial(c.conn.ShellPort)
	id := c.send(shell, "execute_request", code("input name?"))
	time.Sleep(100 * time.Millisecond)
	stdin := dial(c.conn.StdinPort)
	if q := c.next(c.receive(stdin)); parentID(q) != id {
		t.Fatal(q.Header, fields(q))
	}
	c.send(stdin, "input_reply", map[string]any{"value": "Ada"})
	if f := fields(c.replyTo(c.receive(shell), id)); f["status"] != "ok" {
		t.Error(f)
	}
}

// TestRequestInput reads after a gonbui.RequestInput: that is one question. Two of them are put one after the other, to a client
// that names no question in its answers, and what the front end was not asked for does not stay in standard input.
func TestRequestInput(t *testing.T) {
	c := start(t, newFake)
	id := c.send(c.shell, "execute_request", code("request name?\nread\nrequest first\nrequest second\nread\nread\nread"))
	for i, prompt := range []string{"name?", "first", "second", ""} {
		if q := c.next(c.questions); fields(q)["prompt"] != prompt || parentID(q) != id {
			t.Fatalf("question %d is %v, not %q", i, fields(q), prompt)
		}
		time.Sleep(20 * time.Millisecond) // for a question too many
		c.send(c.stdin, "input_reply", map[string]any{"value": fmt.Sprint(i)})
	}
	if seen := strings.ReplaceAll(strings.Join(c.until(id), ""), "stream:", ""); !strings.Contains(seen, "read 0\nread 1\nread 2\nread 3\n") {
		t.Errorf("%q", seen)
	}
	c.replyTo(c.replies, id)

	refused := code("request name?\nread")
	refused["allow_stdin"] = false
	if f := c.ask("execute_request", refused); f["evalue"] != errNoInput.Error() {
		t.Error(f)
	}
	id = c.send(c.shell, "execute_request", code("request again\nread"))
	c.next(c.questions)
	c.askControl("interrupt_request", map[string]any{})
	if f := fields(c.replyTo(c.replies, id)); f["evalue"] != errInterrupted.Error() {
		t.Error(f)
	}
	if fed := c.session.engine.(*fake).fed; len(c.questions) > 0 || len(fed) > 0 {
		t.Errorf("%d questions and %d lines too many", len(c.questions), len(fed))
	}
}

func TestBackgroundOutputKeepsItsCell(t *testing.T) {
	c := start(t, newFake)
	id := c.send(c.shell, "execute_request", code("later tick"))
	c.replyTo(c.replies, id)
	c.run("print other")
	for {
		if m := c.next(c.iopub); m.Header.Type == "stream" && fields(m)["text"] == "tick\n" {
			if parentID(m) != id {
				t.Error("output of a goroutine went to another cell")
			}
			return
		}
	}
}

func TestUnicodeCursor(t *testing.T) {
	c := start(t, newFake)
	text := "😀é.Pri rest"
	f := c.ask("complete_request", map[string]any{"code": text, "cursor_pos": 6})
	if f["matches"].([]any)[0] != "PriDone" || f["cursor_start"] != 3.0 || f["cursor_end"] != 6.0 {
		t.Error(f)
	}
	experimental := f["metadata"].(map[string]any)["_jupyter_types_experimental"].([]any)[0].(map[string]any)
	if experimental["type"] != "function" || experimental["signature"] != "func()" || experimental["start"] != 3.0 {
		t.Error(experimental)
	}
	f = c.ask("inspect_request", map[string]any{"code": text, "cursor_pos": 2, "detail_level": 1})
	if data := f["data"].(map[string]any); data["text/plain"] != "😀é|1" || f["found"] != true {
		t.Error(f)
	}
	f = c.ask("complete_request", map[string]any{"code": text, "cursor_pos": 99999})
	if f["cursor_end"] != 11.0 {
		t.Error(f)
	}
}

func TestAnswersWhileACellRuns(t *testing.T) {
	c := start(t, newFake)
	id := c.begin("sleep")
	for _, kind := range []string{"kernel_info_request", "complete_request", "inspect_request", "is_complete_request", "comm_info_request"} {
		if f := c.ask(kind, map[string]any{"code": "x", "cursor_pos": 1}); f["status"] == "error" {
			t.Error(kind, f)
		}
	}
	sub := c.askControl("create_subshell_request", map[string]any{})["subshell_id"].(string)
	c.replyTo(c.replies, c.send(c.shell, "execute_request", code("value 1"), sub))
	state := "" // what a front end would show now
	for quiet := false; !quiet; {
		select {
		case m := <-c.iopub:
			if m.Header.Type == "status" {
				state = fields(m)["execution_state"].(string)
			}
		case <-time.After(300 * time.Millisecond): // nothing more is on its way
			quiet = true
		}
	}
	if state != "busy" {
		t.Errorf("front ends show %q while a cell runs", state)
	}
	c.session.Interrupt()
	c.replyTo(c.replies, id)
}

func TestHistory(t *testing.T) {
	c := start(t, newFake)
	for _, text := range []string{"value 1", "value a/b", "value 1", `print \n`} {
		c.run(text)
	}
	for _, test := range []struct{ request, want string }{
		{`{"hist_access_type":"tail","n":2}`, "[[1 3 value 1] [1 4 print \\n]]"},
		{`{"hist_access_type":"tail","n":9,"output":true}`, "[[1 1 [value 1 1]] [1 2 [value a/b a/b]] [1 3 [value 1 1]] [1 4 [print \\n ]]]"},
		{`{"hist_access_type":"range","session":0,"start":1,"stop":2}`, "[[1 1 value 1]]"},
		{`{"hist_access_type":"range","session":1,"start":3}`, "[[1 3 value 1] [1 4 print \\n]]"},
		{`{"hist_access_type":"search","pattern":"value*"}`, "[[1 1 value 1] [1 2 value a/b] [1 3 value 1]]"},
		{`{"hist_access_type":"search","pattern":"*1","unique":true}`, "[[1 3 value 1]]"},
		{`{"hist_access_type":"search","pattern":"v*","n":1}`, "[[1 3 value 1]]"},
		{`{"hist_access_type":"search","pattern":"print \\n*"}`, "[[1 4 print \\n]]"},
		{`{"hist_access_type":"tail","n":-5}`, "[]"},
	} {
		f := c.ask("history_request", jsonText(test.request))
		if got := fmt.Sprint(f["history"]); got != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", test.request, got, test.want)
		}
	}
}

func TestSubshells(t *testing.T) {
	c := start(t, newFake)
	sub := c.askControl("create_subshell_request", map[string]any{})["subshell_id"].(string)
	if f := c.askControl("list_subshell_request", map[string]any{}); fmt.Sprint(f["subshell_id"]) != "["+sub+"]" {
		t.Error(f)
	}
	main := c.begin("sleep")
	id := c.send(c.shell, "execute_request", code("print beside"), sub)
	if f := fields(c.replyTo(c.replies, id)); f["status"] != "ok" {
		t.Error("the subshell waited for the main shell:", f)
	}
	c.session.Interrupt()
	c.replyTo(c.replies, main)
	if f := c.askControl("delete_subshell_request", map[string]any{"subshell_id": sub}); f["status"] != "ok" {
		t.Error(f)
	}
	id = c.send(c.shell, "execute_request", code("print gone"), sub)
	if f := fields(c.replyTo(c.replies, id)); f["status"] != "error" {
		t.Error(f)
	}
	c.send(c.shell, "comm_open", map[string]any{"comm_id": "g", "target_name": "gonb_comm", "data": map[string]any{}}, sub)
	c.send(c.shell, "nonsense", map[string]any{}, sub)
	info := c.send(c.shell, "comm_info_request", map[string]any{})
	if m := c.next(c.replies); parentID(m) != info || fmt.Sprint(fields(m)["comms"]) != "map[g:map[target_name:gonb_comm]]" {
		t.Errorf("%s %s", m.Header.Type, m.Content) // no message gets a reply that it has none of
	}
	sub = c.askControl("create_subshell_request", map[string]any{})["subshell_id"].(string)
	stopped := c.send(c.shell, "execute_request", code("sleep"), sub)
	for m := c.next(c.iopub); m.Header.Type != "execute_input" || parentID(m) != stopped; m = c.next(c.iopub) {
	}
	id = c.send(c.shell, "execute_request", code("print never"), sub)
	only := c.send(c.shell, "history_request", map[string]any{"hist_access_type": "tail", "n": 1}, sub)
	c.ask("kernel_info_request", map[string]any{}) // they have been read
	c.askControl("delete_subshell_request", map[string]any{"subshell_id": sub})
	got := map[string]any{}
	for range 3 {
		m := c.next(c.replies)
		got[parentID(m)] = fields(m)["status"]
	}
	if got[stopped] != "error" || got[id] != "aborted" || got[only] != "ok" {
		t.Error(got)
	}
	f := c.ask("kernel_info_request", map[string]any{})
	if fmt.Sprint(f["supported_features"]) != "[kernel subshells]" || f["protocol_version"] != "5.5" {
		t.Error(f)
	}
}

// TestSubshellTakesNothingOver displays from a cell while a subshell's waits for its turn, and then from that: each is shown in its own cell.
func TestSubshellTakesNothingOver(t *testing.T) {
	c := start(t, newFake)
	sub := c.askControl("create_subshell_request", map[string]any{})["subshell_id"].(string)
	main := c.begin("turn\nhold\ngonbui main\ngonbui main")
	other := c.send(c.shell, "execute_request", code("turn\ngonbui sub"), sub)
	for m := c.next(c.iopub); m.Header.Type != "execute_input" || parentID(m) != other; m = c.next(c.iopub) {
	}
	c.session.engine.(*fake).held <- true
	shown := map[string]string{}
	for idle := 0; idle < 2; {
		switch m := c.next(c.iopub); m.Header.Type {
		case "display_data", "update_display_data":
			shown[fields(m)["data"].(map[string]any)["text/html"].(string)] = parentID(m)
		case "status":
			if fields(m)["execution_state"] == "idle" && (parentID(m) == main || parentID(m) == other) {
				idle++
			}
		}
	}
	if shown["main"] != main || shown["sub"] != other {
		t.Errorf("the cells are %s and %s, the displays in %v", main, other, shown)
	}
}

// TestGuests has the main shell's cell go on in a goroutine, while requests of a subshell and silent ones come and go: what it prints
// and displays stays in its cell.
func TestGuests(t *testing.T) {
	c := start(t, newFake)
	f := c.session.engine.(*fake)
	sub := c.askControl("create_subshell_request", map[string]any{})["subshell_id"].(string)
	id := c.send(c.shell, "execute_request", code("print main"))
	c.replyTo(c.replies, id)
	silent := code("print silent")
	silent["silent"] = true
	for _, guest := range []func() string{
		func() string { return c.send(c.shell, "execute_request", silent) },
		func() string { return c.send(c.shell, "execute_request", code("print sub\ngonbui sub"), sub) },
	} {
		request := guest()
		c.replyTo(c.replies, request)
		f.mu.Lock()
		worker := f.latest
		f.mu.Unlock()
		worker.Stream("stdout", "later\n")
		f.gonbui(protocol.MIMETextHTML, "later", "")
		for late := 0; late < 2; {
			m := c.next(c.iopub)
			switch shown := fmt.Sprint(fields(m)["text"], fields(m)["data"]); {
			case strings.Contains(shown, "later"):
				if late++; parentID(m) != id {
					t.Errorf("%s of the main shell's goroutine is in another cell", m.Header.Type)
				}
			case strings.Contains(shown, "silent"), strings.Contains(shown, "sub"):
				if parentID(m) != request {
					t.Errorf("%s of the guest is in another cell", m.Header.Type)
				}
			}
		}
	}
}

func TestComms(t *testing.T) {
	c := start(t, newFake)
	c.send(c.shell, "comm_open", map[string]any{"comm_id": "w", "target_name": "jupyter.widget", "data": map[string]any{}})
	for {
		if m := c.next(c.iopub); m.Header.Type == "comm_close" {
			if fields(m)["comm_id"] != "w" {
				t.Error(fields(m))
			}
			break
		}
	}
	c.send(c.shell, "comm_open", map[string]any{"comm_id": "g", "target_name": "gonb_comm", "data": map[string]any{}})
	if f := c.ask("comm_info_request", map[string]any{"target_name": "gonb_comm"}); fmt.Sprint(f["comms"]) != "map[g:map[target_name:gonb_comm]]" {
		t.Error(f)
	}
	c.send(c.shell, "comm_close", map[string]any{"comm_id": "g", "data": map[string]any{}})
	if f := c.ask("comm_info_request", map[string]any{}); fmt.Sprint(f["comms"]) != "map[]" {
		t.Error(f)
	}
}

func TestUsage(t *testing.T) {
	c := start(t, newFake)
	f := c.askControl("usage_request", map[string]any{})
	if f["kernel_memory"].(float64) < 1<<20 || f["cpu_count"].(float64) < 1 {
		t.Error(f)
	}
	c.session.mu.Lock()
	c.session.usage.kernel += 1e6 // of a worker that has died since
	c.session.mu.Unlock()
	if f := c.askControl("usage_request", map[string]any{}); f["kernel_cpu"].(float64) < 0 {
		t.Error(f)
	}
}

// A worker that takes long to start holds up the answer about its use of the processor, and nothing else on the control channel.
func TestUsageOfAWorkerThatStarts(t *testing.T) {
	c := start(t, newFake)
	f := c.session.engine.(*fake)
	f.start.Lock()
	usage := c.send(c.control, "usage_request", map[string]any{})
	interrupt := c.send(c.control, "interrupt_request", map[string]any{})
	if m := c.next(c.controls); parentID(m) != interrupt {
		t.Errorf("%s comes first", m.Header.Type)
	}
	f.start.Unlock()
	c.replyTo(c.controls, usage)
}

func TestShutdown(t *testing.T) {
	for _, restart := range []bool{false, true} {
		c := start(t, newFake)
		c.send(c.shell, "execute_request", code("sleep"))
		f := c.askControl("shutdown_request", map[string]any{"restart": restart})
		if f["restart"] != restart || f["status"] != "ok" {
			t.Error(f)
		}
		select {
		case got := <-c.served:
			if got != restart {
				t.Errorf("Serve reports restart=%v", got)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("still serving 5 s after the shutdown request")
		}
		if f := c.session.engine.(*fake); !f.closed {
			t.Error("the engine was not closed")
		}
	}
}

func TestBadMessagesAreDropped(t *testing.T) {
	c := start(t, newFake)
	good, _ := wire.Child(nil, c.id, "execute_request", code("print once"))
	forged := good.Frames(wire.NewSigner("another key"))
	frames := good.Frames(c.out)
	for _, bad := range [][][]byte{
		forged, {[]byte("x")}, {[]byte("<IDS|MSG>")}, frames[:3], {},
		{[]byte("<IDS|MSG>"), []byte("00"), []byte("\xff"), {}, {}, {}},
	} {
		if len(bad) > 0 {
			c.shell.Send(zmq4.NewMsgFrom(bad...))
		}
	}
	c.shell.Send(zmq4.NewMsgFrom(frames...))
	c.shell.Send(zmq4.NewMsgFrom(frames...)) // a replay
	c.replyTo(c.replies, good.Header.ID)
	for _, odd := range []any{jsonText(`[]`), jsonText(`{"code":7}`), jsonText(`{"cursor_pos":"x"}`), jsonText("{\"code\":\"\xff\"}")} {
		for _, kind := range []string{"execute_request", "complete_request", "nonsense_request", "comm_open", "comm_msg", "input_reply"} {
			c.send(c.shell, kind, odd)
			c.send(c.control, kind, odd)
			c.send(c.stdin, kind, odd)
		}
	}
	if f := c.ask("kernel_info_request", map[string]any{}); f["status"] != "ok" {
		t.Error(f)
	}
	runs := 0
	for len(c.iopub) > 0 {
		if m := <-c.iopub; m.Header.Type == "stream" && strings.Contains(fields(m)["text"].(string), "once") {
			runs++
		}
	}
	if runs > 1 {
		t.Error("a replayed cell ran again")
	}
	if c.session.dropped.Load() < 6 {
		t.Errorf("%d messages dropped", c.session.dropped.Load())
	}
}

func TestReconnectingClient(t *testing.T) {
	c := start(t, newFake)
	for i := range 5 {
		c.run(fmt.Sprint("value ", i))
		if i%2 == 0 {
			c.shell.Close()
		}
		c.connect("same-identity") // with or without the old connections still open
	}
	if reply, _ := c.run("value x"); reply["execution_count"] != 6.0 {
		t.Error(reply)
	}
}

func TestHeartbeatDuringACell(t *testing.T) {
	c := start(t, newFake)
	id := c.begin("sleep")
	ping := zmq4.NewReq(context.Background())
	defer ping.Close()
	if err := ping.Dial(fmt.Sprintf("tcp://127.0.0.1:%d", c.conn.HeartbeatPort)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ping.Send(zmq4.NewMsgString("ping"))
		if m, err := ping.Recv(); err != nil || string(m.Bytes()) != "ping" {
			t.Fatal(m, err)
		}
	}
	c.session.Interrupt()
	c.replyTo(c.replies, id)
}

func TestMillionLines(t *testing.T) {
	c := start(t, newFake)
	id := c.send(c.shell, "execute_request", code("flood"))
	var all strings.Builder
	var first time.Time
	messages := 0
	for {
		m := c.next(c.iopub)
		if parentID(m) != id {
			continue
		}
		if m.Header.Type == "stream" {
			if first.IsZero() {
				first = time.Now()
			}
			messages++
			all.WriteString(fields(m)["text"].(string))
		}
		if m.Header.Type == "status" && fields(m)["execution_state"] == "idle" {
			break
		}
	}
	took := time.Since(first).Seconds()
	text := all.String()
	if !strings.HasPrefix(text, "0\n1\n2\n") || !strings.HasSuffix(text, "999998\n999999\n") {
		t.Errorf("the first or the last lines are missing: …%q", text[max(0, len(text)-40):])
	}
	if rate := float64(len(text)) / max(took, 3); rate > 1e6 {
		t.Errorf("%.0f bytes/s, above jupyter_server's limit", rate)
	}
	if rate := float64(messages) / max(took, 3); rate > 1000 {
		t.Errorf("%.0f messages/s, above jupyter_server's limit", rate)
	}
}

// TestEarlyRequest sends a request while the engine is being made: it waits, and is answered then.
func TestEarlyRequest(t *testing.T) {
	conn := wire.Connection{
		Transport: "ipc", IP: filepath.Join(t.TempDir(), "k"), Key: testKey, SignatureScheme: "hmac-sha256",
		ShellPort: 1, ControlPort: 2, StdinPort: 3, IOPubPort: 4, HeartbeatPort: 5,
	}
	path := filepath.Join(t.TempDir(), "kernel-test.json")
	data, _ := json.Marshal(conn)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, id: "early", out: wire.NewSigner(testKey), in: wire.NewSigner(testKey)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.shell = zmq4.NewDealer(ctx, zmq4.WithID(zmq4.SocketIdentity(c.id)))
	defer c.shell.Close()
	id := ""
	s, err := New(path, func(env WorkerEnv) (Engine, error) {
		if err := c.shell.Dial(fmt.Sprintf("ipc://%s-%d", conn.IP, conn.ShellPort)); err != nil {
			return nil, err
		}
		c.replies = c.receive(c.shell)
		id = c.send(c.shell, "execute_request", map[string]any{"code": "value 7"})
		select {
		case m := <-c.replies:
			t.Errorf("%s before the engine was there", m.Header.Type)
		case <-time.After(200 * time.Millisecond):
		}
		return newFake(env)
	})
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve()
	defer s.End()
	if m := c.next(c.replies); parentID(m) != id || fields(m)["status"] != "ok" {
		t.Errorf("%s %s", m.Header.Type, m.Content)
	}
}
