package session

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/lohakit/notebook/kernel/internal/wire"
)

const testKey = "0123456789abcdef"

// client is a Jupyter client over real ZeroMQ sockets.
type client struct {
	t                     *testing.T
	path                  string
	session               *Session
	conn                  wire.Connection
	id                    string
	out, in               *wire.Signer
	shell, control, stdin zmq4.Socket
	iopub                 chan *wire.Message
	replies, controls     chan *wire.Message
	questions             chan *wire.Message
	served                chan bool
}

// start serves a session with the engine and connects a client to it.
func start(t *testing.T, engine func(WorkerEnv) (Engine, error)) *client {
	t.Helper()
	// No ports are named, so that the system chooses free ones as it binds: a port found before may be taken by then.
	c := &client{t: t, served: make(chan bool, 1), conn: wire.Connection{
		Transport: "tcp", IP: "127.0.0.1", Key: testKey, SignatureScheme: "hmac-sha256",
	}}
	c.path = filepath.Join(t.TempDir(), "kernel-test.json")
	data, _ := json.Marshal(c.conn)
	if err := os.WriteFile(c.path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if c.session, err = New(c.path, engine); err != nil {
		t.Fatal(err)
	}
	c.conn.ShellPort, c.conn.ControlPort, c.conn.StdinPort = port(c.session.shell), port(c.session.control), port(c.session.stdin)
	c.conn.IOPubPort, c.conn.HeartbeatPort = port(c.session.iopub), port(c.session.heartbeat)
	go func() { c.served <- c.session.Serve() }()
	t.Cleanup(c.session.End)
	c.connect("client-" + wire.NewID())
	return c
}

func port(bound interface{ Addr() net.Addr }) int { return bound.Addr().(*net.TCPAddr).Port }

// connect opens the client's sockets under the identity, and waits for iopub_welcome.
func (c *client) connect(identity string) {
	c.t.Helper()
	c.id, c.out, c.in = identity, wire.NewSigner(testKey), wire.NewSigner(testKey)
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(cancel)
	dial := func(s zmq4.Socket, port int) zmq4.Socket {
		if err := s.Dial(fmt.Sprintf("tcp://127.0.0.1:%d", port)); err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { s.Close() })
		return s
	}
	id := zmq4.WithID(zmq4.SocketIdentity(identity))
	c.shell = dial(zmq4.NewDealer(ctx, id), c.conn.ShellPort)
	c.control = dial(zmq4.NewDealer(ctx, id), c.conn.ControlPort)
	c.stdin = dial(zmq4.NewDealer(ctx, id), c.conn.StdinPort)
	iopub := dial(zmq4.NewSub(ctx), c.conn.IOPubPort)
	if err := iopub.SetOption(zmq4.OptionSubscribe, ""); err != nil {
		c.t.Fatal(err)
	}
	c.iopub, c.replies, c.controls, c.questions = c.receive(iopub), c.receive(c.shell), c.receive(c.control), c.receive(c.stdin)
	if m := c.next(c.iopub); m.Header.Type != "iopub_welcome" {
		c.t.Fatalf("first message on iopub is %s", m.Header.Type)
	}
}

func (c *client) receive(s zmq4.Socket) chan *wire.Message {
	out := make(chan *wire.Message, 100_000)
	signer := c.in
	go func() {
		for {
			raw, err := s.Recv()
			if err != nil {
				return
			}
			m, err := wire.Parse(raw.Frames, signer)
			if err != nil {
				c.t.Errorf("client received a bad message: %v", err)
				return
			}
			out <- m
		}
	}()
	return out
}

func (c *client) next(from chan *wire.Message) *wire.Message {
	c.t.Helper()
	select {
	case m := <-from:
		return m
	case <-time.After(time.Minute):
		c.t.Fatal("no message within a minute")
		return nil
	}
}

// send sends a message and returns its id. More holds header fields: subshell_id.
func (c *client) send(to zmq4.Socket, kind string, content any, more ...string) string {
	c.t.Helper()
	m, err := wire.Child(nil, c.id, kind, content)
	if err != nil {
		c.t.Fatal(err)
	}
	if len(more) > 0 {
		m.Header.Subshell = more[0]
		m.Raw, _ = json.Marshal(m.Header)
	}
	if err := to.Send(zmq4.NewMsgFrom(m.Frames(c.out)...)); err != nil {
		c.t.Fatal(err)
	}
	return m.Header.ID
}

func fields(m *wire.Message) map[string]any {
	var f map[string]any
	json.Unmarshal(m.Content, &f)
	return f
}

func parentID(m *wire.Message) string {
	var h wire.Header
	json.Unmarshal(m.Parent, &h)
	return h.ID
}

// ask sends a request on a socket and returns the content of its reply.
func (c *client) ask(kind string, content any) map[string]any {
	c.t.Helper()
	id := c.send(c.shell, kind, content)
	return fields(c.replyTo(c.replies, id))
}

func (c *client) askControl(kind string, content any) map[string]any {
	c.t.Helper()
	id := c.send(c.control, kind, content)
	return fields(c.replyTo(c.controls, id))
}

func (c *client) replyTo(from chan *wire.Message, id string) *wire.Message {
	c.t.Helper()
	for {
		if m := c.next(from); parentID(m) == id {
			return m
		}
	}
}

// code is the content of an execute_request.
func code(text string) map[string]any {
	return map[string]any{"code": text, "silent": false, "store_history": true, "user_expressions": map[string]string{},
		"allow_stdin": true, "stop_on_error": true}
}

// until collects the iopub messages of the request up to its idle, each as "type" or "type:text".
func (c *client) until(id string) (list []string) {
	c.t.Helper()
	for {
		m := c.next(c.iopub)
		if parentID(m) != id {
			continue
		}
		f := fields(m)
		line := m.Header.Type
		switch line {
		case "stream":
			line += ":" + f["text"].(string)
		case "status":
			line += ":" + f["execution_state"].(string)
		}
		list = append(list, line)
		if line == "status:idle" {
			return list
		}
	}
}

// begin starts a cell and returns its request's id once it runs.
func (c *client) begin(text string) string {
	c.t.Helper()
	id := c.send(c.shell, "execute_request", code(text))
	for {
		if m := c.next(c.iopub); m.Header.Type == "execute_input" && parentID(m) == id {
			return id
		}
	}
}

// run executes a cell and returns the reply and the iopub messages.
func (c *client) run(text string) (map[string]any, []string) {
	c.t.Helper()
	id := c.send(c.shell, "execute_request", code(text))
	seen := c.until(id)
	return fields(c.replyTo(c.replies, id)), seen
}

func want(t *testing.T, got []string, wanted string) {
	t.Helper()
	if g := strings.Join(got, " "); g != wanted {
		t.Errorf("got  %q\nwant %q", g, wanted)
	}
}

// jsonText is JSON passed on as it is, also where it is broken.
type jsonText string

func (j jsonText) MarshalJSON() ([]byte, error) { return []byte(j), nil }
