package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// size is a UNet and its input, as reference.py reads it.
type size struct {
	Name     string `json:"name"`
	Channels []int  `json:"channels"`
	Latent   int    `json:"latent"`
	Cross    int    `json:"cross"`
	Heads    int    `json:"heads"`
	Batch    int    `json:"batch"`
	Side     int    `json:"side"`
	Groups   int    `json:"groups"`
}

func (s size) config() sd.UNetConfig {
	return sd.UNetConfig{In: s.Latent, Out: s.Latent, Channels: s.Channels, Layers: 2,
		Attention: []bool{true, true, true, false}, CrossDim: s.Cross, Heads: s.Heads, Groups: s.Groups}
}

var sizes = []size{
	{"narrow", []int{32, 64, 128, 128}, 8, 64, 4, 8, 16, 32},
	{"half", []int{32, 64, 64, 64}, 4, 64, 8, 4, 32, 32},
	{"full", []int{320, 640, 1280, 1280}, 4, 768, 8, 1, 32, 32},
}

// modes are what one run computes: the output; also gradients of the attention's matrices and a step of these, as adapters
// need; or a step of all weights.
var modes = []string{"forward", "attention", "all"}

func adapted(mode, name string) bool {
	return mode == "all" || mode == "attention" && strings.Contains(name, ".attn") && strings.HasSuffix(name, ".weight")
}

// steps prints the cost of each size and mode beside the reference's.
func steps(names []string, python string, rounds int) error {
	for _, s := range sizes {
		if !slices.Contains(names, s.Name) {
			continue
		}
		config := s.config()
		weights := sd.InitUNet(config, 1)
		fmt.Printf("%s: %.1f M parameters, latents [%d, %d, %d, %d]\n", s.Name, float64(weights.Size())/1e6, s.Batch, s.Latent, s.Side, s.Side)
		in := []any{ramp(s.Batch, s.Latent, s.Side, s.Side), ramp(s.Batch), ramp(s.Batch, 77, s.Cross), ramp(s.Batch, s.Latent, s.Side, s.Side)}
		for _, mode := range modes {
			program := step(config, weights, mode)
			start := time.Now()
			if err := program.Prepare(weights.Inputs(), in); err != nil {
				return err
			}
			compile := time.Since(start)
			ours, theirs := never, never
			for range rounds {
				c, err := measure(program, 5, weights.Inputs(), in)
				if err != nil {
					return err
				}
				ours = ours.best(c)
				if python == "" {
					continue
				}
				if c, err = reference(python, s, mode); err != nil {
					return err
				}
				theirs = theirs.best(c)
			}
			program.Close()
			fmt.Printf("  %-10s lohakit %s  compiled in %.1f s", mode, ours, compile.Seconds())
			if python != "" {
				fmt.Printf("  PyTorch %s  %.2f times as fast (processor %.2f)", theirs, ratio(theirs.wall, ours.wall), ratio(theirs.cpu, ours.cpu))
			}
			fmt.Println()
		}
	}
	return nil
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// step is the program of one mode.
func step(c sd.UNetConfig, weights *sd.Params, mode string) *xla.Program {
	names := weights.Names()
	return xla.Compile("unet "+mode, func(in []*Node) []*Node {
		x := in[len(names):]
		y := sd.UNet(c, weights.Bind(in), x[0], x[1], x[2])
		if mode == "forward" {
			return []*Node{y}
		}
		loss := ReduceAllMean(Square(Sub(y, x[3])))
		var wrt []*Node
		for i, name := range names {
			if adapted(mode, name) {
				wrt = append(wrt, in[i])
			}
		}
		out := []*Node{loss}
		for i, g := range Gradient(loss, wrt...) {
			out = append(out, Sub(wrt[i], MulScalar(g, 1e-4)))
		}
		return out
	})
}

// reference runs reference.py, which prints wall and processor time of its best step as JSON, in seconds.
func reference(python string, s size, mode string) (cost, error) {
	spec, err := json.Marshal(s)
	if err != nil {
		return never, err
	}
	cmd := exec.Command(python, "bench/numerics/reference.py", string(spec), mode)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return never, fmt.Errorf("reference.py: %w", err)
	}
	var seconds struct{ Wall, CPU float64 }
	for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
		if json.Unmarshal(lines.Bytes(), &seconds) == nil {
			break
		}
	}
	return cost{time.Duration(seconds.Wall * 1e9), time.Duration(seconds.CPU * 1e9)}, nil
}
