package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/lohakit/notebook/lohakit/world"
)

// budget is how many steps the chosen plan makes; the others make as many as fit into the same processor time.
const budget = 500

// arm is the plan of the shipped models with one thing changed.
type arm struct {
	Name string
	plan func(p *world.Plan)

	Cost     float64 // of a step, in steps of the chosen plan
	Steps    int
	Loss     float64 // mean of the last fifty steps; comparable only where latents and weights of the loss are the same
	Distance float64 // of its images from drawings of the same scenes
	Scores   map[string]world.Share
}

var arms = []arm{
	{Name: "the chosen plan", plan: func(p *world.Plan) {}},
	{Name: "min-SNR weights, γ = 5", plan: func(p *world.Plan) { p.MinSNR = 5 }},
	{Name: "batch 8", plan: func(p *world.Plan) { p.Batch = 8 }},
	{Name: "batch 32", plan: func(p *world.Plan) { p.Batch = 32 }},
	{Name: "channels 24, 48, 72, 72", plan: func(p *world.Plan) { p.Channels = []int{24, 48, 72, 72} }},
	{Name: "channels 48, 96, 144, 144", plan: func(p *world.Plan) { p.Channels = []int{48, 96, 144, 144} }},
	{Name: "latents of 8 channels", plan: func(p *world.Plan) { p.Latents = 8 }},
	{Name: "pictures of 48 pixels", plan: func(p *world.Plan) { p.Size = 48 }},
	{Name: "no average of the weights", plan: func(p *world.Plan) { p.Average = 0 }},
}

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
		kept := filepath.Join(".cache", "world", fmt.Sprintf("choice %s, %d steps.json", a.Name, budget))
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

// try trains the arm and examines it.
func (a *arm) try(ctx context.Context, judge *world.Examiner) error {
	plan := world.Chosen
	a.plan(&plan)
	var err error
	if a.Cost, err = cost(ctx, plan); err != nil {
		return err
	}
	recipe := world.Trained[0]
	recipe.Steps = int(budget / a.Cost)
	b, err := world.NewBase(recipe, plan)
	if err != nil {
		return err
	}
	if err := b.Train(ctx, func(*world.Base) error { return nil }); err != nil {
		return err
	}
	a.Steps, a.Loss, a.Scores = b.Steps, mean(b.Loss[max(0, len(b.Loss)-50):]), map[string]world.Share{}
	report, err := judge.Obey(ctx, b.Model(), 100, 7, world.Manner)
	if err != nil {
		return err
	}
	a.Distance = report.Distance
	for _, q := range scored {
		a.Scores[q.String()] = report.Accuracy(q)
	}
	return nil
}

var errEnough = errors.New("enough")

// cost is the processor time of a step by the plan, as a multiple of the chosen plan's. Both are timed in turn, so that what else the
// machine does is the same for both; the median of the ratios counts.
func cost(ctx context.Context, plan world.Plan) (float64, error) {
	const rounds, few = 5, 6
	var both [2]*world.Base
	for i, p := range []world.Plan{world.Chosen, plan} {
		b, err := world.NewBase(world.Trained[0], p)
		if err != nil {
			return 0, err
		}
		both[i] = b
	}
	var ratios []float64
	for range 1 + rounds {
		var took [2]time.Duration
		for i, b := range both {
			until, from := b.Step+few, processorTime()
			err := b.Train(ctx, func(b *world.Base) error {
				if b.Step == until {
					return errEnough
				}
				return nil
			})
			if err != errEnough {
				return 0, err
			}
			took[i] = processorTime() - from
		}
		ratios = append(ratios, float64(took[1])/float64(took[0]))
	}
	ratios = ratios[1:] // the first round compiles
	slices.Sort(ratios)
	return ratios[rounds/2], nil
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
	text := fmt.Sprintf("# What could have been chosen\n\nWritten by `go run ./lohakit/world/make choices`. Each row is a model from nothing: the [shipped models'](README.md) plan "+
		"with one thing changed, after as many steps as fit into the processor time of %d steps of that plan, compiling apart. The distance is Fréchet's, in the judge's "+
		"features, between images of 100 captions and drawings of the same scenes: the less the better. Then the share of the images that show what the prompt asked for; "+
		"what a model learns first stands first. Two shares differ for sure only when they are some 0.15 apart, and what is best after minutes need not be after hours.\n\n"+
		"| plan | a step costs | steps | pictures | loss | distance |", budget)
	rule := "|---|---|---|---|---|---|"
	for _, q := range scored {
		text += " " + q.String() + " |"
		rule += "---|"
	}
	text += "\n" + rule + "\n"
	for i := range arms {
		text += arms[i].row() + "\n"
	}
	return text + "\nLosses are comparable only where neither the latents nor the weights of the loss differ. Guidance and sampler were chosen on a finished model: " +
		"[manner](manner.md).\n"
}

func (a *arm) row() string {
	plan := world.Chosen
	a.plan(&plan)
	return fmt.Sprintf("| %s | %.2f | %d | %d | %.3f | %.0f |%s", a.Name, a.Cost, a.Steps, a.Steps*plan.Batch, a.Loss, a.Distance, shares(a.Scores))
}
