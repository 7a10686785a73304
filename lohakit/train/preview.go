package train

import (
	"context"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Preview is what was drawn by schedule after a step.
type Preview struct {
	Step    int
	Options []sample.Options // one for each prompt
	Images  []image.Image
}

// Previews returns what was drawn by schedule in this session, oldest first.
func (r *Run) Previews() []Preview { return slices.Clone(r.previews) }

// previewOnSchedule draws the previews that are due after the steps made so far: into Previews, to report, and to
// OutputDir/sample/NAME_000500_00_SEED.png, or NAME_e000005_00_SEED.png after an epoch, as the trainers name them. Noise is the prompt's own:
// training goes on as if nothing was drawn.
func (r *Run) previewOnSchedule(ctx context.Context, report func(Status)) error {
	when := r.previewDue()
	if when == "" {
		return nil
	}
	options, err := r.Config.samples()
	if err != nil {
		return err
	}
	if err := r.Sync(); err != nil {
		return err
	}
	report(Status{Phase: "drawing previews", Step: r.done, Total: r.total})
	p := Preview{Step: r.done, Options: options}
	if p.Images, err = sample.Images(ctx, r.Model, []sample.Applied{sample.At(r.Adapter, 1)}, options...); err != nil {
		return err
	}
	r.previews = append(r.previews, p)
	report(Status{Phase: "drawing previews", Step: r.done, Total: r.total, Previews: p.Images})
	for i, img := range p.Images {
		if err := r.writePreview(when, i, options[i], img); err != nil {
			return err
		}
	}
	return nil
}

// previewDue is the step or the epoch after which previews are due now, as the names of their files tell it; "" if none are.
func (r *Run) previewDue() string {
	c := r.Config
	epoch := r.ended(c.SampleEveryEpochs)
	switch {
	case epoch > 0:
		return fmt.Sprintf("e%06d", epoch)
	case r.done == 0 && c.SampleAtFirst, r.done > 0 && c.SampleEveryEpochs == 0 && c.SampleEvery > 0 && r.done%c.SampleEvery == 0:
		return fmt.Sprintf("%06d", r.done)
	}
	return ""
}

func (r *Run) writePreview(when string, i int, o sample.Options, img image.Image) error {
	path := filepath.Join(r.Config.OutputDir, "sample", fmt.Sprintf("%s_%s_%02d_%d.png", r.Config.OutputName, when, i, o.Seed))
	bad := func(err error) error {
		return fault.New(fault.IO, "save preview", path, "%w", err).Fix("choose another OutputDir, or free space")
	}
	info, _, err := sample.Request{Model: r.Model, Options: o}.Info()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return bad(err)
	}
	file, err := os.Create(path)
	if err != nil {
		return bad(err)
	}
	defer file.Close()
	if err := sample.WritePNG(file, img, info.String()); err != nil {
		return bad(err)
	}
	if err := file.Close(); err != nil {
		return bad(err)
	}
	return nil
}

// draws tells whether there will be previews.
func (c Config) draws() bool { return c.SampleEvery > 0 || c.SampleEveryEpochs > 0 || c.SampleAtFirst }

// checkPreviews refuses previews that the model cannot draw, before training instead of in the middle of it.
func (c Config) checkPreviews(m *sd.Model) error {
	if !c.draws() {
		return nil
	}
	options, err := c.samples()
	for _, o := range options {
		if _, _, err := (sample.Request{Model: m, Options: o}).Info(); err != nil {
			return fault.New(fault.Invalid, "configure training", "SamplePrompts", "%q: %w", o.Prompt, err)
		}
	}
	return err
}

// samples reads SamplePrompts: one prompt a line, "#" starting a comment line, options after " --" as the trainers write them. Where they
// leave the seed to chance it is the run's, so that previews of different steps can be compared.
func (c Config) samples() (list []sample.Options, err error) {
	text := c.SamplePrompts
	if c.promptsFile() != "" {
		data, err := os.ReadFile(text)
		if err != nil {
			return nil, fault.New(fault.IO, "read prompts", text, "%w", err).Fix("write the prompts themselves into SamplePrompts")
		}
		text = string(data)
	}
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		o, err := promptLine(line, sample.Options{Steps: 30, CFG: 7.5, Seed: int64(c.Seed), Sampler: c.SampleSampler, ClipSkip: c.ClipSkip})
		if err != nil {
			return nil, fault.New(fault.Invalid, "read prompts", fmt.Sprintf("SamplePrompts, line %d", number+1), "%w", err).
				Fix(`write it like "1girl, smile --n blurry --w 512 --h 512 --d 1 --s 30 --l 7.5"`)
		}
		list = append(list, o)
	}
	if len(list) == 0 {
		return nil, fault.New(fault.Invalid, "configure training", "SamplePrompts", "there is no prompt to draw").Fix("write one, or set SampleEvery to 0")
	}
	return list, nil
}

// promptsFile is the file that SamplePrompts names; "" if it is the prompts themselves.
func (c Config) promptsFile() string {
	if strings.HasSuffix(c.SamplePrompts, ".txt") && !strings.ContainsRune(c.SamplePrompts, '\n') {
		return c.SamplePrompts
	}
	return ""
}

// promptLine is one prompt with its options.
func promptLine(line string, o sample.Options) (sample.Options, error) {
	parts := strings.Split(line, " --")
	o.Prompt = strings.TrimSpace(parts[0])
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(strings.TrimSpace(part), " ")
		value = strings.TrimSpace(value)
		var err error
		switch key {
		case "n":
			o.Negative = value
		case "ss":
			o.Sampler = value
		case "w":
			o.Width, err = strconv.Atoi(value)
		case "h":
			o.Height, err = strconv.Atoi(value)
		case "s":
			o.Steps, err = strconv.Atoi(value)
		case "d":
			o.Seed, err = strconv.ParseInt(value, 10, 64)
		case "l":
			o.CFG, err = strconv.ParseFloat(value, 64)
		default:
			return o, fmt.Errorf("--%s is not an option of Stable Diffusion 1.x previews", key)
		}
		if err != nil {
			return o, fmt.Errorf("--%s: %q is not a number", key, value)
		}
	}
	if name, ok := trainerSamplers[strings.TrimPrefix(strings.ToLower(o.Sampler), "k_")]; ok {
		o.Sampler = name
	}
	_, err := sample.SamplerNamed(o.Sampler)
	return o, err
}

// trainerSamplers are what the trainers call samplers, where the name differs.
var trainerSamplers = map[string]string{"": "DDIM", "dpmsolver++": "DPM++ 2M", "euler_a": "Euler a", "euler": "Euler", "lms": "LMS"}
