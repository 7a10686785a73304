// Package display carries what cells show to the front end: it completes MIME bundles with a fallback that any viewer can
// render, paces the messages under jupyter_server's limits, and serves the front-end protocol of gonbui, through which
// cells display HTML, pictures and widgets.
package display

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// The limits of jupyter_server are averages over 3 s: 1000 messages/s and 1 MB/s of streams, above which it drops output.
// A burst plus three seconds of the rate stays below both.
const (
	messageRate  = 550     // messages per second
	messageBurst = 1000    // messages at once after a pause
	byteRate     = 600_000 // bytes of streams per second, as JSON
	byteBurst    = 900_000 // bytes of streams at once after a pause
	overhead     = 1000    // bytes that headers add to a stream message

	tick        = 100 * time.Millisecond // between two rounds of sending; an update is shown at most this often
	chunk       = 64 << 10               // bytes of one stream message, as JSON
	maxStream   = 4 << 20                // bytes of streams waiting; beyond, the middle is left out
	crowd       = 500                    // messages waiting; beyond, stdout and stderr keep their order only each for itself
	keepTail    = 64 << 10               // bytes kept of the newest output where the middle is left out
	maxDisplays = 64 << 20               // bytes of displays waiting; beyond, Display waits
)

// Sender puts one message on iopub; cell is what [Outlet.Cell] was given.
type Sender func(cell any, kind string, content any)

// Outlet paces everything that a session's cells show, in the order shown.
type Outlet struct {
	send Sender

	mu       sync.Mutex
	changed  sync.Cond
	items    []*item
	streams  int       // bytes of stream text in items
	displays int       // bytes of bundles in items
	messages bucket    // budget of messages
	bytes    bucket    // budget of stream bytes
	last     time.Time // of the last round
	flushers int       // callers of Flush
	queued   int       // seq of the newest item
	sealed   int       // items up to this seq take no more text
	current  int       // seq of the item being sent; 0 for none
	closed   bool
	shown    map[string]*Cell // display id to the cell that shows it
}

// item is one message to come.
type item struct {
	seq     int
	cell    *Cell
	kind    string // stream, display_data, update_display_data, clear_output or another type
	name    string // stream name
	text    []byte
	skipped int // stream bytes left out before text
	lines   int // newlines among skipped
	id      string
	content any
	size    int
}

// NewOutlet returns an outlet that sends through send, from one goroutine at a time.
func NewOutlet(send Sender) *Outlet {
	now := time.Now()
	o := &Outlet{
		send:     send,
		messages: bucket{rate: messageRate, burst: messageBurst, level: messageBurst, at: now},
		bytes:    bucket{rate: byteRate, burst: byteBurst, level: byteBurst, at: now},
		shown:    map[string]*Cell{},
	}
	o.changed.L = &o.mu
	go o.run()
	return o
}

// Cell is one cell's end of the outlet. Its methods may be called concurrently, also after the cell has ended.
type Cell struct {
	outlet  *Outlet
	parent  any
	group   any
	partial map[string]string // per stream, the beginning of a character whose other bytes are still to come
}

// Cell returns the end for one execution of a cell; parent goes to the Sender. Group names the cell across executions, nil where
// unknown: the page has cleared the displays of an earlier execution as it asked for this one, so their ids are shown anew.
func (o *Outlet) Cell(parent, group any) *Cell {
	c := &Cell{outlet: o, parent: parent, group: group, partial: map[string]string{}}
	o.mu.Lock()
	defer o.mu.Unlock()
	c.unshow()
	return c
}

// unshow notes that the page shows nothing of the cell any more, whatever execution it is from; mu is held.
func (c *Cell) unshow() {
	for id, by := range c.outlet.shown {
		if by == c || by.group == c.group && c.group != nil {
			delete(c.outlet.shown, id)
		}
	}
}

// Stream shows text on "stdout" or "stderr".
func (c *Cell) Stream(name, text string) {
	if text == "" {
		return
	}
	o := c.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	text = c.partial[name] + text
	whole := len(text) - incomplete(text)
	c.partial[name] = text[whole:]
	if text = text[:whole]; text == "" {
		return
	}
	if it := o.open(c, name); it != nil {
		it.text = append(it.text, text...)
	} else {
		o.queued++
		o.items = append(o.items, &item{seq: o.queued, cell: c, kind: "stream", name: name, text: []byte(text)})
	}
	o.streams += len(text)
	if o.streams > maxStream {
		o.shorten(maxStream / 2)
	}
	o.changed.Broadcast()
}

// open returns the waiting text that more of a cell's stream joins, nil for none: the latest message, or where many wait the latest
// of the stream, so that a cell that writes to both streams in turn does not make a message of each line.
func (o *Outlet) open(c *Cell, name string) *item {
	for i := len(o.items) - 1; i >= 0; i-- {
		it := o.items[i]
		if it.kind != "stream" || it.cell != c || it.seq <= o.sealed {
			return nil
		}
		if it.name == name {
			return it
		}
		if len(o.items) < crowd {
			return nil
		}
	}
	return nil
}

// incomplete is the length of the beginning of a character at the end of text, whose other bytes are still to come.
func incomplete(text string) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if b := text[len(text)-n]; utf8.RuneStart(b) {
			if !utf8.FullRuneInString(text[len(text)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// Display shows a bundle, completed by [Bundle]. With an id, the first display of it is new and later ones replace it where
// it stands; update insists on replacing.
func (c *Cell) Display(data, metadata map[string]any, id string, update bool) {
	data = Bundle(data)
	if metadata == nil {
		metadata = map[string]any{}
	}
	content := map[string]any{"data": data, "metadata": metadata, "transient": map[string]any{}}
	kind := "display_data"
	if id != "" {
		content["transient"] = map[string]any{"display_id": id}
	}
	size := Size(data)
	o := c.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	if id != "" {
		if _, known := o.shown[id]; known || update {
			kind = "update_display_data"
			for i := len(o.items) - 1; i >= 0; i-- {
				if it := o.items[i]; it.id == id {
					o.displays += size - it.size
					it.content, it.size = content, size
					return
				}
			}
		}
		if kind == "display_data" {
			o.shown[id] = c
		}
	}
	o.put(&item{cell: c, kind: kind, id: id, content: content, size: size})
}

// Clear removes the cell's output; wait delays that until the next output comes. Ids shown in the cell are then shown anew.
func (c *Cell) Clear(wait bool) {
	o := c.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.items[:0]
	for _, it := range o.items { // what has not been sent need not be, unless it changes another cell's display
		if it.cell == c && it.kind != "comm_msg" && (it.id == "" || o.shown[it.id] == c) {
			o.forget(it)
			continue
		}
		kept = append(kept, it)
	}
	o.items = kept
	c.unshow()
	o.put(&item{cell: c, kind: "clear_output", content: map[string]any{"wait": wait}})
}

// Message sends a message of any other type, in order with the rest.
func (c *Cell) Message(kind string, content any) {
	o := c.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	o.put(&item{cell: c, kind: kind, content: content, size: overhead})
}

func (o *Outlet) put(it *item) {
	for o.displays > maxDisplays && !o.closed {
		o.changed.Wait()
	}
	o.queued++
	it.seq = o.queued
	o.items = append(o.items, it)
	o.displays += it.size
	o.changed.Broadcast()
}

func (o *Outlet) forget(it *item) {
	o.streams -= len(it.text)
	o.displays -= it.size
}

// Flush returns once everything shown before the call has been sent.
func (o *Outlet) Flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	target := o.queued
	o.sealed = target
	o.flushers++
	o.changed.Broadcast()
	for len(o.items) > 0 && o.items[0].seq <= target || o.current > 0 && o.current <= target {
		o.changed.Wait()
	}
	o.flushers--
}

// Hurry leaves out the middle of long streams that wait to be sent, and what is more than a second's messages, so that an
// interrupted cell ends soon.
func (o *Outlet) Hurry() {
	o.mu.Lock()
	o.shorten(2 * keepTail)
	o.thin(messageRate)
	o.changed.Broadcast()
	o.mu.Unlock()
}

// thin cuts the waiting messages down to about limit by leaving out the oldest texts and displays.
func (o *Outlet) thin(limit int) {
	excess := len(o.items) - limit
	var note *item
	left := 0
	kept := o.items[:0]
	for _, it := range o.items {
		if left >= excess || it.kind != "stream" && it.kind != "display_data" || it.id != "" {
			kept = append(kept, it)
			continue
		}
		o.forget(it)
		if left++; note == nil {
			note = &item{seq: it.seq, cell: it.cell, kind: "stream", name: "stderr"}
			kept = append(kept, note)
		}
	}
	o.items = kept
	if note != nil {
		note.text = fmt.Appendf(nil, "\n… %d outputs left out: shown faster than a notebook can show …\n", left)
		o.streams += len(note.text)
	}
}

// Close sends what waits, without pacing, and ends the outlet.
func (o *Outlet) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.changed.Broadcast()
	for len(o.items) > 0 || o.current > 0 {
		o.changed.Wait()
	}
}

// shorten cuts the waiting streams down to about limit bytes by leaving out the oldest of them, whole lines at a time.
func (o *Outlet) shorten(limit int) {
	for _, it := range o.items {
		excess := o.streams - limit
		if excess <= 0 {
			return
		}
		cut := min(excess, len(it.text)-keepTail)
		if it.kind != "stream" || cut <= 0 {
			continue
		}
		if nl := strings.IndexByte(string(it.text[cut:cut+min(4096, len(it.text)-cut)]), '\n'); nl >= 0 {
			cut += nl + 1
		}
		it.lines += strings.Count(string(it.text[:cut]), "\n")
		it.skipped += cut
		it.text = append([]byte(nil), it.text[cut:]...)
		o.streams -= cut
	}
}

// run sends in rounds: at once after a pause, then a tick apart unless somebody waits in Flush.
func (o *Outlet) run() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.items) == 0 && !o.closed {
			o.changed.Wait()
		}
		if len(o.items) == 0 {
			return
		}
		if o.flushers == 0 && !o.closed {
			if wait := tick - time.Since(o.last); wait > 0 {
				timer := time.AfterFunc(wait, o.changed.Broadcast)
				o.changed.Wait()
				timer.Stop()
				continue
			}
		}
		if wait := o.round(); wait > 0 {
			o.mu.Unlock()
			time.Sleep(wait)
			o.mu.Lock()
		}
		o.last = time.Now()
	}
}

// round sends what waits now, as far as the budgets allow, and returns how long to wait for more; 0 when all is sent.
func (o *Outlet) round() time.Duration {
	for newest := o.queued; len(o.items) > 0 && o.items[0].seq <= newest; {
		now := time.Now()
		if !o.closed {
			if wait := o.messages.wait(now); wait > 0 {
				return wait
			}
		}
		it := o.items[0]
		content := it.content
		if it.kind == "stream" {
			if wait := o.bytes.wait(now); wait > 0 && !o.closed {
				return wait
			}
			text := strings.ToValidUTF8(o.take(it), "\uFFFD")
			o.bytes.level -= overhead
			for i := range len(text) {
				o.bytes.level -= encoded(text[i])
			}
			content = map[string]any{"name": it.name, "text": text}
		} else {
			o.items = o.items[1:]
			o.forget(it)
		}
		o.messages.level--
		o.current = it.seq
		o.mu.Unlock()
		o.send(it.cell.parent, it.kind, content)
		o.mu.Lock()
		o.current = 0
		o.changed.Broadcast()
	}
	return 0
}

// take removes the next piece of a stream item, never cutting a character, and the item once it is empty.
func (o *Outlet) take(it *item) string {
	n := 0
	for size := 0.0; n < len(it.text) && size < chunk; n++ {
		size += encoded(it.text[n])
	}
	for back := 0; n < len(it.text) && back < utf8.UTFMax && !utf8.RuneStart(it.text[n]); back++ {
		n--
	}
	text := string(it.text[:n])
	it.text = it.text[n:]
	o.streams -= n
	if it.skipped > 0 {
		text = fmt.Sprintf("\n… %d lines (%d bytes) left out: printed faster than a notebook can show …\n", it.lines, it.skipped) + text
		it.skipped, it.lines = 0, 0
	}
	if len(it.text) == 0 {
		o.items = o.items[1:]
	}
	return text
}

// encoded is how many bytes a byte of text takes in JSON.
func encoded(b byte) float64 {
	switch {
	case b == '"' || b == '\\' || b == '\n' || b == '\r' || b == '\t' || b == '\b' || b == '\f':
		return 2
	case b < ' ':
		return 6
	}
	return 1
}

// Size is about how many bytes a bundle takes in a message.
func Size(data map[string]any) int {
	n := overhead
	for _, v := range data {
		switch v := v.(type) {
		case string:
			n += len(v)
		case json.RawMessage:
			n += len(v)
		default:
			n += 256
		}
	}
	return n
}

// bucket is a token bucket.
type bucket struct {
	rate, burst, level float64
	at                 time.Time
}

// wait refills the bucket and returns how long until it holds something.
func (b *bucket) wait(now time.Time) time.Duration {
	b.level = min(b.burst, b.level+b.rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.level > 0 {
		return 0
	}
	return time.Duration((1-b.level)/b.rate*float64(time.Second)) + time.Millisecond
}
