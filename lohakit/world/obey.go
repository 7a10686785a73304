package world

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/train"
)

// guidance is the CFG scale at which the miniature models are examined and shown.
const guidance = 4

// Obey draws n scenes of one passer-by that no training has seen, has m sample their captions, one image each, and counts how often the
// judge finds in the image what the prompt asked for. The same seed asks the same.
func (e *Examiner) Obey(ctx context.Context, m *sd.Model, n int, seed uint64) (*Report, error) {
	rng := rand.New(rand.NewPCG(seed, 0x0be1))
	var scenes []Scene
	var options []sample.Options
	for len(scenes) < n {
		s := Population(rng)
		if len(s.Figures) != 1 {
			continue
		}
		scenes = append(scenes, s)
		options = append(options, sample.Options{Prompt: s.Caption(All), CFG: guidance, Seed: int64(len(scenes))})
	}
	images, err := sample.Images(ctx, m, nil, options...)
	if err != nil {
		return nil, err
	}
	verdicts, err := e.Look(images...)
	if err != nil {
		return nil, err
	}
	r := newReport()
	for i, s := range scenes {
		r.add(s, verdicts[i])
	}
	return r, nil
}

// FirstAdapter is the training of the first notebook: the default configuration at the miniature's size, at ten times the default rate
// because it makes 120 steps rather than thousands.
func FirstAdapter() train.Config {
	c := train.Default()
	c.Resolution, c.Steps, c.LR = Size, 120, 2e-3
	return c
}

// Learns trains FirstAdapter on dir, a dataset of the character called name, and returns the share of n images of that name that show
// the character, before and after.
func (e *Examiner) Learns(ctx context.Context, m *sd.Model, dir, name string, n int) (before, after Share, err error) {
	data, err := dataset.Load(dir, dataset.Options{})
	if err != nil {
		return before, after, err
	}
	run, err := train.New(m, data, FirstAdapter())
	if err != nil {
		return before, after, err
	}
	var options []sample.Options
	for i := range n {
		place := placeTags[Backgrounds[i%len(Backgrounds)]]
		options = append(options, sample.Options{Prompt: fmt.Sprintf("1girl, solo, %s, smile, upper body, %s", name, place[len(place)-1]), CFG: guidance, Seed: int64(i)})
	}
	score := func(adapters []sample.Applied) (Share, error) {
		images, err := sample.Images(ctx, m, adapters, options...)
		if err != nil {
			return Share{}, err
		}
		verdicts, err := e.Look(images...)
		return Fidelity(verdicts, name), err
	}
	if before, err = score(nil); err != nil {
		return before, after, err
	}
	if err = run.Step(ctx, run.Total(), nil); err != nil {
		return before, after, err
	}
	after, err = score([]sample.Applied{sample.At(run.Adapter, 1)})
	return before, after, err
}
