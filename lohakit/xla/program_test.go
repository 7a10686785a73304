package xla_test

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/xla"
)

// One program serves several shapes and goroutines, and takes numbers, slices, tensors and lists of them.
func TestRunInputs(t *testing.T) {
	sum := xla.Compile("sum", func(in []*Node) []*Node {
		total := ReduceAllSum(in[0])
		for _, x := range in[1:] {
			total = Add(total, ReduceAllSum(x))
		}
		return []*Node{total}
	})
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Go(func() {
			x := tensors.FromValue(make([]float32, n+1))
			out, err := sum.Run([]any{x, float32(n)}, []*tensors.Tensor{x}, []float32{1, 2})
			if err != nil {
				t.Error(err)
			} else if got := tensors.ToScalar[float32](out[0]); got != float32(n+3) {
				t.Errorf("sum %v, want %v", got, n+3)
			}
		})
	}
	wg.Wait()
}

// A donated tensor is used up, whether it lies on the device, on the host or is shared by both.
func TestDonate(t *testing.T) {
	next := xla.Compile("next", func(in []*Node) []*Node { return []*Node{AddScalar(in[0], 1)} })
	onHost := tensors.FromValue([]float32{1, 2})
	out := run(t, next, xla.Donate(onHost))
	if got := out[0].Value().([]float32); got[1] != 3 {
		t.Errorf("got %v", got)
	}
	shared := tensors.FromValue([]float32{1, 2})
	run(t, next, shared)
	run(t, next, xla.Donate(shared))

	state := run(t, next, []float32{0})[0]
	for range 3 {
		state = run(t, next, xla.Donate(state))[0]
	}
	if got := state.Value().([]float32); got[0] != 4 {
		t.Errorf("after four steps %v", got)
	}
	if err := next.Prepare(xla.Donate(state)); err != nil || state.Value().([]float32)[0] != 4 {
		t.Errorf("Prepare took the memory of what is donated: %v", err)
	}
}

func TestRunErrors(t *testing.T) {
	add := xla.Compile("add", func(in []*Node) []*Node { return []*Node{Add(in[0], in[1])} })
	if _, err := add.Run([]float32{1, 2}, []float32{1, 2, 3}); err == nil || !strings.Contains(err.Error(), "add") {
		t.Errorf("shapes that do not match: %v", err)
	}
	if _, err := add.Run("text", []float32{1}); err == nil {
		t.Error("a string is no tensor")
	}
	for _, none := range []any{nil, (*tensors.Tensor)(nil), xla.Donate(nil)} {
		if _, err := add.Run(none, []float32{1}); err == nil || !strings.Contains(err.Error(), "add") {
			t.Errorf("no tensor: %v", err)
		}
	}
	add.Close()
	run(t, add, float32(1), float32(2))
}

// A program may be closed while others run it: they end as they would have, and the next compiles again.
func TestCloseWhileRunning(t *testing.T) {
	square := xla.Compile("square", func(in []*Node) []*Node {
		x := in[0]
		for range 4 {
			x = Mul(Dot(x, x), x)
		}
		return []*Node{x}
	})
	var wg sync.WaitGroup
	var closed atomic.Bool
	for range 3 {
		wg.Go(func() {
			for !closed.Load() {
				out, err := square.Run(tensors.FromFlatDataAndDimensions(make([]float32, 1<<14), 1<<7, 1<<7))
				if err != nil {
					t.Error(err)
					return
				}
				out[0].MustFinalizeAll()
			}
		})
	}
	for range 8 {
		time.Sleep(5 * time.Millisecond) // for some to be running
		square.Close()
	}
	closed.Store(true)
	wg.Wait()
}
