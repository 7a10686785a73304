package worker

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lohakit/notebook/kernel/internal/cell"
)

// dying matches the first line of what the Go runtime, or a C library, writes to standard error before the process ends.
var dying = regexp.MustCompile(`(?m)^(fatal error: |panic: |runtime: goroutine stack exceeds|runtime: out of memory|` +
	`SIGSEGV: |SIGABRT: |SIGBUS: |SIGILL: |SIGFPE: |SIGTRAP: |unexpected fault address|runtime: program exceeds|` +
	`free\(\): |malloc\(\): |double free|corrupted |terminate called|F\d{4} \d\d:\d\d:)`)

// lastWord matches what native code says of its own end: the text of a C++ exception, or of a fatal message of XLA's log.
var lastWord = regexp.MustCompile(`(?m)^(?:  what\(\):  |F\d{4} \d\d:\d\d:[^\]\n]*\] )(.+)$`)

// inCell matches the line of a cell in a stack trace.
var inCell = regexp.MustCompile(`Cell\[\d+\]:\d+`)

// longestCrash bounds how much of a dying worker's last words is kept.
const longestCrash = 256 << 10

// agony is how long a worker may take to die after its first words of it.
const agony = 2 * time.Second

// lastWords notes what may be the runtime's report of a crash.
func (p *process) lastWords(text []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crash = string(text)
}

// stream passes one stream of the worker on as it arrives. Marks are taken out of it, and so is the runtime's report of a
// crash, which is kept for the obituary.
func (p *process) stream(name string, r io.Reader) {
	chunks := make(chan []byte)
	go func() {
		defer close(chunks)
		for {
			buf := make([]byte, 32<<10)
			n, err := r.Read(buf)
			if n > 0 {
				chunks <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	var held []byte  // the beginning of a mark
	var crash []byte // what is held back because the worker may be dying
	var release <-chan time.Time
	for {
		select {
		case chunk, ok := <-chunks:
			if !ok {
				p.pass(name, held)
				if name == "stderr" && crash != nil {
					p.lastWords(crash)
				}
				return
			}
			if crash != nil {
				crash = append(crash, chunk[:min(len(chunk), max(longestCrash-len(crash), 0))]...)
				release = time.After(agony)
				continue
			}
			text := append(held, chunk...)
			held = nil
			if name == "stderr" {
				if at := dying.FindIndex(text); at != nil {
					crash = bytes.Clone(text[at[0]:])
					text = text[:at[0]]
					release = time.After(agony)
				}
			}
			held = p.passMarked(name, text)
		case <-release: // it lives: a cell has printed words like those of a crash
			text := crash
			p.lastWords(text)
			crash, release = nil, nil
			held = p.passMarked(name, text)
		}
	}
}

// passMarked passes text on without its marks, and returns the beginning of a mark at its end.
func (p *process) passMarked(name string, text []byte) (rest []byte) {
	for {
		at := bytes.IndexByte(text, 0)
		if at < 0 {
			p.pass(name, text)
			return nil
		}
		if at == len(text)-1 || text[at+1] == 2 {
			end := bytes.Index(text[at:], []byte("\x03\x00"))
			if end < 0 && len(text)-at < 16 {
				p.pass(name, text[:at])
				return text[at:]
			}
			if end > 0 {
				if id, err := strconv.Atoi(string(text[at+2 : at+end])); err == nil {
					p.pass(name, text[:at])
					p.arrive(id)
					text = text[at+end+2:]
					continue
				}
			}
		}
		p.pass(name, text[:at+1])
		text = text[at+1:]
	}
}

// arrive notes that a mark has come through one stream.
func (p *process) arrive(id int) {
	p.mu.Lock()
	both := p.synced[id]
	p.mu.Unlock()
	if both != nil {
		both <- struct{}{}
	}
}

// pass hands text to the output of the latest cell.
func (p *process) pass(name string, text []byte) {
	if out := p.out.Load(); out != nil && len(text) > 0 {
		(*out).Stream(name, cell.Plain(string(text)))
	}
}

// cause finds in the runtime's last words what it died of; "" if they say nothing.
func cause(crash string) string {
	line, _, _ := strings.Cut(crash, "\n")
	at := ""
	if line := inCell.FindString(crash); line != "" {
		at = ", at " + line
	}
	native := "native code"
	if strings.Contains(crash, "go-xla/pkg/pjrt._Cfunc_") {
		native = "the XLA library"
	}
	switch said := lastWord.FindStringSubmatch(crash); {
	case crash == "":
		return ""
	case strings.Contains(crash, "stack overflow") || strings.Contains(crash, "goroutine stack exceeds"):
		return "a recursion without end exhausted the stack" + at
	case strings.Contains(crash, "out of memory") || strings.Contains(crash, "cannot allocate memory") || strings.Contains(crash, "std::bad_alloc"):
		return "out of memory" + at
	case said != nil:
		return native + " gave up: " + strings.TrimRight(said[1], ".") + at
	case strings.Contains(crash, "signal arrived during cgo execution"):
		return strings.SplitN(line, ":", 2)[0] + " in " + native + at
	}
	return strings.TrimPrefix(line, "fatal error: ") + at
}
