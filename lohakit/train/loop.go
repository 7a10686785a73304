package train

import (
	"context"
	"fmt"
	"image"
	"strings"
	"time"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Run is a training run that can be stepped, looked at between steps, saved, and resumed exactly. It is not for concurrent use.
type Run struct {
	Config  Config
	Model   *sd.Model        // the base, which training leaves as it is, with Config.BaseWeights merged into it
	Adapter *adapter.Adapter // what is trained
	Data    *dataset.Set     // arranged by Config

	// Warnings say what of the configuration will have no effect on this dataset.
	Warnings []string
	Kept     func(path string) // is called after every Checkpoint, SaveState's too; nil

	given    *sd.Model              // Model without BaseWeights
	print    string                 // its fingerprint; "" before it is needed
	packed   []*tensors.Tensor      // the adapter's parameters by slots, while Step runs; else they are in Adapter
	state    []*tensors.Tensor      // the optimizer's
	factor   func(step int) float64 // of the rates, by the step counted from 0
	words    *sd.Lexicon
	encoder  *dataset.Encoder
	latents  *dataset.Latents
	graphs   *graphs
	replicas [][]*tensors.Tensor // the base model on each device but the first

	done     int // optimizer steps made
	total    int // of how many
	perEpoch int // batches
	epoch    int // whose order is in order
	order    []dataset.Batch
	losses   []float64 // of each step
	checks   []Check   // made by schedule
	previews []Preview
	started  time.Time
}

// New prepares a run: it checks the configuration, arranges the dataset by it, and makes the adapter, or reads what Weights and BaseWeights
// name. Nothing is decoded or compiled before the first step.
func New(given *sd.Model, data *dataset.Set, cfg Config) (*Run, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	model, err := cfg.base(given)
	if err != nil {
		return nil, err
	}
	a, warnings, err := cfg.begin(model)
	if err != nil {
		return nil, err
	}
	if err := cfg.teach(model, a); err != nil {
		return nil, err
	}
	g := sharedGraphs
	if cfg.Weights != "" { // whose alphas are the graphs' own
		g = func(m *sd.Model, a *adapter.Adapter, cfg Config) *graphs {
			return newGraphs(newNetwork(m, a, cfg), cfg)
		}
	}
	r, err := newRun(model, data, cfg, a, g(model, a, cfg))
	if err != nil {
		return nil, err
	}
	r.given, r.Warnings = given, append(warnings, r.Warnings...)
	return r, nil
}

// newRun prepares a run that trains a.
func newRun(model *sd.Model, data *dataset.Set, cfg Config, a *adapter.Adapter, g *graphs) (*Run, error) {
	data, err := data.With(cfg.Dataset())
	if err != nil {
		return nil, err
	}
	decided := data.Decides(cfg.Dataset())
	if data.FromFile() { // the file says how its images are arranged
		cfg.BatchSize, cfg.Resolution, cfg.Height = data.Options.BatchSize, data.Options.Resolution.W, 0
		if h := data.Options.Resolution.H; h != cfg.Resolution {
			cfg.Height = h
		}
		if err := cfg.checkTogether(); err != nil { // Devices have to share its batches
			return nil, err
		}
	}
	if cfg.ClipSkip > model.Config.Text.Layers {
		return nil, fault.New(fault.Invalid, "configure training", "ClipSkip", "%d is more than the %d layers of this text encoder",
			cfg.ClipSkip, model.Config.Text.Layers).Fix("use 1 or 2")
	}
	if err := cfg.checkPreviews(model); err != nil {
		return nil, err
	}
	encoder, err := dataset.NewEncoder(model, dataset.LatentOptions{Mean: cfg.LatentsMean, Cache: cfg.LatentsCache})
	if err != nil {
		return nil, err
	}
	r := &Run{Config: cfg, Model: model, Adapter: a, Data: data,
		words: sd.NewLexicon(a.Embeddings...), encoder: encoder, perEpoch: data.StepsPerEpoch(), started: time.Now(), graphs: g}
	if a.Params.Len()+len(a.Embeddings) == 0 {
		return nil, fault.New(fault.Invalid, "configure training", "Preset", "leaves nothing to train").Fix("use full (the default)")
	}
	r.Warnings = r.unused()
	if len(decided) > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the dataset's own file decides %s: what the Config says of that has no effect", strings.Join(decided, ", ")))
	}
	r.total = r.Plan().Steps
	r.factor = cfg.schedule(r.total).Factor
	return r, nil
}

// Plan returns what the run will do. With accumulation a step takes GradAccumulation batches.
func (r *Run) Plan() dataset.Plan {
	return r.Data.Plan(r.Config.Steps, r.Config.Epochs, r.Config.GradAccumulation)
}

// Status is how a run stands after a step.
type Status struct {
	Phase     string        // "encoding images", "compiling", "training", "validating", "drawing previews"
	Step      int           // optimizer steps made
	Total     int           // of how many; while encoding, Step and Total count images
	Epoch     int           // from 1
	Loss      float64       // of this step
	Smoothed  float64       // mean over the last steps, as many as an epoch has, at most 100
	GradNorm  float64       // Euclidean norm of the gradient before clipping
	LR        float64       // rate of the UNet's part at this step
	PerSecond float64       // steps per second of this call, without compiling
	Left      time.Duration // until n steps are made, at this speed
	Memory    uint64        // resident memory of the process, bytes; 0 where the system does not tell
	Previews  []image.Image // drawn after this step, in the status that tells of it
}

// String is the status in one line.
func (s Status) String() string {
	if s.Phase != "training" {
		return fmt.Sprintf("%s %d/%d", s.Phase, s.Step, s.Total)
	}
	return fmt.Sprintf("step %d/%d  loss %.4f  (mean %.4f)  %.2f it/s  %s left  %.1f GB",
		s.Step, s.Total, s.Loss, s.Smoothed, s.PerSecond, s.Left.Round(time.Second), float64(s.Memory)/1e9)
}

// Step makes n optimizer steps, fewer if ctx is cancelled or the run's end is reached, telling report (may be nil) after each. A cancelled
// context is a fault of kind Canceled, and Step may be called again to go on. A loss or gradient that is not finite is a fault of
// kind Numeric that names the module it comes from; the parameters are those of the last good step.
func (r *Run) Step(ctx context.Context, n int, report func(Status)) (err error) {
	if n < 1 {
		return fault.New(fault.Invalid, "train", "n", "%d steps", n).Fix("use 1 or more")
	}
	if r.done >= r.total {
		return fault.New(fault.Invalid, "train", "Steps", "all %d steps are made", r.total).
			Fix("set Steps higher and make a new run, or resume with it")
	}
	if report == nil {
		report = func(Status) {}
	}
	if err := r.prepare(ctx, report); err != nil {
		return err
	}
	defer func() {
		if back := r.Sync(); err == nil {
			err = back
		}
		r.packed = nil
	}()
	if r.done == 0 {
		if err := r.previewOnSchedule(ctx, report); err != nil {
			return err
		}
	}
	n = min(n, r.total-r.done)
	begin, compiling := time.Now(), time.Duration(0)
	for i := range n {
		if err := ctx.Err(); err != nil {
			return fault.New(fault.Canceled, "train", "", "stopped after step %d of %d: %w", r.done, r.total, err).
				Fix("step again to go on")
		}
		start := time.Now()
		result, compiled, err := r.one(report)
		if err != nil {
			return err
		}
		if compiled {
			compiling += time.Since(start)
		}
		status := r.status(result)
		if made := i + 1; time.Since(begin) > compiling {
			status.PerSecond = float64(made) / (time.Since(begin) - compiling).Seconds()
			status.Left = time.Duration(float64(n-made) / status.PerSecond * float64(time.Second))
		}
		report(status)
		if err := r.validateOnSchedule(report); err != nil {
			return err
		}
		if err := r.saveOnSchedule(); err != nil { // after validating, so that a saved state holds the validation
			return err
		}
		if err := r.previewOnSchedule(ctx, report); err != nil {
			return err
		}
	}
	return nil
}

// Sync puts the parameters as they are now into Adapter, for a report that looks at them while Step runs; between steps they are there.
func (r *Run) Sync() error {
	if r.packed == nil {
		return nil
	}
	return unpack(r.graphs.slots, r.packed, r.Adapter)
}
