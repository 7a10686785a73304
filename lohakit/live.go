package lohakit

import (
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"os"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/lohakit/notebook/lohakit/chart"
)

// live is the place in a cell's output where a long verb shows how far it is. In a notebook it is replaced in place; at a terminal the
// text is printed over itself on standard error; elsewhere nothing is shown.
type live struct {
	id       string
	terminal bool
	next     time.Time // nothing is shown before
}

// Notebook servers drop output above 1000 messages or 1 MB a second; a person reads far less.
const liveInterval = 200 * time.Millisecond

func newLive() *live {
	l := &live{}
	if gonbui.IsNotebook {
		l.id = gonbui.UniqueID()
	} else if info, err := os.Stderr.Stat(); err == nil {
		l.terminal = info.Mode()&os.ModeCharDevice != 0
	}
	return l
}

// bar shows a progress bar with a line of text: done of total.
func (l *live) bar(done, total int, text string) {
	l.show(func() string { return bar(done, total, text) }, text)
}

func bar(done, total int, text string) string {
	return fmt.Sprintf(`<progress value="%d" max="%d" style="width:40%%"></progress> <code>%s</code>`, done, total, html.EscapeString(text))
}

// embed is an image as HTML, alt being what it shows; "" if it cannot be encoded.
func embed(img image.Image, alt string) string {
	png, err := chart.PNG(img)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(`<img alt="%s" src="data:image/png;base64,%s">`, html.EscapeString(alt), base64.StdEncoding.EncodeToString(png))
}

// show replaces what is shown, unless it was replaced a moment ago.
func (l *live) show(markup func() string, text string) {
	if now := time.Now(); now.Before(l.next) {
		return
	} else {
		l.next = now.Add(liveInterval)
	}
	l.put(markup, text)
}

func (l *live) put(markup func() string, text string) {
	if l.id != "" {
		gonbui.UpdateHTML(l.id, markup())
	} else if l.terminal {
		fmt.Fprintf(os.Stderr, "\r\033[K%s", text)
	}
}

// note prints lines that stay.
func (l *live) note(text string) {
	if l.id != "" {
		gonbui.DisplayHTML("<pre>" + html.EscapeString(text) + "</pre>")
	} else if l.terminal {
		fmt.Fprintln(os.Stderr, text)
	}
}

// end leaves one last line, or nothing.
func (l *live) end(text string) {
	l.put(func() string {
		if text == "" {
			return ""
		}
		return "<code>" + html.EscapeString(text) + "</code>"
	}, text)
	if l.id != "" {
		gonbui.Sync() // what the cell prints next comes after it
	}
	if l.terminal && text != "" {
		fmt.Fprintln(os.Stderr)
	}
}
