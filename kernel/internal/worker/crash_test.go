package worker

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/lohakit/notebook/kernel/internal/session"
)

// The beginnings of cells.
const (
	note = "import \"os\"\nos.WriteFile(os.Getenv(\"LOHAKIT_CHECKPOINT_NOTE\"), []byte(\"/tmp/run.ckpt\"), 0o600)\n"

	// limit leaves the worker 256 MB more than it has.
	limit = `import ("os"; "syscall")
pages := 0
used := os.ReadFile("/proc/self/statm")
fmt.Sscan(string(used), &pages)
most := uint64(pages)*4096 + 256<<20
syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: most, Max: most})
`

	// square has XLA make an n×n matrix.
	square = `import (. "github.com/gomlx/gomlx/pkg/core/graph"; "github.com/lohakit/notebook/lohakit/xla")
backend := xla.Backend()
square := func(n int) { MustNewExec(backend, func(x *Node) *Node { return BroadcastToDims(x, n, n) }).MustExec(float32(1)) }
`
)

// TestDeath ends the worker in every way a cell can: the front says what died, and the next cell runs in a new worker
// within two seconds.
func TestDeath(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct{ name, code, says string }{
		{"exit", "import \"os\"\nos.Exit(3)", "exit status 3"},
		{"stack", "func f(n int) int { return f(n+1) + 1 }\nf(0)", "exhausted the stack, at Cell[2]:1"},
		{"maps", "m := map[int]int{}\nfor range 8 {\n\tgo func() {\n\t\tfor {\n\t\t\tm[1]++\n\t\t}\n\t}()\n}\nselect {}", "concurrent map"},
		{"memory", limit + "var hold []int64\nfor {\n\thold = append(hold, 1, 2, 3)\n}", "out of memory, at Cell[2]:9"},
		{"library aborts", note + square + "square(1 << 40)",
			"the XLA library gave up: Bad StatusOr access: INVALID_ARGUMENT: overflow in static extent product: dimensions=[1099511627776, 1099511627776], " +
				"at Cell[2]:5; the session's values are lost, and a new worker is ready; resume from /tmp/run.ckpt"},
		{"library exits", "import \"os\"\nos.Setenv(\"XLA_FLAGS\", \"--no_such_flag\")\n" + square, "Unknown flag in XLA_FLAGS: --no_such_flag"},
		{"native", "import \"syscall\"\nsyscall.Kill(syscall.Getpid(), syscall.SIGSEGV)\nselect {}", "SIGSEGV"},
		{"child", "import (\"os\"; \"os/exec\")\ncmd := exec.Command(\"sleep\", \"30\")\ncmd.Stdout = os.Stdout\ncmd.Start()\nos.Exit(4)",
			"exit status 4"},
		{"library", "import (\"net/http\"; \"context\")\nserver := &http.Server{}\n" +
			"server.RegisterOnShutdown(func() { panic(\"in a goroutine of net/http\") })\nserver.Shutdown(context.Background())\nselect {}",
			"panic: in a goroutine of net/http, at Cell[2]:3"},
		{"checkpoint", note + "os.Exit(5)", "resume from /tmp/run.ckpt"},
		{"killed", "import \"syscall\"\nsyscall.Kill(syscall.Getpid(), syscall.SIGKILL)\nselect {}", "memory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.Execute(context.Background(), session.Request{Code: "before := 1", Count: 1}, &tape{})
			ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
			defer cancel()
			r := e.Execute(ctx, session.Request{Code: c.code, Count: 2}, &tape{})
			if !r.Died || r.Err == nil || !strings.Contains(r.Err.Value, c.says) {
				t.Fatalf("%+v %v", r, r.Err)
			}
			if _, err := e.process(); err != nil {
				t.Fatal(err)
			}
			if got := run(ctx, e, 3, "before"); !strings.Contains(got, "undefined: before") {
				t.Errorf("after the death: %s", got)
			}
			if got := run(ctx, e, 4, "1 + 1"); got != "= 2\n" {
				t.Errorf("after the death: %s", got)
			}
		})
	}
}

// TestInterruptStorm interrupts a hundred cells at random moments; the state and the worker stay.
func TestInterruptStorm(t *testing.T) {
	e := newEngine(t)
	run(context.Background(), e, 1, "count := 0\nimport \"time\"\nvar ch chan int")
	pid := e.PID()
	cells := []string{
		"for {\n\tcount++\n}",
		"time.Sleep(time.Hour)",
		"<-ch",
		"for range 1000 {\n\tgo func() {\n\t\tfor {\n\t\t}\n\t}()\n}\nfor {\n}",
		"func() {\n\tdefer func() { recover() }()\n\tfor {\n\t}\n}()",
		"for i := 0; ; i++ {\n\tif i%1000000 == 0 {\n\t\tfmt.Print(\".\")\n\t}\n}",
	}
	for _, c := range cells { // compile them first
		ctx, cancel := context.WithCancel(context.Background())
		go interruptLater(e, cancel)
		run(ctx, e, 2, c)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range 100 {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Duration(random.IntN(60))*time.Millisecond, cancel)
		begin := time.Now()
		got := run(ctx, e, i, cells[i%len(cells)])
		cancel()
		if !strings.Contains(got, "! Interrupted") {
			t.Fatalf("%d: %q", i, got)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Fatalf("%d: interrupted after %s", i, took)
		}
	}
	if got := run(context.Background(), e, 200, "count > 0"); got != "= true\n" {
		t.Errorf("afterwards: %q", got)
	}
	if e.PID() != pid {
		t.Error("the worker was replaced")
	}
}

// TestKill ends a worker on request while a cell runs.
func TestKill(t *testing.T) {
	e := newEngine(t)
	run(context.Background(), e, 1, "import \"time\"")
	time.AfterFunc(time.Second, func() { e.Kill("it was ended on request") })
	r := e.Execute(context.Background(), session.Request{Code: "time.Sleep(time.Hour)"}, &tape{})
	if !r.Died || !strings.Contains(r.Err.Value, "on request") {
		t.Errorf("%+v", r.Err)
	}
}

// TestInput reads standard input, which becomes requests to the user.
func TestInput(t *testing.T) {
	e := newEngine(t)
	got := run(context.Background(), e, 1, "import (\"bufio\"; \"os\")\nin := bufio.NewReader(os.Stdin)\n"+
		"a := in.ReadString('\\n')\nb := in.ReadString('\\n')\nfmt.Printf(\"%q %q\\n\", a, b)", "first", "second")
	if got != "\"first\\n\" \"second\\n\"\n" {
		t.Error(got)
	}
	for _, code := range []string{"in.ReadString('\\n')", "for {\n\tfmt.Scanln()\n}"} { // nobody answers: the cell ends, and the worker stays
		if got := run(context.Background(), e, 2, code); got != "! InputError: no more input\n" {
			t.Error(got)
		}
	}
	if got := run(context.Background(), e, 3, "a"); got != "= first\n\n" {
		t.Error(got)
	}
}
