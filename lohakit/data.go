package lohakit

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Data is a dataset of images and captions. Its tags are edited by AddTag, RemoveTag, ReplaceTag, DedupeTags, SortTags and Retag, whose
// Undo takes the last edit back; WriteCaptions makes edits lasting, and Undo restores the files.
type Data struct{ *dataset.Set }

// DataOptions is how a dataset is read; the zero value of each field is its default. A training sets all but Regularization and Limits by
// its Config.
type DataOptions = dataset.Options

// Load reads a folder in kohya's form, dir/N_name/*.png beside *.txt, N being how often an epoch shows each image; or a dataset TOML of
// kohya's trainer. Every image is decoded once, so that all bad files are named now and none stops a training. At most one
// DataOptions may be given: DataOptions{Regularization: "reg"} adds regularization images.
func Load(path string, options ...DataOptions) (*Data, error) {
	var o DataOptions
	if len(options) > 0 {
		o = options[0]
	}
	if strings.EqualFold(filepath.Ext(path), ".toml") {
		if len(options) > 0 {
			return nil, fault.New(fault.Invalid, "load dataset", path, "a dataset file brings its own options").Fix("leave the DataOptions out")
		}
		return checked(dataset.LoadTOML(path))
	}
	return checked(dataset.Load(path, o))
}

// LoadTree reads folders of images at any depth and balances them: every folder is seen as often as its siblings, whatever number of images
// it holds, unless weights say otherwise.
func LoadTree(root string, weights ...dataset.Weight) (*Data, error) {
	return checked(dataset.LoadTree(root, weights, DataOptions{}))
}

// checked decodes every image of a set that was read, in which err has already named some files.
func checked(s *dataset.Set, err error) (*Data, error) {
	if s == nil {
		return nil, err
	}
	l := newLive()
	decodeErr := s.Check(Context(), func(done, total int) { l.bar(done, total, fmt.Sprintf("checking image %d of %d", done, total)) })
	l.end("")
	if decodeErr != nil { // which names what err does, and more
		err = decodeErr
	}
	if err != nil {
		return nil, err
	}
	return &Data{s}, nil
}

// MIMEBundle shows the dataset in one line, and what was passed over.
func (d *Data) MIMEBundle() map[string]any {
	lines := append([]string{d.String()}, d.Warnings...)
	return map[string]any{"text/plain": strings.Join(lines, "\nnote: ")}
}

// For returns the dataset as a training by c sees it: its buckets, repeats and held-out images, for Plan, Buckets and Thumbnails.
func (d *Data) For(c Config) (*Data, error) {
	s, err := d.With(c.Dataset())
	if err != nil {
		return nil, err
	}
	return &Data{s}, nil
}

// Plan is what a training by c will do, before it starts: what an epoch draws from every folder, how that falls into buckets, and how many
// steps and epochs it makes.
func (d *Data) Plan(c Config) (Plan, error) {
	if err := c.Check(); err != nil {
		return Plan{}, err
	}
	s, err := d.With(c.Dataset())
	if err != nil {
		return Plan{}, err
	}
	return Plan{s.Plan(c.Steps, c.Epochs, c.GradAccumulation)}, nil
}

// Plan is a plan of training steps, shown as a table.
type Plan struct{ dataset.Plan }

// MIMEBundle is the plan as text.
func (p Plan) MIMEBundle() map[string]any { return map[string]any{"text/plain": p.String()} }

// Tags charts how many images have each of the n most frequent tags, of the folders whose names match a pattern ("*fanart*"); without one,
// of all.
func (d *Data) Tags(n int, folders ...string) (Picture, error) {
	if n < 1 {
		return Picture{}, fault.New(fault.Invalid, "chart tags", "n", "%d tags", n).Fix("use 1 or more")
	}
	tags, err := d.Set.Tags(folders...)
	if err != nil {
		return Picture{}, err
	}
	var labels []string
	var counts chart.Series
	for i, t := range tags[:min(n, len(tags))] {
		labels = append(labels, t.Name)
		counts.X, counts.Y = append(counts.X, float64(i)), append(counts.Y, float64(t.Count))
	}
	img, err := chart.Bars(chart.Look{Title: "tag frequency", Y: "images"}, labels, counts)
	return Picture{img, fmt.Sprintf("the %d most frequent of %d tags", len(labels), len(tags))}, err
}

// Buckets charts how many samples of an epoch fall into each bucket. Buckets depend on the resolution of the training: see For.
func (d *Data) Buckets() (Picture, error) {
	var labels []string
	var samples chart.Series
	buckets := d.Set.Buckets()
	for i, b := range buckets {
		labels = append(labels, b.Size.String())
		samples.X, samples.Y = append(samples.X, float64(i)), append(samples.Y, float64(b.Samples))
	}
	img, err := chart.Bars(chart.Look{Title: fmt.Sprintf("buckets at %s", d.Options.Resolution), Y: "samples per epoch"}, labels, samples)
	return Picture{img, fmt.Sprintf("%d buckets; the images' width/height is off by %.3f on average", len(buckets), d.AspectError())}, err
}
