package world_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/world"
	"github.com/lohakit/notebook/lohakit/xla"
)

// A base model's training that was stopped and resumed after every step, that before polishing begins among them, ends in the state of one that
// was not, byte for byte; a state of another recipe is refused; and the model it gives opens from its file.
func TestBaseResumes(t *testing.T) {
	if _, err := xla.Backend(); fault.Is(err, fault.Missing) {
		t.Skipf("training runs on XLA: %v", err)
	}
	recipe := world.Recipe{Name: "tiny", Steps: 2, Polish: 2, LR: 1e-3}
	plan := world.Plan{Size: 32, Patch: 4, Latents: 4, Channels: []int{8, 8, 8, 8}, Batch: 2, Average: 0.9}
	stopped := errors.New("stopped")
	state := filepath.Join(t.TempDir(), "state.safetensors")
	train := func(b *world.Base, to int) []byte { // runs to the step and returns what Save wrote then
		err := b.Train(context.Background(), func(b *world.Base) error {
			if b.Step == to {
				return stopped
			}
			return nil
		})
		if err != stopped {
			t.Fatal(err)
		}
		if err := b.Save(state); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(state)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	a, err := world.NewBase(recipe, plan)
	if err != nil {
		t.Fatal(err)
	}
	want := train(a, 4)
	b, err := world.NewBase(recipe, plan)
	if err != nil {
		t.Fatal(err)
	}
	got := train(b, 1)
	for step := 1; step < 4; step++ { // each goes on where the other one stopped
		a, b = b, a
		if err := b.Resume(state); err != nil {
			t.Fatal(err)
		}
		if b.Step != step {
			t.Fatalf("resumed at step %d, want %d", b.Step, step)
		}
		got = train(b, step+1)
	}
	if !bytes.Equal(got, want) {
		t.Error("stopped after every step it ends elsewhere")
	}
	for _, other := range []world.Recipe{{Name: "tiny", Steps: 3, Polish: 2, LR: 1e-3}, {Name: "tiny", Steps: 2, Polish: 2, LR: 2e-3}} {
		c, err := world.NewBase(other, plan)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Resume(state); !fault.Is(err, fault.Invalid) || c.Step != 0 {
			t.Errorf("%s went on from a state of %s: %v", other, recipe, err)
		}
	}
	file := filepath.Join(t.TempDir(), "tiny.safetensors")
	if err := b.Model().Save(file, checkpoint.F16); err != nil {
		t.Fatal(err)
	}
	if _, err := sd.Open(file); err != nil {
		t.Error(err)
	}
}
