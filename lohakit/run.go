package lohakit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/train"
)

// Config is everything that decides how a training goes; see Defaults.
type Config = train.Config

// Placeholder is a word of its own to train with an adapter, an entry of Config's Embeddings.
type Placeholder = train.Placeholder

// Defaults returns the configuration of the model card of LyCORIS-experiments: LoHa 8/4 with alpha 1, Adam with 8-bit states, a constant
// rate of 2e-4, resolution 512. Change its fields and give it to Train.
func Defaults() Config { return train.Default() }

// Run is a training that goes on step by step.
type Run struct {
	*train.Run
	base    *Model
	watched *watched // see Watch
}

// Train prepares the training of an adapter for m on data; nothing is computed before the first Step. m itself never changes.
func (m *Model) Train(data *Data, c Config) (*Run, error) {
	if err := m.trains(data); err != nil {
		return nil, err
	}
	r, err := train.New(m.Model, data.Set, c)
	if err != nil {
		return nil, err
	}
	return m.running(r), nil
}

// trains is the fault of a model or a dataset that cannot be trained with.
func (m *Model) trains(data *Data) error {
	switch {
	case data == nil || data.Set == nil:
		return fault.New(fault.Invalid, "train", "data", "it is nil").Fix("load it first: lohakit.Load")
	case len(m.Adapters) > 0:
		return fault.New(fault.Unsupported, "train", m.Name, "it has adapters applied").Fix("train on the base model, or merge them into it first")
	case len(m.Embeddings) > 0:
		return fault.New(fault.Unsupported, "train", m.Name, "it has embeddings, whose words the captions of a training cannot use").
			Fix("train on the base model, with the words in the Config's Embeddings")
	}
	return nil
}

// running is a run on m, or on m with the Config's BaseWeights.
func (m *Model) running(r *train.Run) *Run {
	r.Kept = noteCheckpoint
	if r.Model == m.Model {
		return &Run{Run: r, base: m}
	}
	return &Run{Run: r, base: &Model{Model: r.Model, Name: m.Name}}
}

// Resume goes on with a run that Checkpoint wrote, exactly as if it had not been interrupted. data must be what it began with.
func (m *Model) Resume(data *Data, path string) (*Run, error) {
	if err := m.trains(data); err != nil {
		return nil, err
	}
	r, err := train.Resume(m.Model, data.Set, path, nil)
	if err != nil {
		return nil, err
	}
	return m.running(r), nil
}

// MIMEBundle shows what is trained, how far it is, and the plan of its steps.
func (r *Run) MIMEBundle() map[string]any {
	return map[string]any{"text/plain": r.String() + "\n\n" + r.plan()}
}

// plan is the plan of steps, and what will have no effect.
func (r *Run) plan() string {
	return strings.Join(append([]string{r.Plan().String()}, r.Warnings...), "\nnote: ")
}

// String tells what is trained and how far it is in one line.
func (r *Run) String() string {
	var trained []string
	if n := len(r.Adapter.Names()); n > 0 {
		trained = append(trained, fmt.Sprintf("%s %d/%d, %s parameters in %d modules", r.Config.Kind, r.Config.Dim, r.Config.ConvDim,
			count(r.Adapter.Size()), n))
	}
	for _, e := range r.Adapter.Embeddings {
		trained = append(trained, "the word "+e.String())
	}
	return fmt.Sprintf("%s: %s; step %d of %d (%s)", r.base.Name, strings.Join(trained, " and "), r.Done(), r.Total(), r.Config.Name())
}

// Step makes n training steps, showing the plan before the first one, a progress bar, the loss curve, previews as Config schedules them, the
// speed and the time left. Interrupting the cell pauses: the steps made are kept, and Step may be called again to go on.
func (r *Run) Step(n int) error {
	l := newLive()
	var curve, previews string
	var drawn time.Time
	var last string // of the latest step
	from := r.Done()
	if from == 0 {
		l.note(r.plan())
	}
	err := r.Run.Step(Context(), n, func(s train.Status) {
		done, total := s.Step, s.Total
		if s.Phase == "training" {
			done, total, last = s.Step-from, n, s.String()
			r.record(s.Step)
			if time.Since(drawn) > 2*time.Second && s.Step > 1 {
				if p, err := r.Loss(); err == nil {
					curve = "<br>" + embed(p, p.Caption)
				}
				if p, err := r.Ranks(); err == nil {
					curve += embed(p, p.Caption)
				}
				drawn = time.Now()
			}
		}
		if len(s.Previews) > 0 {
			previews = fmt.Sprintf("<br><code>after step %d</code><br>", s.Step)
			for _, img := range s.Previews {
				previews += embed(img, "preview")
			}
		}
		l.show(func() string { return bar(done, total, s.String()) + curve + previews }, s.String())
	})
	l.end(last)
	return err
}

// Loss plots the loss of every step so far and its running mean, and what ValidateEvery measured.
func (r *Run) Loss() (Picture, error) {
	losses := r.Losses()
	if len(losses) == 0 {
		return Picture{}, fault.New(fault.NotExist, "plot loss", "", "no step is made yet").Fix("call Step first")
	}
	series := chart.Series{Y: losses}
	for i := range losses {
		series.X = append(series.X, float64(i+1))
	}
	all := []chart.Series{series}
	if v := r.validation(); len(v.Y) > 0 {
		all = append(all, v)
	}
	img, err := chart.Loss(chart.Look{Title: "training loss", Width: 640, Height: 320}, 0, all...)
	return Picture{img, fmt.Sprintf("loss over %d steps, last %.4f", len(losses), losses[len(losses)-1])}, err
}

// validation is the loss on fixed noise, where Config's ValidateEvery asks for it.
func (r *Run) validation() chart.Series {
	s := chart.Series{Name: "fixed noise", Measured: true}
	for _, c := range r.Checks() {
		s.X, s.Y = append(s.X, float64(c.Step)), append(s.Y, c.Loss)
	}
	return s
}

// Previews shows what Config's SampleEvery drew so far: a row for every step, a column for every prompt.
func (r *Run) Previews() (Sheet, error) {
	previews := r.Run.Previews()
	if len(previews) == 0 {
		return Sheet{}, fault.New(fault.NotExist, "show previews", "", "none is drawn yet").Fix("set SampleEvery and SamplePrompts, then Step")
	}
	s := &sample.Sheet{Title: "previews", YName: "Step"}
	for _, o := range previews[0].Options {
		s.Columns = append(s.Columns, o.Prompt)
	}
	for _, p := range previews {
		s.Rows = append(s.Rows, fmt.Sprint(p.Step))
		for _, img := range p.Images {
			s.Cells = append(s.Cells, sample.Cell{Image: img})
		}
	}
	return Sheet{s}, nil
}

// Adapted returns the base model with the adapter as it is now, at a weight. It stays what it is when training goes on.
func (r *Run) Adapted(weight float64) (*Model, error) { return r.base.With(r.Adapter.Clone(), weight) }

// Sample draws one image for every seed with the adapter as it is now.
func (r *Run) Sample(o Options, seeds ...int64) (Sheet, error) {
	m, err := r.Adapted(1)
	if err != nil {
		return Sheet{}, err
	}
	return m.Sample(o, seeds...)
}

// Grid draws a grid with the adapter as it is now.
func (r *Run) Grid(g sample.Grid) (Sheet, error) {
	m, err := r.Adapted(1)
	if err != nil {
		return Sheet{}, err
	}
	return m.Grid(g)
}

// CheckpointNote names the environment variable with the file in which the last checkpoint's path is kept, so that a kernel whose worker
// died can say what to resume from.
const CheckpointNote = "LOHAKIT_CHECKPOINT_NOTE"

// noteCheckpoint tells the kernel of a checkpoint. A note that cannot be written costs a hint, not the checkpoint.
func noteCheckpoint(path string) {
	note := os.Getenv(CheckpointNote)
	if full, err := filepath.Abs(path); err == nil && note != "" {
		_ = os.WriteFile(note, []byte(full), 0o600)
	}
}
