package display

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"image"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/comms"
	"github.com/janpfeifer/gonb/gonbui/dom"
	"github.com/janpfeifer/gonb/gonbui/protocol"
	"github.com/janpfeifer/gonb/gonbui/widgets"
)

func ExampleBundle() {
	show := func(data map[string]any) {
		out, _ := json.Marshal(Bundle(data)["text/plain"])
		fmt.Println(string(out))
	}
	show(map[string]any{"text/html": "<h1>Loss</h1><table><tr><td>step</td><td>1</td></tr></table><script>x()</script>"})
	show(map[string]any{"text/markdown": "**bold**"})
	show(map[string]any{"image/svg+xml": "<svg><title>Spectrum</title></svg>"})
	show(map[string]any{"application/json": map[string]int{"a": 1}})
	// Output:
	// "Loss\nstep\t1"
	// "**bold**"
	// "SVG picture: Spectrum"
	// "{\"a\":1}"
}

// log collects what an outlet sends, one line per message.
type log struct {
	mu    sync.Mutex
	lines []string
	times []time.Time
}

func (l *log) send(cell any, kind string, content any) {
	raw, _ := json.Marshal(content)
	var f map[string]any
	json.Unmarshal(raw, &f)
	line := kind
	switch kind {
	case "stream":
		line = fmt.Sprint(f["name"], " ", f["text"])
	case "display_data", "update_display_data":
		data := f["data"].(map[string]any)
		for _, mime := range []string{"text/html", "text/markdown", "image/png", "text/plain"} {
			if v, ok := data[mime]; ok {
				line += fmt.Sprint(" ", mime, " ", v)
				break
			}
		}
	case "comm_msg":
		data, _ := json.Marshal(f["data"])
		line += " " + string(data)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprint(cell, " ", line))
	l.times = append(l.times, time.Now())
}

func (l *log) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

func expect(t *testing.T, l *log, want ...string) {
	t.Helper()
	if got := l.all(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestOutletKeepsOrder(t *testing.T) {
	l := &log{}
	o := NewOutlet(l.send)
	defer o.Close()
	c := o.Cell("1", nil)
	c.Stream("stdout", "a\n")
	c.Stream("stderr", "b\n")
	c.Display(map[string]any{"text/html": "h"}, nil, "", false)
	c.Stream("stdout", "c\n")
	o.Cell("2", nil).Stream("stdout", "d\n")
	o.Flush()
	if got := l.all(); len(got) != 5 {
		t.Errorf("%q", got)
	}
	expect(t, l, "1 stdout a\n", "1 stderr b\n", "1 display_data text/html h", "1 stdout c\n", "2 stdout d\n")
}

func TestCharactersAreNotCut(t *testing.T) {
	l := &log{}
	o := NewOutlet(l.send)
	defer o.Close()
	c := o.Cell("1", nil)
	text := strings.Repeat("é😀", 50_000)
	for i := 0; i < len(text); i += 1001 {
		c.Stream("stdout", text[i:min(i+1001, len(text))])
	}
	o.Flush()
	var all strings.Builder
	for _, line := range l.all() {
		all.WriteString(strings.TrimPrefix(line, "1 stdout "))
	}
	if all.String() != text {
		t.Error("text changed on its way")
	}
}

func TestUpdatesAreThinned(t *testing.T) {
	l := &log{}
	o := NewOutlet(l.send)
	defer o.Close()
	c := o.Cell("1", nil)
	began := time.Now()
	n := 0
	for ; time.Since(began) < time.Second; n++ {
		c.Display(map[string]any{"text/html": fmt.Sprint(n)}, nil, "bar", false)
	}
	o.Flush()
	got := l.all()
	if len(got) > 13 || got[len(got)-1] != fmt.Sprint("1 update_display_data text/html ", n-1) {
		t.Errorf("%d updates became %d messages, the last %q", n, len(got), got[len(got)-1])
	}
}

func TestClearForgetsWhatWaits(t *testing.T) {
	l := &log{}
	o := NewOutlet(l.send)
	defer o.Close()
	c := o.Cell("1", nil)
	for i := range 10_000 {
		c.Clear(true)
		c.Stream("stdout", fmt.Sprint(i))
	}
	o.Flush()
	got := l.all()
	if len(got) > 20 || got[len(got)-1] != "1 stdout 9999" {
		t.Errorf("%d messages, the last %q", len(got), got[len(got)-1])
	}
}

func TestRatesStayUnderTheServersLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 5 s: run without -short")
	}
	displays, text := &log{}, &log{}
	var both sync.WaitGroup
	both.Go(func() {
		o := NewOutlet(displays.send)
		for i := range 3000 {
			o.Cell("1", nil).Display(map[string]any{"text/html": fmt.Sprint(i)}, nil, "", false)
		}
		o.Flush()
		o.Close()
	})
	both.Go(func() {
		o := NewOutlet(text.send)
		for range 10 {
			o.Cell("1", nil).Stream("stdout", strings.Repeat("\x00", 70_000)) // takes 6 bytes each in JSON
		}
		o.Flush()
		o.Close()
	})
	both.Wait()
	if len(displays.lines) != 3000 {
		t.Fatalf("%d of 3000 displays arrived", len(displays.lines))
	}
	const window = 3 * time.Second
	for i, j := 0, 0; i < len(displays.times); i++ {
		for displays.times[i].Sub(displays.times[j]) > window {
			j++
		}
		if i-j >= 3000 {
			t.Fatalf("%d messages within 3 s", i-j)
		}
	}
	within, sum := 0, 0
	for i, j := 0, 0; i < len(text.times); i++ {
		size := strings.Count(text.lines[i], "\x00")
		within, sum = within+6*size, sum+size
		for ; text.times[i].Sub(text.times[j]) > window; j++ {
			within -= 6 * strings.Count(text.lines[j], "\x00")
		}
		if within > 3_000_000 {
			t.Fatalf("%d bytes within 3 s", within)
		}
	}
	if sum != 700_000 {
		t.Errorf("%d of 700000 bytes arrived", sum)
	}
}

// A cell that writes to both streams in turn, faster than messages may be sent, is shown within seconds.
func TestStreamsInTurn(t *testing.T) {
	l := &log{}
	o := NewOutlet(l.send)
	c := o.Cell("1", nil)
	var out, err strings.Builder
	for i := range 20_000 {
		c.Stream("stdout", fmt.Sprintln(i))
		c.Stream("stderr", fmt.Sprintln(-i))
		fmt.Fprintln(&out, i)
		fmt.Fprintln(&err, -i)
	}
	o.Close()
	got := map[bool]string{}
	for _, line := range l.all() {
		text, isOut := strings.CutPrefix(line, "1 stdout ")
		got[isOut] += strings.TrimPrefix(text, "1 stderr ")
	}
	if got[true] != out.String() || got[false] != err.String() {
		t.Error("text changed on its way")
	}
	if n := len(l.lines); n > 10_000 {
		t.Errorf("40000 lines became %d messages", n)
	}
}

// What an interrupted cell has displayed faster than it can be shown does not keep it from ending.
func TestHurryThinsDisplays(t *testing.T) {
	l := &log{}
	o := NewOutlet(l.send)
	defer o.Close()
	c := o.Cell("1", nil)
	c.Display(map[string]any{"text/html": "kept"}, nil, "id", false)
	for i := range 10_000 {
		c.Display(map[string]any{"text/html": fmt.Sprint(i)}, nil, "", false)
		c.Stream("stdout", "x\n")
	}
	o.Hurry()
	o.Flush()
	got := l.all()
	if n := len(got); n > 5000 || got[n-2] != "1 display_data text/html 9999" || got[n-1] != "1 stdout x\n" {
		t.Errorf("%d messages, the last %q", n, got[n-2:])
	}
	if all := strings.Join(got, "\n"); strings.Count(all, "outputs left out") != 1 || !strings.Contains(all, "text/html kept") {
		t.Errorf("%.300q", all)
	}
}

func TestFlushDoesNotWaitForWhatComesLater(t *testing.T) {
	l := &log{}
	o := NewOutlet(l.send)
	c := o.Cell("1", nil)
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				c.Stream("stdout", strings.Repeat("x", 1000)+"\n")
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	flushed := make(chan struct{})
	go func() { o.Hurry(); o.Flush(); close(flushed) }()
	select {
	case <-flushed:
	case <-time.After(10 * time.Second):
		t.Error("Flush waits for a goroutine that goes on printing")
	}
	close(stop)
	o.Close()
}

func TestAnIDIsShownAnewWhenItsCellRunsAgain(t *testing.T) {
	l := &log{}
	o := NewOutlet(l.send)
	defer o.Close()
	for range 2 {
		c := o.Cell("1", "cell-id")
		for i := range 2 {
			c.Display(map[string]any{"text/html": fmt.Sprint(i)}, nil, "bar", false)
			o.Flush()
		}
	}
	show, update := "1 display_data text/html 0", "1 update_display_data text/html 1"
	expect(t, l, show, update, show, update)
}

// Clearing a cell removes its displays from the page, and so their ids are shown anew; another cell's display stays and is updated.
func TestAnIDIsShownAnewAfterAClear(t *testing.T) {
	l := &log{}
	o := NewOutlet(l.send)
	defer o.Close()
	show := func(c *Cell, id, text string) { c.Display(map[string]any{"text/html": text}, nil, id, false) }
	other, c := o.Cell("1", nil), o.Cell("2", nil)
	show(other, "theirs", "a")
	show(c, "bar", "b")
	o.Flush()
	show(c, "theirs", "c")
	c.Clear(true)
	show(c, "bar", "d")
	o.Flush()
	show(c, "bar", "gone")
	c.Clear(false)
	show(c, "bar", "e")
	show(c, "bar", "f")
	o.Flush()
	expect(t, l, "1 display_data text/html a", "2 display_data text/html b", "2 update_display_data text/html c", "2 clear_output",
		"2 display_data text/html d", "2 clear_output", "2 display_data text/html f")
}

// stage is a session for gonbui.
type stage struct {
	*log
	cell  atomic.Pointer[Cell]
	asked chan string
	slow  time.Duration // how long Drain takes
}

func (s *stage) Cell() *Cell                   { return s.cell.Load() }
func (s *stage) Drain()                        { time.Sleep(s.slow) }
func (s *stage) Ask(prompt string, _ bool)     { s.asked <- prompt }
func (s *stage) Comm(kind string, content any) { s.Cell().Message(kind, content) }

// A worker's last displays are shown although another worker is started at once. A session that has ended starts none, and leaves nothing.
func TestANewWorkersPipes(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	l := &log{}
	o := NewOutlet(l.send)
	defer o.Close()
	s := &stage{log: l, slow: time.Millisecond}
	s.cell.Store(o.Cell("1", nil))
	g := NewGonb(s, "kernel-id")
	env, err := g.Env()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(strings.TrimPrefix(env[0], protocol.GONB_PIPE_ENV+"="), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	worker := gob.NewEncoder(pipe)
	for i := range 100 {
		worker.Encode(&protocol.DisplayData{Data: map[protocol.MIMEType]any{protocol.MIMETextHTML: fmt.Sprint(i)}})
	}
	if _, err := g.Env(); err != nil {
		t.Fatal(err)
	}
	o.Flush()
	if got := l.all(); len(got) != 100 {
		t.Errorf("%d of 100 displays are shown", len(got))
	}
	g.Close()
	if env, err := g.Env(); err == nil {
		t.Error("pipes after the end:", env)
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Error("left behind:", left)
	}
}

// Everything of gonbui, run for real against the pipes: this process is the worker.
func TestGonbui(t *testing.T) {
	if gonbui.IsNotebook {
		t.Skip("gonbui keeps its pipes as long as the process lives: run with -count=1")
	}
	l := &log{}
	o := NewOutlet(l.send)
	defer o.Close()
	s := &stage{log: l, asked: make(chan string, 1)}
	s.cell.Store(o.Cell("1", nil))
	g := NewGonb(s, "kernel-id")
	defer g.Close()
	env, err := g.Env()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	gonbui.IsNotebook = true
	take := func() string {
		gonbui.Sync()
		g.Drain(time.Second)
		o.Flush()
		l.mu.Lock()
		defer l.mu.Unlock()
		text := strings.Join(l.lines, "\n")
		l.lines = nil
		return text
	}
	for _, test := range []struct {
		name, want string
		show       func()
	}{
		{"HTML", "1 display_data text/html <b>x</b>", func() { gonbui.DisplayHTML("<b>x</b>") }},
		{"markdown", "1 display_data text/markdown # x", func() { gonbui.DisplayMarkdown("# x") }},
		{"image", "1 display_data image/png iVBOR", func() { gonbui.DisplayImage(image.NewGray(image.Rect(0, 0, 2, 2))) }},
		{"svg", "1 display_data text/html <div><svg/></div>", func() { gonbui.DisplaySVG("<svg/>") }},
		{"update", "1 display_data text/html one", func() { gonbui.UpdateHTML("id", "one") }},
		{"update again", "1 update_display_data text/html two", func() { gonbui.UpdateHTML("id", "two") }},
		{"script", "1 update_display_data text/html \n", func() { dom.TransientJavascript("go()") }},
	} {
		test.show()
		if got := take(); !strings.HasPrefix(got+"\n", test.want) && !strings.Contains(got, strings.TrimSuffix(test.want, "\n")) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	gonbui.RequestInput("name?", false)
	if p := <-s.asked; p != "name?" {
		t.Error(p)
	}
	if n, err := comms.ConvertTo[int](typed(3.0)); n != 3 || err != nil {
		t.Error(n, err)
	}

	// Nobody looks: widgets keep the values that they were made with.
	openTimeout = time.Millisecond
	values := comms.Listen[int]("/alone").WithBuffer(2) // what Value returns, without its data race
	widgets.Slider(0, 10, 4).WithAddress("/alone").Done()
	if v := <-values.C; v != 4 {
		t.Error("without a page the slider says", v)
	}
	widgets.Select([]string{"a", "b", "c"}).SetDefault(2).AppendTo("parent").WithAddress("/alone").Done()
	if v := <-values.C; v != 2 {
		t.Error("without a page the menu says", v)
	}
	values.Close()
	widgets.Button("go").Done()
	if html := dom.GetInnerHtml("parent"); html != "" {
		t.Error(html)
	}
	openTimeout = 3 * time.Second
	s.cell.Store(o.Cell("2", nil)) // a page that did not answer is asked again in the next cell
	l.mu.Lock()
	l.lines = nil
	l.mu.Unlock()

	// A page: it opens its comm when it is given the script, and answers as the script would.
	moved := make(chan int, 1)
	go func() {
		for seen := 0; ; time.Sleep(5 * time.Millisecond) {
			for _, line := range l.all()[seen:] {
				seen++
				switch {
				case strings.Contains(line, "globalThis.gonb_comm = new Comm"):
					if !strings.Contains(line, `"kernel-id"`) {
						t.Error("the script does not name the kernel")
					}
					g.Opened("page")
				case strings.Contains(line, "newSyncedVariable(\"/slider\"") || strings.Contains(line, "newSyncedVariable(\\\"/slider"):
					g.Message("page", "/slider", "3") // the slider's first value
				}
			}
		}
	}()
	slider := widgets.Slider(0, 10, 3).WithAddress("/slider").Done()
	changes := slider.Listen()
	go func() { moved <- <-changes.C }()
	time.Sleep(50 * time.Millisecond)
	g.Message("page", "/slider", "7")
	select {
	case v := <-moved:
		if v != 7 {
			t.Error("the slider says", v)
		}
	case <-time.After(5 * time.Second):
		t.Error("the slider's value did not reach the program")
	}
	comms.Send("/slider", 5) // what slider.SetValue does, without its data race
	gonbui.Sync()
	o.Flush()
	if all := strings.Join(l.all(), "\n"); !strings.Contains(all, `comm_msg {"address":"/slider","value":5}`) {
		t.Error("the program's value did not reach the page")
	}
	if strings.Contains(strings.Join(l.all(), "\n"), "no browser") {
		t.Error("the page was not seen")
	}
}
