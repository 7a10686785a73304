package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// drawing is an evaluation of a UNet, or a whole image if it has steps, as sample.py reads it.
type drawing struct {
	size
	Steps  int `json:"steps"`
	Runs   int `json:"runs"` // in each process, of which the best counts
	rounds int // processes of each; before them one of lohakit's that has to compile
}

// drawings have two rows, with and without the prompt, as guidance needs for an image. tiny is the miniature models' UNet, half the one
// of `make parity`, full that of SD 1.x at 512 × 512 pixels.
var drawings = []drawing{
	{size{"tiny", []int{32, 64, 96, 96}, 16, 96, 4, 2, 16, 8}, 0, 30, 2},
	{size{"half", []int{32, 64, 64, 64}, 4, 64, 8, 2, 32, 32}, 0, 20, 2},
	{size{"image", []int{32, 64, 96, 96}, 16, 96, 4, 2, 16, 8}, 20, 5, 2},
	{size{"full", []int{320, 640, 1280, 1280}, 4, 768, 8, 2, 64, 32}, 0, 2, 1},
}

// drawn is what one process reports: seconds of the best run, those the first took longer, and the most memory it ever had.
type drawn struct {
	Wall  float64 `json:"wall"`
	CPU   float64 `json:"cpu"`
	First float64 `json:"first"`
	Peak  int     `json:"peak"` // kB, VmHWM of /proc/self/status
}

func (d drawn) String() string { return fmt.Sprintf("%.1f (%.1f)", 1e3*d.Wall, 1e3*d.CPU) }

// best is the least of both; First is d's.
func (d drawn) best(e drawn) drawn {
	return drawn{min(d.Wall, e.Wall), min(d.CPU, e.CPU), d.First, max(d.Peak, e.Peak)}
}

// drawingTable prints a row of the README's table for each of the named drawings. Every figure comes from a process of its own.
func drawingTable(names []string, python string) error {
	fmt.Println("| | lohakit, ms | PyTorch, ms | times as fast | compiling, s | second start, s | lohakit, MB | second start, MB | PyTorch, MB |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for _, d := range drawings {
		if slices.Contains(names, d.Name) {
			if err := beside(d.Name, d, d.rounds, "-draw", python, "bench/numerics/sample.py"); err != nil {
				return err
			}
		}
	}
	return nil
}

// beside measures what spec says in processes of this program, started with flag, and of a Python script, in turn, and prints a row.
func beside(name string, spec any, rounds int, flag, python, script string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	cache, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	cold, err := process(cache, self, flag, string(text))
	if err != nil {
		return err
	}
	var ours, theirs drawn
	for round := range rounds {
		t := drawn{Wall: math.NaN(), CPU: math.NaN()}
		if python != "" {
			if t, err = process(cache, python, "-W", "ignore", script, string(text)); err != nil {
				return err
			}
		}
		o, err := process(cache, self, flag, string(text))
		if err != nil {
			return err
		}
		if round == 0 {
			ours, theirs = o, t
		} else {
			ours, theirs = ours.best(o), theirs.best(t)
		}
	}
	fmt.Printf("| %s | %s | %s | %.2f (%.2f) | %.1f | %.2f | %d | %d | %d |\n", name, ours, theirs, theirs.Wall/ours.Wall, theirs.CPU/ours.CPU,
		cold.First, ours.First, cold.Peak/1000, ours.Peak/1000, theirs.Peak/1000)
	return nil
}

// process runs a program that prints what it drew as the last line.
func process(cache, name string, args ...string) (drawn, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), xla.CacheVar+"="+cache)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return drawn{}, fmt.Errorf("%s: %w\n%s", name, err, &said)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var d drawn
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &d); err != nil {
		return drawn{}, fmt.Errorf("%s printed %q: %w", name, out, err)
	}
	return d, nil
}

// draw measures the drawing that spec describes in this process and prints the result.
func draw(spec string) error {
	var d drawing
	if err := json.Unmarshal([]byte(spec), &d); err != nil {
		return err
	}
	run := d.evaluation()
	if d.Steps > 0 {
		var err error
		if run, err = d.image(); err != nil {
			return err
		}
	}
	start := time.Now()
	if err := run(); err != nil {
		return err
	}
	first := time.Since(start).Seconds()
	least := never
	for range d.Runs {
		start, used := time.Now(), processorTime()
		if err := run(); err != nil {
			return err
		}
		least = least.best(cost{time.Since(start), processorTime() - used})
	}
	peak, err := peakMemory()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(drawn{least.wall.Seconds(), least.cpu.Seconds(), first - least.wall.Seconds(), peak})
}

// evaluation is one evaluation of the UNet.
func (d drawing) evaluation() func() error {
	weights := sd.InitUNet(d.config(), 1)
	program := step(d.config(), weights, "forward")
	in := []any{ramp(d.Batch, d.Latent, d.Side, d.Side), ramp(d.Batch), ramp(d.Batch, 77, d.Cross)}
	return func() error {
		_, err := measure(program, 1, weights.Inputs(), in)
		return err
	}
}

// image is the drawing of an image with guidance, from its prompts to its pixels, by a miniature model.
func (d drawing) image() (func() error, error) {
	m, err := sd.New(sd.Config{
		UNet: d.config(),
		Text: sd.TextConfig{Rows: 512, Width: d.Cross, Layers: 3, Heads: d.Heads, MLP: 4 * d.Cross, Positions: sd.Window, TokenIDs: []int32{320}},
		VAE:  sd.VAEConfig{Latent: d.Latent, Patch: 4, Scale: 1}, Prediction: sd.Epsilon,
	}, 1)
	if err != nil {
		return nil, err
	}
	return func() error {
		_, err := sample.Images(context.Background(), m, nil, sample.Options{Prompt: "a red house by the sea", Negative: "blurry", Seed: 1,
			Steps: d.Steps, CFG: 7, Sampler: "DDIM", Width: 4 * d.Side, Height: 4 * d.Side})
		return err
	}, nil
}

// peakMemory is the most memory this process ever had resident, in kB.
func peakMemory() (int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kB int
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		return 0, fmt.Errorf("VmHWM in /proc/self/status: %w", err)
	}
	return kB, nil
}
