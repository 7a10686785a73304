package wire

import (
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
)

// server accepts the peers of one socket and keeps the list of those connected.
type server struct {
	listener net.Listener
	kind     zmq4.SocketType
	serve    func(*conn) // runs until the peer is gone

	mu     sync.Mutex
	conns  []*conn
	closed bool
}

func (s *server) start() {
	go func() {
		for {
			raw, err := s.listener.Accept()
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil: // out of file descriptors, a connection reset while queued
				time.Sleep(10 * time.Millisecond)
			default:
				go s.meet(raw)
			}
		}
	}()
}

func (s *server) meet(raw net.Conn) {
	c, err := open(raw, s.kind)
	if err != nil {
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.abort()
		return
	}
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	s.serve(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.conns {
		if s.conns[i] == c {
			s.conns = append(s.conns[:i:i], s.conns[i+1:]...)
			return
		}
	}
}

func (s *server) peers() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[:len(s.conns):len(s.conns)]
}

// close stops listening, and closes every peer after what is queued for it has been sent: the process may end after it.
func (s *server) close() {
	s.listener.Close()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	peers := s.peers()
	for _, c := range peers {
		c.close()
	}
	for _, c := range peers {
		<-c.done
	}
}

// Router is a ROUTER socket: shell, control or stdin.
type Router struct {
	server
	signer *Signer
}

// ListenRouter binds the port. Handle gets each valid message, from one peer in the order sent, from several peers
// concurrently; a message that does not parse or whose signature is wrong goes to drop instead, with the reason.
func ListenRouter(c *Connection, port int, signer *Signer, handle func(*Message), drop func(error)) (*Router, error) {
	listener, err := c.listen(port)
	if err != nil {
		return nil, err
	}
	r := &Router{signer: signer}
	r.server = server{listener: listener, kind: zmq4.Router}
	r.serve = func(peer *conn) {
		for {
			frames, err := peer.recv()
			if err != nil {
				return
			}
			m, err := Parse(frames, signer)
			if err != nil {
				drop(err)
				continue
			}
			m.Identities = append([][]byte{[]byte(peer.id)}, m.Identities...)
			handle(m)
		}
	}
	r.start()
	return r, nil
}

// Send sends a message to the peer named by its first identity. Where several connections carry that identity, as after a
// client has reconnected, the newest gets it; where none does, the message is dropped, and Send returns false.
func (r *Router) Send(m *Message) bool {
	if len(m.Identities) == 0 {
		return false
	}
	peers, id := r.peers(), string(m.Identities[0])
	for i := len(peers) - 1; i >= 0; i-- {
		if peers[i].id == id {
			rest := *m
			rest.Identities = m.Identities[1:]
			peers[i].send(rest.Frames(r.signer))
			return true
		}
	}
	return false
}

// Addr is the address bound.
func (r *Router) Addr() net.Addr { return r.listener.Addr() }

// Close sends what is queued and closes the socket.
func (r *Router) Close() { r.close() }

// Publisher is the XPUB socket of iopub.
type Publisher struct {
	server
	signer  *Signer
	session string

	topics sync.Map // *conn to *subscriptions
}

type subscriptions struct {
	mu    sync.Mutex
	count map[string]int
}

func (s *subscriptions) match(topic string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for prefix := range s.count {
		if strings.HasPrefix(topic, prefix) {
			return true
		}
	}
	return false
}

// ListenPublisher binds the port. Each subscription is answered with an iopub_welcome of the session.
func ListenPublisher(c *Connection, port int, signer *Signer, session string) (*Publisher, error) {
	listener, err := c.listen(port)
	if err != nil {
		return nil, err
	}
	p := &Publisher{signer: signer, session: session}
	p.server = server{listener: listener, kind: zmq4.XPub, serve: p.subscriber}
	p.start()
	return p, nil
}

func (p *Publisher) subscriber(peer *conn) {
	subs := &subscriptions{count: map[string]int{}}
	p.topics.Store(peer, subs)
	defer p.topics.Delete(peer)
	for {
		frames, err := peer.recv()
		if err != nil {
			return
		}
		if len(frames) != 1 || len(frames[0]) == 0 || len(frames[0]) > 1024 {
			continue
		}
		topic := string(frames[0][1:])
		subs.mu.Lock()
		switch frames[0][0] {
		case 1:
			if len(subs.count) < 1024 {
				subs.count[topic]++
			}
		case 0:
			if subs.count[topic]--; subs.count[topic] <= 0 {
				delete(subs.count, topic)
			}
		}
		subs.mu.Unlock()
		if frames[0][0] == 1 {
			welcome, err := Child(nil, p.session, "iopub_welcome", map[string]string{"subscription": topic})
			if err != nil {
				continue
			}
			welcome.Identities = [][]byte{[]byte(topic)}
			peer.send(welcome.Frames(p.signer))
		}
	}
}

// Publish sends a message to every subscriber of the topic, its type.
func (p *Publisher) Publish(m *Message) {
	topic := "kernel." + p.session + "." + m.Header.Type
	out := *m
	out.Identities = [][]byte{[]byte(topic)}
	frames := out.Frames(p.signer)
	for _, peer := range p.peers() {
		if subs, ok := p.topics.Load(peer); ok && subs.(*subscriptions).match(topic) {
			peer.send(frames)
		}
	}
}

// Addr is the address bound.
func (p *Publisher) Addr() net.Addr { return p.listener.Addr() }

// Close sends what is queued and closes the socket.
func (p *Publisher) Close() { p.close() }

// Heartbeat is the REP socket that returns every message as it came, whatever else the kernel is doing.
type Heartbeat struct{ server }

// ListenHeartbeat binds the port.
func ListenHeartbeat(c *Connection, port int) (*Heartbeat, error) {
	listener, err := c.listen(port)
	if err != nil {
		return nil, err
	}
	h := &Heartbeat{}
	h.server = server{listener: listener, kind: zmq4.Rep, serve: func(peer *conn) {
		for {
			frames, err := peer.recv()
			if err != nil {
				return
			}
			peer.send(frames)
		}
	}}
	h.start()
	return h, nil
}

// Addr is the address bound.
func (h *Heartbeat) Addr() net.Addr { return h.listener.Addr() }

// Close closes the socket.
func (h *Heartbeat) Close() { h.close() }
