package train

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Done is the number of optimizer steps made.
func (r *Run) Done() int { return r.done }

// Total is the number of optimizer steps the run has in all.
func (r *Run) Total() int { return r.total }

// Losses returns the loss of every step made, in order.
func (r *Run) Losses() []float64 { return append([]float64(nil), r.losses...) }

// Save writes the adapter to a .safetensors file that A1111, ComfyUI and kohya's tools read, in SaveDType, with the training's metadata.
func (r *Run) Save(path string) error {
	if !strings.HasSuffix(path, ".safetensors") {
		return fault.New(fault.Invalid, "save adapter", path, "the name does not end in .safetensors").Fix("add it")
	}
	r.Adapter.Precision = map[string]checkpoint.DType{"fp16": checkpoint.F16, "bf16": checkpoint.BF16, "fp32": checkpoint.F32}[r.Config.SaveDType]
	return r.Adapter.Save(path, r.Metadata(strings.TrimSuffix(filepath.Base(path), ".safetensors")))
}

// saveOnSchedule saves every SaveEvery steps, as the trainers name such files, and deletes the oldest beyond SaveKeep.
func (r *Run) saveOnSchedule() error {
	if r.Config.SaveEvery == 0 || r.done%r.Config.SaveEvery != 0 {
		return nil
	}
	if err := os.MkdirAll(r.Config.OutputDir, 0o755); err != nil {
		return fault.New(fault.IO, "save adapter", r.Config.OutputDir, "%w", err).Fix("choose another OutputDir")
	}
	if err := r.Sync(); err != nil {
		return err
	}
	if err := r.Save(r.scheduled(r.done)); err != nil {
		return err
	}
	if old := r.done - r.Config.SaveKeep*r.Config.SaveEvery; r.Config.SaveKeep > 0 && old > 0 {
		os.Remove(r.scheduled(old))
	}
	return nil
}

func (r *Run) scheduled(step int) string {
	return filepath.Join(r.Config.OutputDir, fmt.Sprintf("%s-step%08d.safetensors", r.Config.OutputName, step))
}
