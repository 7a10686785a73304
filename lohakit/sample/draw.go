package sample

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Request is one image to draw.
type Request struct {
	Model      *sd.Model
	Adapters   []Applied
	Library    map[string]*adapter.Adapter // adapters that prompts may name as <lora:name:weight>
	Embeddings []sd.Embedding              // words that prompts may use besides those that the adapters bring
	Options    Options
}

// Info is the parameters the image will be drawn with, and the slips in its prompts: see Warning.Where.
func (r Request) Info() (info Info, slips []string, err error) {
	jobs, err := newJobs([]Request{r})
	if err != nil {
		return Info{}, nil, err
	}
	return jobs[0].info(), jobs[0].slips(), nil
}

// slips shows every slip in the job's prompts in its place.
func (j *job) slips() []string {
	var out []string
	for _, p := range []*Prompt{j.prompt, j.negative} {
		for _, w := range p.Warnings {
			out = append(out, w.Where(p.Text))
		}
	}
	return out
}

// Images draws one image for each of opts, all with the same adapters.
func Images(ctx context.Context, m *sd.Model, adapters []Applied, opts ...Options) ([]image.Image, error) {
	requests := make([]Request, len(opts))
	for i, o := range opts {
		requests[i] = Request{Model: m, Adapters: adapters, Options: o}
	}
	images := make([]image.Image, len(opts))
	err := Draw(ctx, requests, func(i int, img image.Image) { images[i] = img })
	if err != nil {
		return nil, err
	}
	return images, nil
}

// Draw draws every request, those that can be evaluated together in batches, and calls each with the request's number as its image
// is done. All requests are checked before anything is computed. When ctx is cancelled Draw stops at the next evaluation
// with a fault of kind Canceled; images already handed over stay.
func Draw(ctx context.Context, requests []Request, each func(i int, img image.Image)) error {
	jobs, err := newJobs(requests)
	if err != nil {
		return err
	}
	return drawJobs(ctx, jobs, each)
}

func drawJobs(ctx context.Context, jobs []*job, each func(i int, img image.Image)) error {
	var e *engine
	defer func() {
		if e != nil {
			e.free()
		}
	}()
	applied := ""
	for _, b := range batches(jobs) {
		if err := canceled(ctx); err != nil {
			return err
		}
		// batches with the same adapters follow each other, so that no more than one set of changed weights is held
		if key := b[0].weightsKey(); e == nil || key != applied {
			if e != nil {
				e.free()
			}
			var err error
			if e, err = newEngine(b[0].model, b[0].adapters, b[0].words); err != nil {
				return err
			}
			applied = key
		}
		if err := b.draw(ctx, e, each); err != nil {
			return err
		}
	}
	return nil
}

func canceled(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Canceled, "sample", "", "stopped: %w", err)
	}
	return nil
}

// job is one request, checked and parsed.
type job struct {
	index            int
	model            *sd.Model
	adapters         []Applied
	words            []sd.Embedding
	options          Options
	sampler          Sampler
	levels           []float64
	prompt, negative *Prompt
}

// newJobs checks every request, and each adapter once against each model it is applied to.
func newJobs(requests []Request) ([]*job, error) {
	type pair struct {
		*adapter.Adapter
		*sd.Model
	}
	matched := map[pair]bool{}
	jobs := make([]*job, len(requests))
	for i, r := range requests {
		j, err := newJob(i, r)
		if err != nil {
			return nil, err
		}
		for _, a := range j.adapters {
			if p := (pair{a.Adapter, j.model}); !matched[p] {
				if err := a.Adapter.Match(j.model); err != nil {
					return nil, err
				}
				matched[p] = true
			}
		}
		jobs[i] = j
	}
	return jobs, nil
}

func newJob(index int, r Request) (*job, error) {
	if r.Model == nil {
		return nil, fault.New(fault.Invalid, "sample", "Model", "there is none").Fix("open a base model first")
	}
	o, s, err := r.Options.resolve(r.Model)
	if err != nil {
		return nil, err
	}
	j := &job{index: index, model: r.Model, options: o, sampler: s, levels: o.levels(s),
		prompt: ParsePrompt(o.Prompt), negative: ParseNegative(o.Negative)}
	for _, a := range r.Adapters {
		if a.Adapter == nil {
			return nil, fault.New(fault.Invalid, "sample", "Adapters", "one of them is nil")
		}
		if !finite(a.Text) || !finite(a.UNet) {
			return nil, fault.New(fault.Invalid, "sample", "Adapters", "weight %g:%g", a.Text, a.UNet).Fix("use 1, or 0 to switch the adapter off")
		}
		j.adapters = append(j.adapters, a)
	}
	for _, n := range j.prompt.Networks {
		if n.Kind != "lora" && n.Kind != "lyco" {
			continue
		}
		a := r.Library[n.Name]
		if a == nil {
			return nil, fault.New(fault.NotExist, "sample", "Prompt", "<%s:%s> names an adapter that is not loaded", n.Kind, n.Name).
				Fix("load it, or take it out of the prompt")
		}
		j.adapters = append(j.adapters, Applied{a, n.Text, n.UNet})
	}
	for _, a := range j.adapters {
		j.words = append(j.words, a.Adapter.Embeddings...)
	}
	j.words = sd.JoinEmbeddings(j.words, r.Embeddings) // as in the web UIs, whose folder comes before what adapters bring
	for _, e := range j.words {
		if err := e.Fits(r.Model.Config.Text); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// used lists the embeddings that the prompts name at some step, in the order of their first use, as web UIs do.
func (j *job) used() (list []sd.Embedding) {
	if len(j.words) == 0 {
		return nil
	}
	lexicon := sd.NewLexicon(j.words...)
	unused := map[int32]sd.Embedding{} // by its first id
	id := int32(sd.EOS + 1)
	for _, e := range j.words {
		unused[id] = e
		id += int32(e.Vectors())
	}
	steps := len(j.levels) - 1
	seen := map[string]bool{}
	for _, p := range []*Prompt{j.prompt, j.negative} {
		for step := 1; step <= steps; step++ {
			for _, text := range p.At(step, steps) {
				if seen[text] {
					continue
				}
				seen[text] = true
				for _, run := range Attention(text) {
					for _, id := range lexicon.Encode(run.Text) {
						if e, ok := unused[id]; ok {
							list = append(list, e)
							delete(unused, id)
						}
					}
				}
			}
		}
	}
	return list
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// batch is jobs that go through the UNet together: same model, adapters, size, sampler and noise levels.
type batch []*job

// maxBatchPixels bounds the latent pixels of one evaluation; wideRows of 64 × 64.
const maxBatchPixels = wideRows * 64 * 64

func batches(jobs []*job) []batch {
	// the weights in force change as seldom as can be, in the order of their first use
	first := map[string]int{}
	for _, j := range jobs {
		if _, ok := first[j.weightsKey()]; !ok {
			first[j.weightsKey()] = len(first)
		}
	}
	jobs = slices.Clone(jobs)
	slices.SortStableFunc(jobs, func(a, b *job) int { return cmp.Compare(first[a.weightsKey()], first[b.weightsKey()]) })
	groups := map[string][]*job{}
	var order []string
	for _, j := range jobs {
		key := fmt.Sprintf("%s %dx%d %s %d %v %v", j.weightsKey(), j.options.Width, j.options.Height, j.sampler.Name, j.options.ClipSkip,
			j.options.Eta, j.levels)
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], j)
	}
	var out []batch
	for _, key := range order {
		group := groups[key]
		// jobs of like rows beside each other, so that batches are full
		slices.SortStableFunc(group, func(a, b *job) int { return cmp.Compare(a.maxRows(), b.maxRows()) })
		shape := group[0].latents()
		room := evaluationRows(group[0].model.UNet.Size(), shape[1]*shape[2], wideRows)
		var b batch
		rows := 0
		for _, j := range group {
			if n := j.maxRows(); len(b) > 0 && rows+n > room {
				out = append(out, b)
				b, rows = nil, 0
			}
			b, rows = append(b, j), rows+j.maxRows()
		}
		out = append(out, b)
	}
	return out
}

// weightsKey is equal for jobs that run on the same weights.
func (j *job) weightsKey() string {
	key := fmt.Sprintf("%p", j.model)
	for _, a := range j.adapters {
		key += fmt.Sprintf(" %p %v %v", a.Adapter, a.Text, a.UNet)
	}
	for _, e := range j.words {
		key += fmt.Sprintf(" %s %p", e.Name, e.Rows)
	}
	return key
}

// latents is the channels, height and width of the job's latents.
func (j *job) latents() [3]int {
	vae := j.model.Config.VAE
	return [3]int{vae.Latent, j.options.Height / vae.Factor(), j.options.Width / vae.Factor()}
}

// maxRows is the number of UNet evaluations a step of the job takes.
func (j *job) maxRows() int {
	if j.options.CFG == 1 && len(j.prompt.Parts) == 1 {
		return 1
	}
	return len(j.prompt.Parts) + 1
}

// draw runs the sampler over the batch and hands the images over.
func (b batch) draw(ctx context.Context, e *engine, each func(i int, img image.Image)) error {
	first := b[0]
	shape := first.latents()
	plan, err := planRows(ctx, e, b)
	if err != nil {
		return err
	}
	g := &guide{e, shape, plan}
	denoise := func(x []float32, sigma float64) ([]float32, error) { return g.denoise(ctx, x, sigma) }
	x, noise, err := start(b, shape)
	if err != nil {
		return err
	}
	if x, err = first.sampler.Steps(denoise, x, first.levels, noise, first.options.Eta); err != nil {
		return err
	}
	images, err := decode(first.model, x, shape)
	if err != nil {
		return err
	}
	for i, j := range b {
		each(j.index, images[i])
	}
	return nil
}

// planRows encodes all prompts of the jobs and returns the rows in force at a noise level.
func planRows(ctx context.Context, e *engine, jobs []*job) (func(sigma float64) []row, error) {
	first := jobs[0]
	steps := len(first.levels) - 1
	var texts []string
	for step := 1; step <= steps; step++ {
		for _, j := range jobs {
			texts = append(append(texts, j.prompt.At(step, steps)...), j.negative.At(step, steps)...)
		}
	}
	if err := e.encode(ctx, texts, first.options.ClipSkip); err != nil {
		return nil, err
	}
	return func(sigma float64) []row {
		step := 1
		for step < steps && first.levels[step] >= sigma {
			step++
		}
		var rows []row
		for i, j := range jobs {
			negative := 1.0
			for k, text := range j.prompt.At(step, steps) {
				w := j.options.CFG * j.prompt.Parts[k].Weight
				rows = append(rows, row{i, e.known[stateOf(text, first.options.ClipSkip)], w})
				negative -= w
			}
			if j.maxRows() > 1 || negative != 0 {
				rows = append(rows, row{i, e.known[stateOf(j.negative.At(step, steps)[0], first.options.ClipSkip)], negative})
			}
		}
		return rows
	}, nil
}

// start is the noisy latents each image begins from and the noise its sampler adds, both from its own seed.
func start(jobs []*job, shape [3]int) ([]float32, Noise, error) {
	size := shape[0] * shape[1] * shape[2]
	first := jobs[0]
	top := first.levels[0]
	x := make([]float32, len(jobs)*size)
	fill := make([]func(dst []float32, from, to float64), len(jobs))
	for i, j := range jobs {
		source := GoNoise(j.options.Seed)
		if j.options.Noise == "philox" {
			source = Philox(j.options.Seed)
		}
		fill[i] = func(dst []float32, _, _ float64) { source.Field(dst) }
		if j.sampler.Path {
			fill[i] = newBrownian(j.options.Seed, 0, SigmaAt(sd.Timesteps-1)).Fill
		}
		at := x[i*size : (i+1)*size]
		source.Field(at)
		scale := top
		if j.options.Init != nil {
			z, err := encode(j.model, j.options.Init, j.options.Width, j.options.Height)
			if err != nil {
				return nil, nil, err
			}
			copy(at, combine(top, at, 1, z))
			continue
		}
		if j.sampler.variance {
			scale = math.Sqrt(top*top + 1)
		}
		copy(at, combine(scale, at, 0, nil))
	}
	return x, func(dst []float32, from, to float64) {
		for i := range jobs {
			fill[i](dst[i*size:(i+1)*size], from, to)
		}
	}, nil
}

// decode turns the latents of a batch into images, four at a time or one by one, so that only two sizes are compiled. Those larger
// than the autoencoder was trained at are decoded in tiles: attention over the whole takes memory by the square of the pixels.
func decode(m *sd.Model, x []float32, shape [3]int) ([]image.Image, error) {
	const together = wideRows / 2
	size := shape[0] * shape[1] * shape[2]
	var out []image.Image
	for len(x) > 0 {
		n := 1
		if len(x) >= together*size && size <= maxBatchPixels {
			n = together
		}
		t, err := m.DecodeTiled(tensors.FromFlatDataAndDimensions(slices.Clone(x[:n*size]), n, shape[0], shape[1], shape[2]), 0)
		if err != nil {
			return nil, err
		}
		flat, err := tensors.CopyFlatData[float32](t)
		d := t.Shape().Dimensions
		t.MustFinalizeAll()
		if err != nil {
			return nil, fault.New(fault.Other, "sample", "", "%w", err)
		}
		for i := range n {
			out = append(out, pixels(flat[i*3*d[2]*d[3]:], d[3], d[2]))
		}
		x = x[n*size:]
	}
	return out, nil
}
