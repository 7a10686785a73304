package lohakit

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/spectrum"
)

// Difference is what weights differ by, layer by layer: what an adapter adds to a model, what a fine-tuning changed, or what tells two
// adapters apart. It is computed only when one of its verbs needs it.
type Difference struct {
	spectrum.Differences
	Title string // what it is the difference of
}

// Difference is what the adapter as it is now adds to the base model. It stays what it is when training goes on.
func (r *Run) Difference() Difference {
	return Difference{spectrum.OfAdapter(r.Adapter.Clone(), r.base.Model), fmt.Sprintf("ΔW after %d steps", r.Done())}
}

// Adds is what an adapter adds to the model at weight 1.
func (m *Model) Adds(a *adapter.Adapter) (Difference, error) {
	if err := m.takes("compare", a); err != nil {
		return Difference{}, err
	}
	title := a.Metadata["ss_output_name"]
	if title == "" {
		title = string(a.Spec.Kind)
	}
	return Difference{spectrum.OfAdapter(a, m.Model), "ΔW of " + title}, nil
}

// Minus is what m's weights differ from source's by: what a fine-tuning changed. Adapters that are applied do not count; see Merged.
func (m *Model) Minus(source *Model) (Difference, error) {
	if source == nil {
		return Difference{}, fault.New(fault.Invalid, "compare models", "source", "it is nil").Fix("open it first: lohakit.Open")
	}
	d, err := spectrum.OfModels(m.Model, source.Model)
	return Difference{d, m.Name + " − " + source.Name}, err
}

// Between is what the checkpoint tuned differs from source by, each a file or a base model's name. Both are read one layer at a time, so that
// two of 4 GB fit where a model does not. options are those of Open.
func Between(tuned, source string, options ...checkpoint.Option) (Difference, error) {
	var open [2]*checkpoint.Model
	for i, name := range []string{tuned, source} {
		path, err := pathOf(name)
		if err != nil {
			return Difference{}, err
		}
		f, err := checkpoint.OpenModel(path, options...)
		if err != nil {
			return Difference{}, err
		}
		runtime.SetFinalizer(f, (*checkpoint.Model).Close) // the difference reads it for as long as it is there
		open[i] = f
	}
	d, err := spectrum.OfFiles(open[0], open[1])
	return Difference{d, stem(tuned) + " − " + stem(source)}, err
}

// stem is a file's name without folder and ending.
func stem(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// Plus is d with another difference added at a weight: base.Adds(a).Plus(base.Adds(b), -1) tells two adapters apart.
func (d Difference) Plus(other Difference, weight float64) (Difference, error) {
	if err := number("add differences", weight); err != nil {
		return Difference{}, err
	}
	sum, err := spectrum.Sum([]float64{1, weight}, d.Differences, other.Differences)
	sign := "+"
	if weight < 0 {
		sign, weight = "−", -weight
	}
	title := fmt.Sprintf("%s %s %g·(%s)", d.Title, sign, weight, other.Title)
	if weight == 1 {
		title = fmt.Sprintf("%s %s (%s)", d.Title, sign, other.Title)
	}
	return Difference{sum, title}, err
}

// Layers keeps the layers that match a glob over their paths ("mid_block.*") or names in files ("lora_unet_*attn2_to_v"); "" keeps all. No
// match is an error that lists the nearest.
func (d Difference) Layers(match string) (Difference, error) {
	some, err := d.Match(match)
	return Difference{some, d.Title}, err
}

// MIMEBundle shows what it is the difference of.
func (d Difference) MIMEBundle() map[string]any {
	return map[string]any{"text/plain": fmt.Sprintf("%s: %d layers", d.Title, len(d.Differences))}
}

// working shows how far work over layers is, and stops it when the cell is interrupted.
func working(l *live, what string) spectrum.Progress {
	ctx := Context()
	return func(done, total int) error {
		l.bar(done, total, fmt.Sprintf("%s: layer %d of %d", what, done, total))
		if err := ctx.Err(); err != nil {
			return fault.New(fault.Canceled, what, "", "stopped after %d of %d layers: %w", done, total, err)
		}
		return nil
	}
}
