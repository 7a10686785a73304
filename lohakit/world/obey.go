package world

import (
	"context"
	"fmt"
	"image"
	"math/rand/v2"
	"os"

	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/train"
)

// Guidance is the CFG scale at which the miniature models are shown and adapters examined. Their captions are exact, so that they follow
// prompts at scales where the real ones wander; above 2 colours and lines are overdrawn: models/manner.md has the figures.
const Guidance = 2

// Manner is how the miniature models' obedience is examined. Euler a adds noise on the way, and so corrects what a small model got wrong
// at first; models/manner.md compares. Models are compared with each other, and adapters examined, by DDIM, whose images differ only
// where the models do.
var Manner = sample.Options{CFG: Guidance, Sampler: "Euler a"}

// Obey draws n scenes of one passer-by that no training has seen, has m sample their captions in the manner of by, one image each, and
// counts how often the judge finds in the image what the prompt asked for. The report's distance is that between the images and the
// drawings; it needs two scenes. The same seed asks the same. by's prompt and seed do not count.
func (e *Examiner) Obey(ctx context.Context, m *sd.Model, n int, seed uint64, by sample.Options) (*Report, error) {
	rng := rand.New(rand.NewPCG(seed, 0x0be1))
	var scenes []Scene
	var drawings []image.Image
	var options []sample.Options
	for len(scenes) < n {
		s := Population(rng)
		if len(s.Figures) != 1 {
			continue
		}
		scenes = append(scenes, s)
		drawings = append(drawings, s.Render(judgeSize))
		by.Prompt, by.Seed = s.Caption(All), int64(len(scenes))
		options = append(options, by)
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
	drawn, err := e.Look(drawings...)
	if err != nil {
		return nil, err
	}
	r.Distance, err = Distance(verdicts, drawn)
	return r, err
}

// Own draws n images whose prompts name neither style nor source, the same prompts and seeds for every model, and returns the judge's
// verdicts: what a model's own look is (AskStyle), and how far two models' images are apart (Distance).
func (e *Examiner) Own(ctx context.Context, m *sd.Model, n int) ([]Verdict, error) {
	var options []sample.Options
	for i := range n {
		rng := rand.New(rand.NewPCG(uint64(i), 0x0143))
		s := NewScene(rng, "nai", "") // the look has no tags
		options = append(options, sample.Options{Prompt: s.Caption(All), CFG: Guidance, Seed: int64(i)})
	}
	images, err := sample.Images(ctx, m, nil, options...)
	if err != nil {
		return nil, err
	}
	return e.Look(images...)
}

// FirstAdapter is the training of the first notebook: the default configuration at the miniature's size, at ten times the default rate
// because it makes 120 steps rather than thousands.
func FirstAdapter() train.Config {
	c := train.Default()
	c.Resolution, c.Steps, c.LR = Size, 120, 2e-3
	return c
}

// Lesson is something new to teach a model in FirstAdapter's training: sixteen pictures, and the word that stands for what they have
// in common.
type Lesson struct {
	Word     string // the trigger word
	Folders  []Folder
	question Question
	answer   string
}

// CharacterLesson teaches one of the five characters, by name.
func CharacterLesson(name string) Lesson {
	return Lesson{name, Quickstart(name), AskCharacter, name}
}

// StyleLesson teaches a style with a trigger word, by its key: "momoko".
func StyleLesson(style string) Lesson {
	return Lesson{Trigger(style), []Folder{{10, style, 16, []string{style}, nil}}, AskStyle, style}
}

// prompt asks for the lesson's word in another place, and with other hair if the word does not say who it is, for every i.
func (l Lesson) prompt(i int) string {
	tags := placeTags[Backgrounds[i%len(Backgrounds)]]
	place := tags[len(tags)-1]
	if l.question == AskCharacter {
		return fmt.Sprintf("1girl, solo, %s, smile, upper body, %s", l.Word, place)
	}
	return fmt.Sprintf("1girl, solo, %s hair, %s, smile, upper body, %s, %s", HairColors[i%len(HairColors)], HairStyles[i%len(HairStyles)], place, l.Word)
}

// Pivotal is c with the lesson's word as a placeholder, one vector that begins as that of "girl": the word then means what its vector is
// taught, and not what CLIP's pieces of it meant before.
func (l Lesson) Pivotal(c train.Config) train.Config {
	c.Embeddings = []train.Placeholder{{Name: l.Word, Vectors: 1, Init: "girl"}}
	return c
}

// Learns trains FirstAdapter on the lesson's pictures, and returns the share of n images of its word that show what it taught, before and
// after.
func (e *Examiner) Learns(ctx context.Context, m *sd.Model, l Lesson, n int) (before, after Share, err error) {
	c := FirstAdapter()
	shares, err := e.Course(ctx, m, l, c, n, 0, c.Steps)
	if err != nil {
		return before, after, err
	}
	return shares[0], shares[1], nil
}

// Course trains by c on the lesson's pictures, and returns the share of n images of its word that show what it taught after each of the
// given numbers of steps, which must rise.
func (e *Examiner) Course(ctx context.Context, m *sd.Model, l Lesson, c train.Config, n int, steps ...int) ([]Share, error) {
	dir, err := os.MkdirTemp("", "lesson")
	if err != nil {
		return nil, fault.New(fault.IO, "learn", l.Word, "%w", err)
	}
	defer os.RemoveAll(dir)
	if _, err := WriteDataset(dir, Options{Folders: l.Folders}); err != nil {
		return nil, err
	}
	data, err := dataset.Load(dir, dataset.Options{})
	if err != nil {
		return nil, err
	}
	run, err := train.New(m, data, c)
	if err != nil {
		return nil, err
	}
	var options []sample.Options
	for i := range n {
		options = append(options, sample.Options{Prompt: l.prompt(i), CFG: Guidance, Seed: int64(i)})
	}
	var shares []Share
	for _, step := range steps {
		if step > run.Done() {
			if err := run.Step(ctx, step-run.Done(), nil); err != nil {
				return nil, err
			}
		}
		var adapters []sample.Applied
		if step > 0 {
			adapters = append(adapters, sample.At(run.Adapter, 1))
		}
		images, err := sample.Images(ctx, m, adapters, options...)
		if err != nil {
			return nil, err
		}
		verdicts, err := e.Look(images...)
		if err != nil {
			return nil, err
		}
		shares = append(shares, Agree(verdicts, l.question, l.answer))
	}
	return shares, nil
}
