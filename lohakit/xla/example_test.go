package xla_test

import (
	"fmt"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/xla"
)

// One step of gradient descent on a line through three points. The weights stay on the device from step to step, and each step
// writes the new ones over the old.
func ExampleProgram_Run() {
	step := xla.Compile("line", func(in []*Node) []*Node {
		w, x, y := in[0], in[1], in[2]
		loss := ReduceAllMean(Square(Sub(xla.Linear(x, w, nil), y)))
		return []*Node{Sub(w, MulScalar(Gradient(loss, w)[0], 0.05)), loss}
	})
	x, y := [][]float32{{1, 1}, {2, 1}, {3, 1}}, [][]float32{{3}, {5}, {7}}
	w := tensors.FromValue([][]float32{{0, 0}})
	for range 400 {
		out, err := step.Run(xla.Donate(w), x, y)
		if err != nil {
			fmt.Println(err)
			return
		}
		w = out[0]
	}
	line := w.Value().([][]float32)[0]
	fmt.Printf("y = %.2f x + %.2f\n", line[0], line[1])
	// Output: y = 2.00 x + 1.00
}

// GoMLX reports what is wrong with a graph by panicking; Try makes that an error.
func ExampleTry() {
	err := xla.Try("reshape weights", func() { panic("6 elements do not fit [2, 2]") })
	fmt.Println(err)
	// Output: reshape weights: 6 elements do not fit [2, 2]
}
