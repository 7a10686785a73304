package wire

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

func ExampleParse() {
	signer := NewSigner("secret")
	request, _ := Child(nil, "session", "execute_request", map[string]string{"code": "1 + 1 < 3"})
	m, err := Parse(request.Frames(signer), signer)
	fmt.Println(m.Header.Type, string(m.Content), err)
	_, err = Parse(request.Frames(signer), signer)
	fmt.Println(err)
	_, err = Parse(request.Frames(NewSigner("guess")), signer)
	fmt.Println(err)
	// Output:
	// execute_request {"code":"1 + 1 < 3"} <nil>
	// message was already seen
	// signature does not match
}

func TestSignerForgetsTheOldest(t *testing.T) {
	s := NewSigner("k")
	part := func(i int) [][]byte { return [][]byte{binary.BigEndian.AppendUint32(nil, uint32(i))} }
	for i := range remembered + 10 {
		if err := s.Check(s.Sign(part(i)), part(i)); err != nil {
			t.Fatal(i, err)
		}
	}
	if len(s.seen) != remembered {
		t.Errorf("%d signatures kept", len(s.seen))
	}
	if err := s.Check(s.Sign(part(remembered)), part(remembered)); !errors.Is(err, ErrReplay) {
		t.Error(err)
	}
	if err := s.Check(s.Sign(part(3)), part(3)); err != nil {
		t.Error("the oldest was not forgotten:", err)
	}
}

func TestReadConnection(t *testing.T) {
	for _, test := range []struct{ text, err string }{
		{`{"ip":"127.0.0.1","key":"k"}`, ""},
		{`{"ip":"127.0.0.1","key":""}`, ""},
		{`{"ip":"0.0.0.0","key":""}`, "can be reached from other machines"},
		{`{"key":"k"}`, "no ip"},
		{`{"ip":"::1","transport":"udp"}`, `transport "udp"`},
		{`{"ip":"::1","signature_scheme":"hmac-md5"}`, `"hmac-md5"`},
		{`{"ip":"::1","shell_port":70000}`, "port 70000"},
		{`{`, "not JSON"},
	} {
		path := filepath.Join(t.TempDir(), "kernel.json")
		os.WriteFile(path, []byte(test.text), 0o600)
		_, err := ReadConnection(path)
		if (err == nil) != (test.err == "") || err != nil && (!strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: %v", test.text, err)
		}
	}
	if _, err := ReadConnection("/nowhere/kernel.json"); err == nil {
		t.Error("a missing file was read")
	}
}

func listen(t *testing.T, signer *Signer, handle func(*Message)) *Router {
	t.Helper()
	r, err := ListenRouter(&Connection{Transport: "tcp", IP: "127.0.0.1"}, 0, signer, handle, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// Peers that break the framing lose their connection and nothing else.
func TestHostilePeers(t *testing.T) {
	signer := NewSigner("k")
	got := make(chan *Message, 10)
	r := listen(t, signer, func(m *Message) { got <- m })
	ready := func(kind string) []byte {
		body := "\x05READY\x0bSocket-Type\x00\x00\x00" + string(rune(len(kind))) + kind
		return append([]byte{4, byte(len(body))}, body...)
	}
	hello := make([]byte, 64)
	hello[0], hello[8], hello[9], hello[10] = 0xFF, 1, 0x7F, 3
	copy(hello[12:], "NULL")
	huge := binary.BigEndian.AppendUint64([]byte{2}, 1<<62)
	for name, send := range map[string][]byte{
		"nothing":          {},
		"text":             []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("x", 100)),
		"huge handshake":   append(bytes.Clone(hello), binary.BigEndian.AppendUint64([]byte{6}, 1<<40)...),
		"unknown socket":   append(bytes.Clone(hello), ready("NONSENSE")...),
		"huge frame":       append(append(bytes.Clone(hello), ready("DEALER")...), huge...),
		"endless frames":   append(append(bytes.Clone(hello), ready("DEALER")...), bytes.Repeat([]byte{1, 0}, 2*maxFrames)...),
		"truncated frame":  append(append(bytes.Clone(hello), ready("DEALER")...), 0, 200, 1, 2),
		"truncated ping":   append(append(bytes.Clone(hello), ready("DEALER")...), 4, 5, 4, 'P', 'I', 'N', 'G'),
		"large, half sent": append(append(bytes.Clone(hello), ready("DEALER")...), binary.BigEndian.AppendUint64([]byte{2}, 200<<20)...),
	} {
		c, err := net.Dial("tcp", r.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(send); err != nil && !errors.Is(err, io.EOF) {
			t.Log(name, err)
		}
		time.Sleep(10 * time.Millisecond)
		defer c.Close()
	}
	client := zmq4.NewDealer(context.Background())
	defer client.Close()
	if err := client.Dial("tcp://" + r.Addr().String()); err != nil {
		t.Fatal(err)
	}
	m, _ := Child(nil, "s", "kernel_info_request", map[string]any{})
	m.Buffers = [][]byte{bytes.Repeat([]byte("b"), 10<<20)}
	if err := client.Send(zmq4.NewMsgFrom(m.Frames(signer)...)); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-got:
		if len(m.Buffers) != 1 || len(m.Buffers[0]) != 10<<20 {
			t.Error("the buffer did not arrive")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a good client is not served")
	}
}

// A port that another program holds is waited for, and named when it stays taken.
func TestPortInUse(t *testing.T) {
	portWait = 0
	defer func() { portWait = 3 * time.Second }()
	holder, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := holder.Addr().(*net.TCPAddr).Port
	c := &Connection{Transport: "tcp", IP: "127.0.0.1"}
	if _, err := ListenHeartbeat(c, port); err == nil || !strings.Contains(err.Error(), fmt.Sprint(port)) {
		t.Error(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { holder.Close() })
	portWait = time.Minute
	h, err := ListenHeartbeat(c, port)
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
}

// A client that does not read is cut off once its queue is full, and does not hold up the others.
func TestPeerThatDoesNotRead(t *testing.T) {
	patience = 200 * time.Millisecond
	defer func() { patience = 10 * time.Second }()
	p, err := ListenPublisher(&Connection{Transport: "tcp", IP: "127.0.0.1"}, 0, NewSigner("k"), "s")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	raw, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	hello := make([]byte, 64)
	hello[0], hello[8], hello[9], hello[10] = 0xFF, 1, 0x7F, 3
	copy(hello[12:], "NULL")
	raw.Write(append(hello, "\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB\x00\x01\x01"...))
	for len(p.peers()) == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	peer := p.peers()[0]
	big, _ := Child(nil, "s", "stream", strings.Repeat("x", 8<<20))
	done := make(chan struct{})
	go func() {
		for range 30 {
			p.Publish(big)
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(patience + 10*time.Second):
		t.Fatal("still waiting for a peer that does not read")
	}
	peer.mu.Lock()
	defer peer.mu.Unlock()
	if !peer.closed {
		t.Error("the peer was not cut off")
	}
}

// The process ends right after the sockets are closed: what is queued has been sent by then.
func TestCloseSendsWhatIsQueued(t *testing.T) {
	signer := NewSigner("k")
	got := make(chan *Message, 1)
	r := listen(t, signer, func(m *Message) { got <- m })
	client := zmq4.NewDealer(context.Background())
	defer client.Close()
	if err := client.Dial("tcp://" + r.Addr().String()); err != nil {
		t.Fatal(err)
	}
	request, _ := Child(nil, "s", "kernel_info_request", map[string]any{})
	client.Send(zmq4.NewMsgFrom(request.Frames(signer)...))
	reply, _ := Child(<-got, "s", "kernel_info_reply", strings.Repeat("x", 1<<20))
	for range 30 {
		r.Send(reply)
	}
	peer := r.peers()[0]
	go func() {
		for {
			if _, err := client.Recv(); err != nil {
				return
			}
		}
	}()
	r.Close()
	peer.mu.Lock()
	defer peer.mu.Unlock()
	if peer.pending > 0 {
		t.Errorf("%d bytes are not sent", peer.pending)
	}
}

func TestWelcomeAndTopics(t *testing.T) {
	signer := NewSigner("k")
	p, err := ListenPublisher(&Connection{Transport: "tcp", IP: "127.0.0.1"}, 0, signer, "s")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	sub := zmq4.NewSub(context.Background())
	defer sub.Close()
	if err := sub.Dial("tcp://" + p.Addr().String()); err != nil {
		t.Fatal(err)
	}
	sub.SetOption(zmq4.OptionSubscribe, "kernel.s.status")
	read := func() *Message {
		raw, err := sub.Recv()
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(raw.Frames, NewSigner("k"))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := read(); m.Header.Type != "iopub_welcome" || string(m.Content) != `{"subscription":"kernel.s.status"}` {
		t.Fatal(m.Header, string(m.Content))
	}
	for _, kind := range []string{"stream", "status"} {
		m, _ := Child(nil, "s", kind, map[string]any{})
		p.Publish(m)
	}
	if m := read(); m.Header.Type != "status" {
		t.Error("not subscribed to", m.Header.Type)
	}
}

// Whatever arrives, Parse neither panics nor accepts what is not signed.
func FuzzParse(f *testing.F) {
	signer := NewSigner("secret")
	good, _ := Child(nil, "s", "execute_request", map[string]any{"code": "x := 1"})
	good.Identities = [][]byte{[]byte("id")}
	good.Buffers = [][]byte{{0, 1, 2}}
	f.Add(bytes.Join(good.Frames(signer), []byte("|--|")), true)
	f.Add([]byte("<IDS|MSG>|--||--|{}|--|{}|--|{}|--|{}"), false)
	f.Add([]byte("<IDS|MSG>|--||--|null|--|[]|--|\xff|--|1"), false)
	f.Fuzz(func(t *testing.T, raw []byte, signed bool) {
		frames := bytes.Split(raw, []byte("|--|"))
		s := NewSigner("")
		if signed {
			s = NewSigner("secret")
		}
		m, err := Parse(frames, s)
		if err != nil {
			return
		}
		for _, part := range []json.RawMessage{m.Raw, m.Parent, m.Metadata, m.Content} {
			var object map[string]any
			if json.Unmarshal(part, &object) != nil {
				t.Fatalf("%q was accepted as an object", part)
			}
		}
		again, err := Parse(m.Frames(s), NewSigner(string(s.key)))
		if err != nil || !bytes.Equal(again.Content, m.Content) {
			t.Fatal("does not survive a round trip:", err)
		}
	})
}

// Whatever a peer sends after the handshake, reading it ends, within the limits.
func FuzzReadMessage(f *testing.F) {
	f.Add([]byte{1, 3, 'a', 'b', 'c', 0, 0})
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 1, 'x'})
	f.Add([]byte{3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{4, 5, 4, 'P', 'I', 'N', 'G'})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bufio.NewReader(bytes.NewReader(raw))
		for {
			frames, command, err := readMessage(r)
			if err != nil {
				return
			}
			if len(frames) == 0 || command && len(frames) < 1 {
				t.Fatal("a message without frames")
			}
		}
	})
}
