package display

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// Target is the comm target that the page opens for gonbui's widgets.
const Target = "gonb_comm"

// MIMEClear maps to a bool and clears the cell's output; true waits until the next output. An addition to gonbui's protocol.
const MIMEClear protocol.MIMEType = "gonb/clear_output"

// How long the page gets to open its comm, and to answer a ping.
var (
	openTimeout = 3 * time.Second
	pingTimeout = 500 * time.Millisecond
)

//go:embed comm.js
var pageScript string

// Host is what the front-end protocol needs of the session.
type Host interface {
	// Cell is where output goes: the cell that runs, or the last one that ran.
	Cell() *Cell
	// Drain returns once what the worker printed before has been shown, so that text and pictures keep their order.
	Drain()
	// Ask has a question put to the user, whose answer goes with a newline to the worker's standard input, and does not wait for it.
	Ask(prompt string, password bool)
	// Comm sends a comm message of the type to the page.
	Comm(kind string, content any)
}

// Gonb serves the front-end protocol of gonbui: its displays, input requests, values and subscriptions.
type Gonb struct {
	host   Host
	kernel string // the kernel's id in Jupyter's URLs

	draining atomic.Bool // waiting in Host.Drain

	mu         sync.Mutex
	pipes      *pipes
	comm       string // id of the page's open comm; empty without one
	heard      time.Time
	gaveUp     *Cell // no page answered during this cell
	opened     chan struct{}
	pong       chan struct{}
	subscribed map[string]bool
	closed     bool
}

// NewGonb returns a server; kernelID is the id in the name of the connection file, which the page needs to connect.
func NewGonb(host Host, kernelID string) *Gonb {
	return &Gonb{host: host, kernel: kernelID, subscribed: map[string]bool{}}
}

// Env opens fresh pipes for a new worker and returns the variables that name them. What the worker before it displayed last is
// still shown.
func (g *Gonb) Env() ([]string, error) {
	g.Drain(time.Second)
	p, err := openPipes()
	if err != nil {
		return nil, fmt.Errorf("display pipes: %w", err)
	}
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		p.close()
		return nil, errors.New("the session has ended")
	}
	old := g.pipes
	g.pipes, g.subscribed = p, map[string]bool{}
	g.mu.Unlock()
	if old != nil {
		old.close()
	}
	go p.reply()
	go p.receive(func(d *protocol.DisplayData) { g.handle(p, d) }, func(text string) { g.host.Cell().Stream("stderr", text+"\n") })
	return p.env(), nil
}

// Close closes the pipes; no others are opened.
func (g *Gonb) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.pipes != nil {
		g.pipes.close()
		g.pipes = nil
	}
}

// Drain returns once what the worker displayed before the call is in the outlet, or after the timeout.
func (g *Gonb) Drain(timeout time.Duration) { g.wait(timeout, func() bool { return false }) }

// Before lets the displays that came before a text overtake it: it is Drain for what Host.Drain waits for, and so returns
// when a display waits for Host.Drain.
func (g *Gonb) Before(timeout time.Duration) { g.wait(timeout, g.draining.Load) }

func (g *Gonb) wait(timeout time.Duration, enough func() bool) {
	g.mu.Lock()
	p := g.pipes
	g.mu.Unlock()
	if p == nil {
		return
	}
	for deadline := time.Now().Add(timeout); !p.drained() && !enough() && time.Now().Before(deadline); {
		time.Sleep(200 * time.Microsecond)
	}
}

func (g *Gonb) handle(p *pipes, d *protocol.DisplayData) {
	if v, ok := d.Data[protocol.MIMECommValue].(protocol.CommValue); ok {
		g.value(p, v)
		return
	}
	if s, ok := d.Data[protocol.MIMECommSubscribe].(protocol.CommSubscription); ok {
		g.mu.Lock()
		g.subscribed[s.Address] = !s.Unsubscribe
		g.mu.Unlock()
		if !s.Unsubscribe {
			g.connect()
		}
		return
	}
	g.draining.Store(true)
	g.host.Drain()
	g.draining.Store(false)
	if wait, ok := d.Data[MIMEClear].(bool); ok {
		g.host.Cell().Clear(wait)
		return
	}
	if in, ok := d.Data[protocol.MIMEJupyterInput].(protocol.InputRequest); ok {
		g.host.Ask(in.Prompt, in.Password)
		return
	}
	bundle := make(map[string]any, len(d.Data))
	for kind, v := range d.Data {
		bundle[string(kind)] = v
	}
	if html, ok := bundle["text/html"].(string); ok {
		p.settle(html)
	}
	g.host.Cell().Display(bundle, d.Metadata, d.DisplayID, false)
	if html, ok := bundle["text/html"].(string); ok {
		g.standIn(p, html)
	}
}

func (g *Gonb) value(p *pipes, v protocol.CommValue) {
	switch {
	case v.Address == protocol.GonbuiSyncAddress:
		g.draining.Store(true)
		g.host.Drain()
		g.draining.Store(false)
		g.host.Cell().outlet.Flush()
		p.deliver(protocol.GonbuiSyncAckAddress, v.Value)
	case !g.connect():
	case v.Address == protocol.GonbuiStartAddress:
	case v.Request:
		g.post(map[string]any{"address": v.Address, "read_request": true})
	default:
		g.post(map[string]any{"address": v.Address, "value": v.Value})
	}
}

func (g *Gonb) post(data map[string]any) {
	g.mu.Lock()
	id := g.comm
	g.mu.Unlock()
	if id != "" {
		g.host.Comm("comm_msg", map[string]any{"comm_id": id, "data": data})
	}
}

// connect makes sure that a page listens: it pings the one known, and otherwise shows a script that opens the comm. Where
// no browser is there to run the script, it gives up until the next cell.
func (g *Gonb) connect() bool {
	cell := g.host.Cell()
	g.mu.Lock()
	if g.comm != "" && time.Since(g.heard) < time.Second {
		g.mu.Unlock()
		return true
	}
	if g.comm != "" {
		pong := make(chan struct{})
		g.pong = pong
		g.mu.Unlock()
		g.post(map[string]any{"address": "#heartbeat/ping", "value": true})
		if arrives(pong, pingTimeout) {
			return true
		}
		g.mu.Lock()
		g.comm = ""
	}
	if g.gaveUp == cell {
		g.mu.Unlock()
		return false
	}
	opened := make(chan struct{})
	g.opened = opened
	g.mu.Unlock()
	id := fmt.Sprintf("gonb_comm_%d", time.Now().UnixNano())
	script := strings.ReplaceAll(pageScript, "{{KERNEL}}", g.kernel)
	cell.Display(map[string]any{"text/html": "<script>" + script + "</script>", "text/plain": ""}, nil, id, false)
	cell.outlet.Flush()
	ok := arrives(opened, openTimeout)
	cell.Display(map[string]any{"text/html": "", "text/plain": ""}, nil, id, true)
	if !ok {
		g.mu.Lock()
		g.gaveUp = cell
		g.mu.Unlock()
		cell.Stream("stderr", "no browser answered: sliders, menus and buttons keep their first value\n")
	}
	return ok
}

func arrives(c chan struct{}, timeout time.Duration) bool {
	select {
	case <-c:
		return true
	case <-time.After(timeout):
		return false
	}
}

// Opened takes note that the page opened its comm.
func (g *Gonb) Opened(id string) {
	g.mu.Lock()
	g.comm, g.heard, g.gaveUp = id, time.Now(), nil
	opened := g.opened
	g.opened = nil
	g.mu.Unlock()
	g.post(map[string]any{"address": "#comm_open_ack", "value": true})
	if opened != nil {
		close(opened)
	}
}

// Closed takes note that the page closed its comm.
func (g *Gonb) Closed(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.comm == id {
		g.comm = ""
	}
}

// Message passes a value from the page to the worker, if it has subscribed to the address.
func (g *Gonb) Message(id, address string, value any) {
	g.mu.Lock()
	if id != g.comm {
		g.mu.Unlock()
		return
	}
	g.heard = time.Now()
	p, wanted, pong := g.pipes, g.subscribed[address], g.pong
	if address == "#heartbeat/pong" {
		g.pong = nil
	}
	g.mu.Unlock()
	switch {
	case address == "#heartbeat/pong":
		if pong != nil {
			close(pong)
		}
	case address == "#heartbeat/ping":
		g.post(map[string]any{"address": "#heartbeat/pong", "value": true})
	case wanted && p != nil:
		p.deliver(address, typed(value))
	}
}

// typed turns lists and objects from JSON into the types that gonbui's protocol knows: of numbers or else of text.
func typed(v any) any {
	switch v := v.(type) {
	case []any:
		numbers, texts := make([]float64, 0, len(v)), make([]string, 0, len(v))
		for _, e := range v {
			if n, ok := e.(float64); ok {
				numbers = append(numbers, n)
			}
			texts = append(texts, fmt.Sprint(e))
		}
		if len(numbers) == len(v) {
			return numbers
		}
		return texts
	case map[string]any:
		numbers, texts := make(map[string]float64, len(v)), make(map[string]string, len(v))
		for k, e := range v {
			if n, ok := e.(float64); ok {
				numbers[k] = n
			}
			texts[k] = fmt.Sprint(e)
		}
		if len(numbers) == len(v) {
			return numbers
		}
		return texts
	case nil:
		return ""
	}
	return v
}
