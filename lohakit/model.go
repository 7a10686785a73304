package lohakit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/world"
)

// Model is a base model, with adapters or without.
type Model struct {
	*sd.Model
	Name       string           // of its file, without folder and ending
	Adapters   []sample.Applied // applied in this order
	Embeddings []sd.Embedding   // words that prompts may use, besides those that the adapters bring
}

// Open reads a base model: a Stable Diffusion 1.x checkpoint (.safetensors, or .ckpt when checkpoint.AllowPickle is given), a diffusers
// folder, or a base model of the miniature world by its name: "miniature", "NAI" … (Bases lists them; a merged one is computed when it is
// first opened). Sizes are read from the file. Errors name the file or the tensor.
func Open(name string, options ...checkpoint.Option) (*Model, error) {
	return OpenWithVAE(name, "", options...)
}

// OpenWithVAE is Open with the autoencoder of another file, which adapters trained on the model then name in their headers.
func OpenWithVAE(name, vae string, options ...checkpoint.Option) (*Model, error) {
	path, err := pathOf(name)
	if err != nil {
		return nil, err
	}
	m, err := sd.OpenWithVAE(path, vae, options...)
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	if ending := filepath.Ext(base); slices.Contains(modelEndings, strings.ToLower(ending)) {
		base = strings.TrimSuffix(base, ending)
	}
	return &Model{Model: m, Name: base}, nil
}

// pathOf is the path itself, or the file of the base model of that name.
func pathOf(name string) (string, error) {
	if _, err := os.Stat(name); err == nil || strings.ContainsAny(name, `/\`) || slices.Contains(modelEndings, strings.ToLower(filepath.Ext(name))) {
		return name, nil
	}
	return world.Find(name)
}

var modelEndings = []string{".safetensors", ".ckpt", ".pt", ".bin"}

// Bases returns the names of the miniature world's base models.
func Bases() []string { return world.Models() }

// String describes the model in one line.
func (m *Model) String() string {
	c := m.Config
	text := fmt.Sprintf("%s: UNet %s parameters (%s channels), text encoder %s (%d layers of %d), %d latent channels, predicts %s", m.Name,
		count(m.UNet.Size()), strings.Trim(strings.ReplaceAll(fmt.Sprint(c.UNet.Channels), " ", ", "), "[]"),
		count(m.Text.Size()), c.Text.Layers, c.Text.Width, c.VAE.Latent, c.Prediction)
	for _, a := range m.Adapters {
		text += fmt.Sprintf(" + %s at %g", a.Adapter.Spec.Kind, a.UNet)
	}
	for _, e := range m.Embeddings {
		text += " + " + e.String()
	}
	return text
}

// MIMEBundle shows the model as String does.
func (m *Model) MIMEBundle() map[string]any { return map[string]any{"text/plain": m.String()} }

// count prints a number of parameters the way people say it.
func count(n int) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f k", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}

// With returns the model with one more adapter at a weight, 1 being as trained. m itself stays as it is.
func (m *Model) With(a *adapter.Adapter, weight float64) (*Model, error) {
	if err := m.takes("apply adapter", a); err != nil {
		return nil, err
	}
	if err := number("apply adapter", weight); err != nil {
		return nil, err
	}
	return &Model{m.Model, m.Name, append(slices.Clone(m.Adapters), sample.At(a, weight)), m.Embeddings}, nil
}

// Save writes the model as a single-file checkpoint, its weights as F16, BF16 or F32: see sd.Model.Save. Embeddings are not part of it. A model
// with adapters applied is a fault of kind Unsupported, for the file would not have them: Merged does.
func (m *Model) Save(path string, dtype checkpoint.DType) error {
	if len(m.Adapters) > 0 {
		return fault.New(fault.Unsupported, "save model", path, "%s has adapters applied, which the file would not have", m.Name).Fix("save what Merged returns")
	}
	return m.Model.Save(path, dtype)
}

// WithEmbedding returns the model with one more word: a prompt, or a negative one, that names it gets its vectors there. m itself stays as it
// is.
func (m *Model) WithEmbedding(e sd.Embedding) (*Model, error) {
	if err := e.Fits(m.Config.Text); err != nil {
		return nil, err
	}
	return &Model{m.Model, m.Name, m.Adapters, append(slices.Clone(m.Embeddings), e)}, nil
}

// Options is what an image is drawn from; the zero value of each field is its default.
type Options = sample.Options

// Sample draws one image for every seed, in a row. The same model, options and seed give the same image each time.
func (m *Model) Sample(o Options, seeds ...int64) (Sheet, error) {
	if len(seeds) == 0 {
		seeds = []int64{o.Seed}
	}
	return m.Grid(sample.Grid{Title: o.Prompt, Base: sample.Request{Options: o}, X: sample.Seeds(seeds...)})
}

// Grid draws a grid: every cell is g.Base with its column's and row's change. The grid is shown as it fills. The model and its adapters
// come from m; axes may change them.
func (m *Model) Grid(g sample.Grid) (Sheet, error) {
	g.Base.Model, g.Base.Adapters = m.Model, append(slices.Clone(m.Adapters), g.Base.Adapters...)
	g.Base.Embeddings = append(slices.Clone(m.Embeddings), g.Base.Embeddings...)
	l := newLive()
	s, err := g.Draw(Context(), func(s *sample.Sheet) {
		text := fmt.Sprintf("%d of %d images", s.Done(), len(s.Cells))
		l.show(func() string { return embed(s.Image(), text) }, text)
	})
	l.end("")
	if s == nil {
		return Sheet{}, err
	}
	return Sheet{s}, err
}

// Beside puts sheets of the same columns below one another, labelled by their names: before and after.
func Beside(names []string, sheets ...Sheet) (Sheet, error) {
	const op = "put sheets below one another"
	if len(sheets) == 0 || len(names) != len(sheets) {
		return Sheet{}, fault.New(fault.Invalid, op, "", "%d names for %d sheets", len(names), len(sheets)).Fix("give a name for each sheet")
	}
	for i, s := range sheets {
		if s.Sheet == nil {
			return Sheet{}, fault.New(fault.Invalid, op, names[i], "it is nil").Fix("draw it first: Sample or Grid")
		}
		if n, first := len(s.Columns), len(sheets[0].Columns); n != first {
			return Sheet{}, fault.New(fault.Invalid, op, names[i], "%d columns, and %s has %d", n, names[0], first).Fix("draw the same seeds, or the same axis across")
		}
	}
	all := *sheets[0].Sheet
	all.YName, all.Rows, all.Cells = "", nil, nil
	for i, s := range sheets {
		for range s.Rows {
			all.Rows = append(all.Rows, names[i])
		}
		all.Cells = append(all.Cells, s.Cells...)
	}
	return Sheet{&all}, nil
}

// LoadAdapter reads an adapter in the format of LyCORIS and kohya's trainer.
func LoadAdapter(path string) (*adapter.Adapter, error) { return adapter.Load(path) }

// LoadEmbedding reads a word that a text encoder was taught, in the files of kohya's trainer, web UIs (.pt only when checkpoint.AllowPickle is
// given) or diffusers. Its name is the file's, unless the file tells one; it may be changed.
func LoadEmbedding(path string, options ...checkpoint.Option) (sd.Embedding, error) {
	return sd.LoadEmbedding(path, options...)
}
