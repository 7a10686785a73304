package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/null"
)

// Limits on a peer. A notebook's largest messages are pictures and widget buffers, tens of megabytes.
const (
	maxMessage = 256 << 20        // bytes of all frames of a message
	maxFrames  = 4096             // frames of a message
	maxPending = 64 << 20         // bytes waiting for a peer that does not read
	handshake  = 10 * time.Second // time allowed for the ZMTP greeting
)

// patience is how long a peer whose queue is full is waited for before it is cut off; a client reconnects by itself.
var patience = 10 * time.Second

var errTooLarge = errors.New("message too large")

// conn is one peer: a ZMTP connection with a queue of outgoing messages, which one goroutine sends in order.
type conn struct {
	zmtp *zmq4.Conn
	id   string // the identity the peer gave itself, or one made up; replies are routed by it
	rw   *guard
	in   *bufio.Reader
	done chan struct{} // closed once nothing more is sent

	mu      sync.Mutex
	ready   sync.Cond // queue or closed changed
	queue   []outgoing
	pending int // bytes in queue
	closed  bool
}

// outgoing is a queued message, or the answer to a ZMTP ping.
type outgoing struct {
	frames  [][]byte
	command bool
}

func (o outgoing) size() (n int) {
	for _, f := range o.frames {
		n += len(f)
	}
	return n
}

// open performs the handshake on an accepted connection.
func open(raw net.Conn, kind zmq4.SocketType) (c *conn, err error) {
	rw := &guard{Conn: raw}
	defer func() {
		if r := recover(); r != nil { // an unknown socket type of the peer panics in zmq4
			err = fmt.Errorf("handshake: %v", r)
		}
		if err != nil {
			raw.Close()
		}
	}()
	raw.SetDeadline(time.Now().Add(handshake))
	zmtp, err := zmq4.Open(rw, null.Security(), kind, nil, true, nil)
	if err != nil {
		return nil, err
	}
	raw.SetDeadline(time.Time{})
	rw.out = bufio.NewWriterSize(raw, 64<<10)
	id := zmtp.Peer.Meta["Identity"]
	if id == "" {
		id = NewID()
	}
	c = &conn{zmtp: zmtp, id: id, rw: rw, in: bufio.NewReaderSize(raw, 64<<10), done: make(chan struct{})}
	c.ready.L = &c.mu
	go c.sendLoop()
	return c, nil
}

// send queues a message. It waits while the queue is full, and cuts off a peer that stays full.
func (c *conn) send(frames [][]byte) { c.enqueue(outgoing{frames: frames}) }

func (c *conn) enqueue(o outgoing) {
	size := o.size()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending > 0 && c.pending+size > maxPending {
		timer := time.AfterFunc(patience, c.close)
		for !c.closed && c.pending > 0 && c.pending+size > maxPending {
			c.ready.Wait()
		}
		timer.Stop()
	}
	if c.closed {
		return
	}
	c.queue = append(c.queue, o)
	c.pending += size
	c.ready.Broadcast()
}

func (c *conn) sendLoop() {
	defer close(c.done)
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.closed {
			c.ready.Wait()
		}
		if len(c.queue) == 0 {
			c.mu.Unlock()
			c.rw.Close()
			return
		}
		batch := c.queue
		c.queue = nil
		c.mu.Unlock()
		for _, o := range batch {
			if err := c.write(o); err != nil {
				c.abort()
				return
			}
			c.mu.Lock()
			c.pending -= o.size()
			c.ready.Broadcast()
			c.mu.Unlock()
		}
		if c.rw.out.Flush() != nil {
			c.abort()
			return
		}
	}
}

func (c *conn) write(o outgoing) error {
	if o.command {
		return c.zmtp.SendCmd(zmq4.CmdPong, o.frames[0])
	}
	return c.zmtp.SendMsg(zmq4.NewMsgFrom(o.frames...))
}

// close ends the connection after what is queued has been sent, or within a second when the peer does not read. It does not wait.
func (c *conn) close() {
	c.mu.Lock()
	c.closed = true
	c.ready.Broadcast()
	c.mu.Unlock()
	c.rw.SetDeadline(time.Now().Add(time.Second))
}

// abort ends the connection at once.
func (c *conn) abort() {
	c.mu.Lock()
	c.closed, c.queue, c.pending = true, nil, 0
	c.ready.Broadcast()
	c.mu.Unlock()
	c.rw.Close()
}

// recv returns the frames of the next message; memory is taken only as the bytes arrive. A ZMTP ping is answered here.
func (c *conn) recv() ([][]byte, error) {
	for {
		frames, command, err := readMessage(c.in)
		if err != nil {
			c.abort()
			return nil, err
		}
		if !command {
			return frames, nil
		}
		// A command is its name's length, the name, the body; PING's body is a 2-byte time-to-live and a context to return.
		if ping := []byte("\x04PING"); bytes.HasPrefix(frames[0], ping) && len(frames[0]) >= len(ping)+2 {
			c.enqueue(outgoing{command: true, frames: [][]byte{frames[0][len(ping)+2:]}})
		}
	}
}

// readMessage reads the frames of one ZMTP message or command.
func readMessage(r *bufio.Reader) (frames [][]byte, command bool, err error) {
	const more, long, isCommand = 1, 2, 4
	total := 0
	for {
		flags, err := r.ReadByte()
		if err != nil {
			return nil, false, err
		}
		var size uint64
		if flags&long != 0 {
			var b [8]byte
			_, err = io.ReadFull(r, b[:])
			size = binary.BigEndian.Uint64(b[:])
		} else {
			var b byte
			b, err = r.ReadByte()
			size = uint64(b)
		}
		if err != nil {
			return nil, false, err
		}
		if size > uint64(maxMessage-total) || len(frames) == maxFrames {
			return nil, false, errTooLarge
		}
		total += int(size)
		var body bytes.Buffer
		if size <= 64<<10 {
			body.Grow(int(size))
		}
		if _, err := io.CopyN(&body, r, int64(size)); err != nil {
			return nil, false, err
		}
		frames = append(frames, body.Bytes())
		if flags&isCommand != 0 {
			return frames, true, nil
		}
		if flags&more == 0 {
			return frames, false, nil
		}
	}
}

// guard is the net.Conn that zmq4 works on. During the handshake it refuses a frame with a 64-bit length, for which zmq4
// would allocate whatever the peer says; afterwards it gathers the small writes of a message.
type guard struct {
	net.Conn
	out  *bufio.Writer // nil during the handshake
	seen int           // bytes read during the handshake
}

// greeting is the length of the ZMTP greeting; the first byte after it holds the flags of the READY command.
const greeting = 64

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if at := greeting - g.seen; at >= 0 && at < n && p[at]&2 != 0 {
		return 0, errTooLarge
	}
	g.seen += n
	return n, err
}

func (g *guard) Write(p []byte) (int, error) {
	if g.out == nil {
		return g.Conn.Write(p)
	}
	return g.out.Write(p)
}
