// Command numerics measures what training stands on: each operation's forward and backward pass with GoMLX's own gradients and with
// lohakit's, and steps of whole UNets beside PyTorch and diffusers, in one run on the same cores; whole training steps of the card's adapter
// beside PyTorch, diffusers, LyCORIS and bitsandbytes; and what drawing stands on: single evaluations of UNets and a whole image.
//
//	go run ./bench/numerics [-ops] [-train mini,half,full] [-unet narrow,half] [-sample tiny,half,image,full] [-python .venv-reference/bin/python]
//
// Both programs run alternately, and the best of all rounds counts; compile time is reported apart.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/xla"
)

func main() {
	ops := flag.Bool("ops", false, "measure operations only")
	sizes := flag.String("unet", "narrow,half", "UNets to step: narrow, half, full (860 M parameters, 20 GB)")
	samples := flag.String("sample", "", "draw instead: tiny, half, image (20 steps), full (860 M parameters, 5 GB)")
	trained := flag.String("train", "", "train adapters instead: mini, half, full (860 M parameters, 12 GB)")
	stepped := flag.String("step", "", "train in this process what the JSON says, which -train starts")
	one := flag.String("draw", "", "draw once in this process what the JSON says, which -sample starts")
	python := flag.String("python", ".venv-reference/bin/python", "Python with torch and diffusers; \"\" leaves them out")
	rounds := flag.Int("rounds", 3, "rounds, each with both programs")
	flag.Parse()
	var err error
	switch {
	case *ops:
		err = operations()
	case *one != "":
		err = draw(*one)
	case *stepped != "":
		err = trainOnce(*stepped)
	case *trained != "":
		err = trainingTable(strings.Split(*trained, ","), *python)
	case *samples != "":
		err = drawingTable(strings.Split(*samples, ","), *python)
	default:
		err = steps(strings.Split(*sizes, ","), *python, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// cost is what one run takes.
type cost struct{ wall, cpu time.Duration }

func (c cost) String() string {
	return fmt.Sprintf("%8.2f ms (processor %8.2f ms)", float64(c.wall.Microseconds())/1e3, float64(c.cpu.Microseconds())/1e3)
}

func (c cost) best(d cost) cost { return cost{min(c.wall, d.wall), min(c.cpu, d.cpu)} }

var never = cost{1 << 60, 1 << 60}

// measure runs the program n times and returns the least cost of a run whose outputs stay on the device.
func measure(program *xla.Program, n int, in ...any) (cost, error) {
	least := never
	for range n {
		start, used := time.Now(), processorTime()
		out, err := program.Run(in...)
		if err != nil {
			return least, err
		}
		out[0].MaterializeLocal() // waits for the result
		for _, t := range out {
			t.MustFinalizeAll()
		}
		least = least.best(cost{time.Since(start), processorTime() - used})
	}
	return least, nil
}

func processorTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// ramp returns a tensor of numbers between −1 and 1 that repeat only after 9973.
func ramp(dims ...int) *tensors.Tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(i*7919%9973)/4986.5 - 1
	}
	return tensors.FromFlatDataAndDimensions(data, dims...)
}

// backward is a program that computes fn's output and its gradients with respect to all inputs but the last, which weighs the output.
func backward(name string, fn func(in []*Node) *Node) *xla.Program {
	return xla.Compile(name, func(in []*Node) []*Node {
		last := len(in) - 1
		y := fn(in[:last])
		return append(Gradient(ReduceAllSum(Mul(y, in[last])), in[:last]...), y)
	})
}
