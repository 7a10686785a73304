package display

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/janpfeifer/gonb/gonbui/protocol"
)

func init() {
	gob.Register(map[string]any{})
	gob.Register([]any{})
}

// pipes are the two FIFOs between the front and one worker process. The front holds both ends of each open, so that neither
// side ever waits for the other to open its end.
type pipes struct {
	dir     string
	in, out *os.File
	back    chan *protocol.CommValue // to the worker; full when the worker does not read
	done    chan struct{}
	busy    atomic.Bool // a message is being read or handled
	shown   time.Time   // when the last element was displayed

	elements map[string]string // values of elements shown while no page answers, by id
}

// openPipes makes the FIFOs in a directory of their own, which only the user may enter.
func openPipes() (p *pipes, err error) {
	p = &pipes{back: make(chan *protocol.CommValue, 1024), done: make(chan struct{}), elements: map[string]string{}}
	if p.dir, err = os.MkdirTemp("", "lohakit-front-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	for _, path := range []string{p.path("display"), p.path("values")} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			return nil, fmt.Errorf("make pipe %s: %w", path, err)
		}
	}
	if p.in, err = os.OpenFile(p.path("display"), os.O_RDWR|syscall.O_NONBLOCK, 0); err != nil {
		return nil, err
	}
	if p.out, err = os.OpenFile(p.path("values"), os.O_RDWR|syscall.O_NONBLOCK, 0); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *pipes) path(name string) string { return filepath.Join(p.dir, name) }

func (p *pipes) env() []string {
	return []string{
		protocol.GONB_PIPE_ENV + "=" + p.path("display"),
		protocol.GONB_PIPE_BACK_ENV + "=" + p.path("values"),
	}
}

func (p *pipes) close() {
	close(p.done)
	if p.in != nil {
		p.in.Close()
	}
	if p.out != nil {
		p.out.Close()
	}
	os.RemoveAll(p.dir)
}

// Read waits for bytes with busy off and takes them with busy on, which is what drained relies on.
func (p *pipes) Read(b []byte) (n int, err error) {
	raw, err := p.in.SyscallConn()
	if err != nil {
		return 0, err
	}
	p.busy.Store(false)
	failed := raw.Read(func(fd uintptr) bool {
		p.busy.Store(true)
		n, err = syscall.Read(int(fd), b)
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
			p.busy.Store(false)
			return false
		}
		return true
	})
	if failed != nil {
		return 0, os.ErrClosed // what makes a raw read fail, by an error of its own
	}
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return max(n, 0), err
}

// drained reports whether all that was written to the pipe has been handled.
func (p *pipes) drained() bool {
	raw, err := p.in.SyscallConn()
	if err != nil {
		return true
	}
	waiting := false
	err = raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		waiting = n > 0 && err == nil
	})
	if err != nil || waiting {
		return err != nil
	}
	return !p.busy.Load()
}

// settling is how long JupyterLab may take from receiving an element to having it in the page.
const settling = 150 * time.Millisecond

// settle holds a script back until the elements displayed before it are in the page: gonbui's widgets are an element, and right after it
// a script that looks for the element.
func (p *pipes) settle(html string) {
	if strings.Contains(html, "<script") {
		time.Sleep(time.Until(p.shown.Add(settling)))
	} else if html != "" {
		p.shown = time.Now()
	}
}

// receive decodes what the worker displays until the pipe is closed. A value that cannot be decoded is reported and passed over.
func (p *pipes) receive(handle func(*protocol.DisplayData), report func(string)) {
	decoder := gob.NewDecoder(p)
	for failures := 0; ; {
		data := &protocol.DisplayData{}
		switch err := decode(decoder, data); {
		case err == nil:
			failures = 0
			handle(data)
			continue
		case errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF):
			return
		default:
			if failures++; failures == 1 {
				report("display: " + err.Error())
			}
		}
		if failures > 100 { // not gob at all: keep reading, so that the writer does not hang
			buffer := make([]byte, 64<<10)
			for {
				if _, err := p.Read(buffer); err != nil {
					return
				}
			}
		}
	}
}

func decode(d *gob.Decoder, data *protocol.DisplayData) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return d.Decode(data)
}

// reply encodes values for the worker until the pipe is closed.
func (p *pipes) reply() {
	encoder := gob.NewEncoder(p.out)
	for {
		select {
		case <-p.done:
			return
		case v := <-p.back:
			if err := encoder.Encode(v); errors.Is(err, os.ErrClosed) {
				return
			}
		}
	}
}

// deliver queues a value for the worker; one that does not read loses it.
func (p *pipes) deliver(address string, value any) {
	select {
	case p.back <- &protocol.CommValue{Address: address, Value: value}:
	case <-time.After(time.Second):
	case <-p.done:
	}
}
