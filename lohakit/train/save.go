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

// Save writes the adapter to a .safetensors file that A1111, ComfyUI and kohya's tools read, in SaveDType, with the training's metadata, and
// each embedding to embeddings/NAME.safetensors beside it, where these programs look for them; into the adapter's file too if Bundle is set.
// A run of Embeddings alone writes only these. With SaveState what Resume needs is written beside them, as NAME-state.safetensors.
func (r *Run) Save(path string) error { return r.save(path, "") }

// save is Save with something added to the names of the embeddings.
func (r *Run) save(path, added string) error {
	if !strings.HasSuffix(path, ".safetensors") {
		return fault.New(fault.Invalid, "save adapter", path, "the name does not end in .safetensors").Fix("add it")
	}
	if err := r.Sync(); err != nil {
		return err
	}
	a, dtype := r.Adapter, map[string]checkpoint.DType{"fp16": checkpoint.F16, "bf16": checkpoint.BF16, "fp32": checkpoint.F32}[r.Config.SaveDType]
	a.Precision = dtype
	for _, e := range a.Embeddings {
		path := embeddingPath(path, e.Name+added)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fault.New(fault.IO, "save embedding", path, "%w", err).Fix("choose another folder")
		}
		if err := e.Save(path, dtype, r.modelspec("textual-inversion", "https://github.com/Stability-AI/generative-models", e.Name+added)); err != nil {
			return err
		}
	}
	if len(a.Names()) > 0 {
		words := a.Embeddings
		if !r.Config.Bundle {
			a.Embeddings = nil
		}
		err := a.Save(path, r.Metadata(strings.TrimSuffix(filepath.Base(path), ".safetensors")))
		if a.Embeddings = words; err != nil {
			return err
		}
	}
	if r.Config.SaveState {
		return r.Checkpoint(statePath(path))
	}
	return nil
}

// statePath is where what Resume needs is kept beside a saved file.
func statePath(path string) string {
	return strings.TrimSuffix(path, ".safetensors") + "-state.safetensors"
}

// embeddingPath is where an embedding is saved beside an adapter.
func embeddingPath(adapter, name string) string {
	return filepath.Join(filepath.Dir(adapter), "embeddings", name+".safetensors")
}

// saveOnSchedule saves every SaveEvery steps and every SaveEveryEpochs epochs, as the trainers name such files, and deletes those beyond SaveKeep
// and SaveKeepEpochs. As with them the last epoch has no file of its own: Save writes what it ends with.
func (r *Run) saveOnSchedule() error {
	c := r.Config
	if every := c.SaveEvery; every > 0 && r.done%every == 0 {
		if err := r.saveScheduled(stepSuffix, r.done, r.done-c.SaveKeep*every, c.SaveKeep > 0); err != nil {
			return err
		}
	}
	if epoch := r.ended(c.SaveEveryEpochs); epoch > 0 && r.done < r.total {
		return r.saveScheduled(epochSuffix, epoch, epoch-c.SaveKeepEpochs*c.SaveEveryEpochs, c.SaveKeepEpochs > 0)
	}
	return nil
}

// ended is the number of the epoch that the last step ended, of every so many epochs, from 1; 0 if it ended none of these, or every is 0. The
// run's end is that of the epoch it is in.
func (r *Run) ended(every int) int {
	if every == 0 || r.done == 0 {
		return 0
	}
	k := r.Config.GradAccumulation
	epochs, before := r.done*k/r.perEpoch, (r.done-1)*k/r.perEpoch
	if epochs == before && r.done == r.total {
		epochs++
	}
	if epochs = epochs / every * every; epochs > before {
		return epochs
	}
	return 0
}

// saveScheduled saves the file of a number, and if asked deletes that of an earlier one.
func (r *Run) saveScheduled(suffix func(int) string, number, old int, forget bool) error {
	if err := os.MkdirAll(r.Config.OutputDir, 0o755); err != nil {
		return fault.New(fault.IO, "save adapter", r.Config.OutputDir, "%w", err).Fix("choose another OutputDir")
	}
	path := func(number int) string {
		return filepath.Join(r.Config.OutputDir, r.Config.OutputName+suffix(number)+".safetensors")
	}
	if err := r.save(path(number), suffix(number)); err != nil {
		return err
	}
	if forget && old > 0 {
		os.Remove(path(old))
		os.Remove(statePath(path(old)))
		for _, e := range r.Adapter.Embeddings {
			os.Remove(embeddingPath(path(old), e.Name+suffix(old)))
		}
	}
	return nil
}

func stepSuffix(step int) string { return fmt.Sprintf("-step%08d", step) }

func epochSuffix(epoch int) string { return fmt.Sprintf("-%06d", epoch) }
