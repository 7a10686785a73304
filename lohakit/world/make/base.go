package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/world"
)

// bases trains every base model from nothing, parents first, and writes it to dir. The state is kept every 250 steps in .cache/world: stopped
// and run again, it goes on, and what is finished there is not trained again.
func bases(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, r := range world.Trained {
		if err := base(ctx, r, filepath.Join(dir, r.Name+".safetensors")); err != nil {
			return err
		}
	}
	return nil
}

func base(ctx context.Context, r world.Recipe, path string) error {
	state := filepath.Join(".cache", "world", r.Name+".safetensors")
	b, err := world.NewBase(r, world.Chosen)
	if err != nil {
		return err
	}
	if err := b.Resume(state); err != nil && !fault.Is(err, fault.NotExist) {
		return err
	}
	if b.Step == b.All() {
		fmt.Printf("%s: finished before\n", r.Name)
		return b.Model().Save(path, checkpoint.F16)
	}
	start, from := time.Now(), b.Step
	trainErr := b.Train(ctx, func(b *world.Base) error {
		if b.Step%50 == 0 {
			perStep := time.Since(start) / time.Duration(b.Step-from)
			fmt.Printf("%s: step %d of %d: loss %.4f, %s left\n", r.Name, b.Step, b.All(), mean(b.Loss[max(0, len(b.Loss)-50):]),
				(perStep * time.Duration(b.All()-b.Step)).Round(time.Second))
		}
		if b.Step%250 == 0 {
			return b.Save(state)
		}
		return nil
	})
	if err := b.Save(state); err != nil {
		return err
	}
	if trainErr != nil {
		return trainErr
	}
	return b.Model().Save(path, checkpoint.F16)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
