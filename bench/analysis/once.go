package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/merge"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/spectrum"
)

// rank of the extraction.
const rank = 64

// once does a task and prints its result.
func once(task, dir string, every int) error {
	work, ok := map[string]func(dir string, every int) (float64, error){"spectra": spectra, "extract": extract, "merge": mix}[task]
	if !ok {
		return fmt.Errorf("there is no task %q", task)
	}
	start := time.Now()
	check, err := work(dir, every)
	if err != nil {
		return err
	}
	r := result{Wall: time.Since(start).Seconds(), CPU: processorTime().Seconds(), Check: check}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(status), "\n") {
		key, value, _ := strings.Cut(line, ":")
		kB, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(value, "kB")))
		switch key {
		case "VmHWM":
			r.Peak = kB
		case "RssAnon":
			r.Anon = kB
		}
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// spectra computes all singular values of all modules; both must agree on the sum of the effective ranks.
func spectra(dir string, every int) (float64, error) {
	a, err := adapter.Load(filepath.Join(dir, "loha.safetensors"))
	if err != nil {
		return 0, err
	}
	all, err := spectrum.All(some(spectrum.OfAdapter(a, &sd.Model{Config: sd.SD1Config()}), every), nil)
	sum := 0.0
	for _, s := range all {
		sum += s.Effective()
	}
	return sum, err
}

// extract makes a LoCon of rank 64 of every layer; both must agree on the norm of what it misses.
func extract(dir string, every int) (float64, error) {
	d, err := between(dir)
	if err != nil {
		return 0, err
	}
	rule := spectrum.Rule{Mode: spectrum.Fixed, Value: rank}
	a, parts, err := spectrum.Extract(some(d, every), spectrum.Extraction{Linear: rule, Conv: rule}, nil)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, p := range parts {
		sum += p.Error * p.Error
	}
	return math.Sqrt(sum / float64(len(parts))), a.Save(filepath.Join(dir, "extracted.safetensors"), nil)
}

// between is what the two checkpoints, which stay open, differ by.
func between(dir string) (spectrum.Differences, error) {
	var open [2]*checkpoint.Model
	for i, name := range []string{"tuned", "source"} {
		f, err := checkpoint.OpenModel(filepath.Join(dir, name+".safetensors"))
		if err != nil {
			return nil, err
		}
		open[i] = f
	}
	return spectrum.OfFiles(open[0], open[1])
}

// some is every n-th difference.
func some(d spectrum.Differences, n int) spectrum.Differences {
	var out spectrum.Differences
	for i := 0; i < len(d); i += n {
		out = append(out, d[i])
	}
	return out
}

// mix is the weighted sum of the two checkpoints.
func mix(dir string, _ int) (float64, error) {
	out := filepath.Join(dir, "merged")
	if err := os.RemoveAll(out); err != nil {
		return 0, err
	}
	if err := os.Mkdir(out, 0o755); err != nil {
		return 0, err
	}
	r, err := merge.Parse("mix = source + tuned, 0.3, fp16, safetensors")
	if err != nil {
		return 0, err
	}
	results, err := r.Run(context.Background(), merge.Options{Models: merge.InFolder(dir), Folder: out})
	if err != nil {
		return 0, err
	}
	f, err := checkpoint.Open(results[0].Path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	t, err := f.Tensor("model.diffusion_model.middle_block.1.proj_in.weight")
	if err != nil {
		return 0, err
	}
	values, err := t.Floats()
	sum := 0.0
	for _, v := range values {
		sum += math.Abs(float64(v))
	}
	return sum, err
}

func processorTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
