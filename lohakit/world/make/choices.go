package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lohakit/notebook/lohakit/world"
)

// budget is the processor time of each arm's training, compiling apart.
const budget = 300 * time.Second

// arm is the plan of the shipped models with one thing changed.
type arm struct {
	Name string
	plan func(p *world.Plan)

	Steps  int
	Loss   float64 // mean of the last fifty steps; comparable only where latents and weights of the loss are the same
	Scores map[string]world.Share
}

var arms = []arm{
	{Name: "the chosen plan", plan: func(p *world.Plan) {}},
	{Name: "min-SNR weights, γ = 5", plan: func(p *world.Plan) { p.MinSNR = 5 }},
	{Name: "batch 8", plan: func(p *world.Plan) { p.Batch = 8 }},
	{Name: "batch 32", plan: func(p *world.Plan) { p.Batch = 32 }},
	{Name: "channels 24, 48, 72, 72", plan: func(p *world.Plan) { p.Channels = []int{24, 48, 72, 72} }},
	{Name: "no average of the weights", plan: func(p *world.Plan) { p.Average = 0 }},
	{Name: "pictures of 48 pixels", plan: func(p *world.Plan) { p.Size = 48 }},
	{Name: "latents of 8 channels", plan: func(p *world.Plan) { p.Latents = 8 }},
	{Name: "channels 48, 96, 144, 144", plan: func(p *world.Plan) { p.Channels = []int{48, 96, 144, 144} }},
}

var scored = []struct {
	name     string
	question world.Question
}{{"hair", world.AskHair}, {"cloth", world.AskCloth}, {"place", world.AskPlace}, {"style", world.AskStyle}, {"garment", world.AskGarment}}

// choices trains every arm from nothing for the same processor time, asks the judge, and writes the table of those that are finished to dir.
// They are kept in .cache/world, so that it goes on where it was stopped.
func choices(dir string) error {
	judge, err := world.Judge()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(".cache", "world"), 0o755); err != nil {
		return err
	}
	for i := range arms {
		a := &arms[i]
		kept := filepath.Join(".cache", "world", "choice "+a.Name+".json")
		if known, err := os.ReadFile(kept); err != nil || json.Unmarshal(known, a) != nil {
			if err := a.try(context.Background(), judge); err != nil {
				return err
			}
			fmt.Println(a.row())
			result, err := json.Marshal(a)
			if err != nil {
				return err
			}
			if err := os.WriteFile(kept, result, 0o644); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "choices.md"), []byte(table(arms[:i+1])), 0o644); err != nil {
			return err
		}
	}
	return nil
}

var errEnough = errors.New("enough")

// try trains the arm and examines it.
func (a *arm) try(ctx context.Context, judge *world.Examiner) error {
	plan := world.Chosen
	a.plan(&plan)
	recipe := world.Trained[0]

	// How many steps the budget has is measured on a few; the first one compiles.
	const few = 10
	b, err := world.NewBase(recipe, plan)
	if err != nil {
		return err
	}
	var from time.Duration
	err = b.Train(ctx, func(b *world.Base) error {
		switch b.Step {
		case 1:
			from = processorTime()
		case 1 + few:
			return errEnough
		}
		return nil
	})
	if err != errEnough {
		return err
	}
	recipe.Steps = int(budget * few / (processorTime() - from))

	if b, err = world.NewBase(recipe, plan); err != nil {
		return err
	}
	if err := b.Train(ctx, func(*world.Base) error { return nil }); err != nil {
		return err
	}
	a.Steps, a.Loss, a.Scores = b.Steps, mean(b.Loss[max(0, len(b.Loss)-50):]), map[string]world.Share{}
	report, err := judge.Obey(ctx, b.Model(), 60, 7)
	if err != nil {
		return err
	}
	for _, s := range scored {
		a.Scores[s.name] = report.Accuracy(s.question)
	}
	return nil
}

// processorTime is what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it fails for wrong arguments only
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func table(arms []arm) string {
	text := fmt.Sprintf("# What could have been chosen\n\nWritten by `go run ./lohakit/world/make choices`. Each row is a model from nothing after %.0f seconds of processor "+
		"time, compiling apart: the [shipped models'](README.md) plan with one thing changed. The share of 60 images that show what the prompt asked for, by the judge; the same "+
		"prompts for all. At 60 images two shares differ for sure only when they are some 0.2 apart, and what is best after minutes need not be after hours.\n\n"+
		"| plan | steps | pictures | loss |", budget.Seconds())
	rule := "|---|---|---|---|"
	for _, s := range scored {
		text += " " + s.name + " |"
		rule += "---|"
	}
	text += "\n" + rule + "\n"
	for i := range arms {
		text += arms[i].row() + "\n"
	}
	return text + "\nLosses are comparable only where neither the latents nor the weights of the loss differ. Guidance and sampler were chosen on NAI itself: " +
		"[obey.go](../obey.go) has the figures.\n"
}

func (a *arm) row() string {
	plan := world.Chosen
	a.plan(&plan)
	row := fmt.Sprintf("| %s | %d | %d | %.3f |", a.Name, a.Steps, a.Steps*plan.Batch, a.Loss)
	for _, s := range scored {
		row += fmt.Sprintf(" %.2f |", a.Scores[s.name].Rate())
	}
	return row
}
