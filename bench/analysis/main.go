// Command analysis measures looking inside and merging at full size beside PyTorch, on the same files and cores: the spectra of every
// module of an SD 1.x LoHa, extraction at rank 64 from two checkpoints of 860 M UNet weights, and a merge of the two.
//
//	go run ./bench/analysis [-dir folder] [-do spectra,extract,merge] [-every 1] [-python .venv-reference/bin/python]
//
// -every 10 takes every tenth module or layer, the same in both programs: full decompositions of all take PyTorch most of an hour on two cores.
// Each figure comes from a process of its own, so that its peak memory is its own; the two programs run one after the other. The files
// are made once, about 4.3 GB.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	dir := flag.String("dir", ".build/bench-analysis", "folder for the files, about 5 GB")
	do := flag.String("do", "spectra,extract,merge", "what to measure")
	python := flag.String("python", ".venv-reference/bin/python", "Python with torch, safetensors and numpy")
	every := flag.Int("every", 1, "decompose only every n-th layer")
	one := flag.String("one", "", "do it once in this process, as -do starts it")
	flag.Parse()
	err := func() error {
		if *one != "" {
			return once(*one, *dir, *every)
		}
		return table(strings.Split(*do, ","), *dir, *python, fmt.Sprint(*every))
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// result is what one process reports.
type result struct {
	Wall  float64 `json:"wall"`  // seconds
	CPU   float64 `json:"cpu"`   // seconds of processor time
	Peak  int     `json:"peak"`  // kB of memory at most, VmHWM of /proc/self/status
	Anon  int     `json:"anon"`  // kB of it at the end that are not pages of files, RssAnon
	Check float64 `json:"check"` // a figure that both must agree on
}

func table(tasks []string, dir, python, every string) error {
	if err := files(dir, python); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Println("| | lohakit, s (processor) | PyTorch, s (processor) | times as fast (processor) | lohakit, MB | PyTorch, MB | both compute |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, task := range tasks {
		ours, err := process(self, "-one", task, "-dir", dir, "-every", every)
		if err != nil {
			return err
		}
		theirs, err := process(python, "bench/analysis/reference.py", task, dir, every)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %.1f (%.1f) | %.1f (%.1f) | %.1f (%.1f) | %d | %d | %.6g, %.6g |\n", task, ours.Wall, ours.CPU, theirs.Wall, theirs.CPU,
			theirs.Wall/ours.Wall, theirs.CPU/ours.CPU, ours.Peak/1000, theirs.Peak/1000, ours.Check, theirs.Check)
	}
	return nil
}

// process runs a program and reads the last line that it prints.
func process(name string, args ...string) (result, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return result{}, fmt.Errorf("%s %v: %w", name, args, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var r result
	return r, json.Unmarshal([]byte(lines[len(lines)-1]), &r)
}

// files makes what is missing: source.safetensors and loha.safetensors, and tuned.safetensors, which needs many large products.
func files(dir, python string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, create := range map[string]func(path string) error{"source": source, "loha": loha} {
		path := filepath.Join(dir, name+".safetensors")
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := create(path); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "tuned.safetensors")); err != nil {
		if _, err := process(python, "bench/analysis/reference.py", "make", dir, "1"); err != nil {
			return err
		}
	}
	return layers(dir)
}
