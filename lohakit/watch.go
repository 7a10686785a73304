package lohakit

import (
	"fmt"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/spectrum"
)

// watched is the effective ranks that Step records.
type watched struct {
	match   string
	every   int
	steps   []int
	history [][]spectrum.Rank
}

// Watch lets Step record the effective rank of ΔW in the layers that match, every so many steps, and draw it live below the loss. Of more
// than a dozen layers the mean over each kind is drawn. It takes the place of an earlier Watch.
func (r *Run) Watch(match string, every int) error {
	if every < 1 {
		return fault.New(fault.Invalid, "watch", "every", "every %d steps", every).Fix("use 1 or more")
	}
	if _, err := r.Difference().Match(match); err != nil {
		return err
	}
	r.watched = &watched{match: match, every: every}
	return nil
}

// record takes down the ranks if the step is one of those watched. A layer that cannot be decomposed leaves a gap: training goes on.
func (r *Run) record(step int) {
	w := r.watched
	if w == nil || step%w.every != 0 {
		return
	}
	if r.Sync() != nil {
		return
	}
	d, err := r.Difference().Match(w.match)
	if err != nil {
		return
	}
	if now, err := spectrum.All(d, nil); err == nil {
		w.steps, w.history = append(w.steps, step), append(w.history, spectrum.Ranks(now...))
	}
}

// Ranks draws the effective ranks that were recorded; see Watch.
func (r *Run) Ranks() (Picture, error) {
	w := r.watched
	if w == nil || len(w.steps) == 0 {
		return Picture{}, fault.New(fault.NotExist, "plot effective rank", "", "none is recorded yet").Fix("call Watch, then Step")
	}
	img, err := spectrum.PlotSteps(chart.Look{Title: "effective rank of ΔW", Width: 640, Height: 320}, w.steps, w.history)
	return Picture{img, fmt.Sprintf("effective rank of %d layers over %d steps", len(w.history[0]), w.steps[len(w.steps)-1])}, err
}
