package live_test

import (
	"errors"
	"fmt"
	"image"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lohakit/notebook/kernel/internal/hook"
	"github.com/lohakit/notebook/kernel/internal/live"
)

// A cell runs in a goroutine of its own; what it shows and how it fails is caught.
func ExampleStart() {
	e, done := live.Start(1, func(*live.Exec) { hook.Show(1, "two") })
	fmt.Println(<-done == nil, e.Bundle[0].Text)
	_, done = live.Start(1, func(*live.Exec) { panic("oops") })
	fmt.Println((<-done).Text)
	_, done = live.Start(1, func(*live.Exec) { hook.Try0(errors.New("no such model")) })
	f := <-done
	fmt.Println(f.Kind == live.Failed, f.Text)
	// Output:
	// true 1, two
	// oops
	// true no such model
}

// An image is shown as PNG, a long slice by its beginning, a function not at all.
func ExampleRender() {
	items := live.Render(image.NewGray(image.Rect(0, 0, 4, 3)))
	fmt.Println(items[0].MIME, items[1].Text)
	long := live.Render(make([]bool, 1000))[0].Text
	fmt.Println(long[:12], long[len(long)-12:])
	fmt.Println(len(live.Render(func() {})))
	// Output:
	// image/png *image.Gray 4×3
	// [false false 1000 in all]
	// 0
}

// TestStop interrupts an endless loop and its goroutine; deferred functions run, and recover does not stop the stopping.
func TestStop(t *testing.T) {
	cleaned := make(chan bool, 1)
	ended := make(chan bool, 1)
	began := make(chan bool)
	e, done := live.Start(1, func(*live.Exec) {
		defer func() { hook.Check(); cleaned <- true }()
		go func() {
			defer hook.Goroutine()()
			defer func() { ended <- true }()
			close(began)
			for {
				hook.Check()
			}
		}()
		for {
			func() {
				defer func() { _ = recover() }()
				hook.Check()
			}()
		}
	})
	<-began
	e.Stop()
	for name, c := range map[string]chan bool{"cleaned": cleaned, "ended": ended} {
		select {
		case <-c:
		case <-time.After(10 * time.Second):
			t.Fatal("not " + name)
		}
	}
	if f := <-done; f == nil || f.Kind != live.Interrupted {
		t.Errorf("%+v", f)
	}
	for begin := time.Now(); hook.Stopping.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("the interrupted run is never over")
		}
	}
}

// front is the memory that the tests share with the cells, as a front maps it.
var front *live.Shared

func TestMain(m *testing.M) {
	os.Exit(func() int {
		page, err := os.CreateTemp("", "live-test-")
		if err != nil {
			panic(err)
		}
		defer os.Remove(page.Name())
		worker, err := live.Map(page)
		if err == nil {
			front, err = live.Map(page)
		}
		if err != nil {
			panic(err)
		}
		defer front.Unmap()
		live.Share(worker)
		return m.Run()
	}())
}

// TestLate begins goroutines that have their first turn once their cell is interrupted and another runs: they are not the other's.
func TestLate(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // none has a turn while the cell begins them
	var at atomic.Int64
	second := make(chan bool)
	_, done := live.Start(1, func(e *live.Exec) {
		for range 100 {
			go func() {
				defer hook.Goroutine()()
				at.Add(1)
				defer at.Add(-1)
				<-second
				for {
					hook.Check()
				}
			}()
		}
		e.Stop()
		hook.Check()
	})
	running, _ := live.Start(2, func(*live.Exec) {
		for {
			hook.Check()
			runtime.Gosched()
		}
	})
	defer running.Stop()
	<-done
	close(second)
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		if n := at.Load(); n == 0 && time.Since(begin) > 200*time.Millisecond {
			break
		} else if time.Since(begin) > 10*time.Second {
			t.Fatalf("%d goroutines of the first cell go on", n)
		}
	}
}

// TestAsk interrupts a cell through shared memory alone; what is asked for another run changes nothing.
func TestAsk(t *testing.T) {
	turns := make(chan bool)
	_, done := live.Start(7, func(*live.Exec) {
		for {
			hook.Check()
			select {
			case turns <- true:
			default:
			}
		}
	})
	front.Ask(6)
	for range 3 {
		<-turns
	}
	front.Ask(7)
	if f := <-done; f == nil || f.Kind != live.Interrupted {
		t.Errorf("%+v", f)
	}
	front.Ask(8)
	live.Withdraw(8)
	if n := hook.Stopping.Load(); n != 0 {
		t.Errorf("%d runs are still being stopped", n)
	}
}

// A panic in a value's own methods is the cell's, not the worker's.
type bad struct{}

func (bad) String() string { panic("no text") }

func TestBadText(t *testing.T) {
	_, done := live.Start(1, func(*live.Exec) { panic(bad{}) })
	if f := <-done; f == nil || f.Kind != live.Panicked {
		t.Errorf("%+v", f)
	}
}
