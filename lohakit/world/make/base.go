package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/world"
)

// base trains the base model and writes it to dir. The state is kept every 250 steps: stopped and run again, it goes on.
func base(dir string) error {
	const state = ".cache/world/base.safetensors"
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := world.NewBase(world.BaseSteps)
	if err := b.Resume(state); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	start, from := time.Now(), b.Step
	trainErr := b.Train(ctx, func(b *world.Base) error {
		if b.Step%50 == 0 {
			perStep := time.Since(start) / time.Duration(b.Step-from)
			fmt.Printf("step %d of %d: loss %.4f, %s left\n", b.Step, b.Steps, mean(b.Loss[len(b.Loss)-50:]),
				(perStep * time.Duration(b.Steps-b.Step)).Round(time.Second))
		}
		if b.Step%250 == 0 {
			return b.Save(state)
		}
		return nil
	})
	if err := b.Save(state); err != nil {
		return err
	}
	if err := b.Model().Save(filepath.Join(dir, "miniature.safetensors"), checkpoint.F16); err != nil {
		return err
	}
	return trainErr
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
