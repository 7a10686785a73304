// Package dataset reads training images with their captions: kohya folders ("3_Euphyllia/*.png" beside "*.txt") and dataset
// TOML files, sorts the images into aspect-ratio buckets, plans the steps of every epoch, and draws captions and pixels so
// that the same seed, epoch and sample always give the same result. Rules follow kohya-ss/sd-scripts, which wrote the files
// that people have.
package dataset

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Options says how a dataset is read. The zero value of a field means its default.
type Options struct {
	Resolution     Size    // training size in pixels, its area is what a bucket may have; default 512 × 512 (the card's)
	BatchSize      int     // samples per step, 1 or more; default 8 (the experiments' author's later configurations)
	NoBuckets      bool    // true: every image is cut to Resolution; default false: aspect-ratio buckets
	MinBucket      int     // shortest bucket side in pixels; default 320 at 512, in proportion otherwise
	MaxBucket      int     // longest bucket side in pixels; default 960 at 512, in proportion otherwise
	BucketStep     int     // sides are multiples of this many pixels; default 64 at 512, in proportion otherwise, at least 8
	NoUpscale      bool    // true: images are never enlarged, buckets follow the images; default false
	Regularization string  // folder of regularization images in kohya form; default none
	Seed           uint64  // of the order, the captions and the augmentation; default 0
	Validation     float64 // share of every folder's images that is held out to validate on, 0 ≤ share < 1; default 0
	ValidationSeed uint64  // of which images these are; default Seed
	Subset         Subset  // what every folder takes over unless the dataset file says otherwise
	Limits         Limits  // what an image file may be
}

// Subset is one folder of images and how its captions and pixels are drawn.
type Subset struct {
	Dir                 string   // folder of the images
	Repeats             int      // how often an epoch shows each image, 1 or more; in kohya form the number before "_"
	ClassTokens         string   // caption of an image without a caption file; in kohya form what follows "N_"
	Regularization      bool     // true: loss is weighted by PriorLossWeight, repeats are evened out against the training images
	Captions            Captions // caption processing
	Flip                bool     // mirror left to right with probability ½
	Color               bool     // vary hue or gamma with probability ½ (cannot cache latents)
	RandomCrop          bool     // cut a random part instead of the centre (cannot cache latents)
	AlphaMask           bool     // the image's alpha channel is the loss mask
	ResizeInterpolation string   // how images are scaled: one of Interpolations; ""
	MaskDir             string   // folder of mask images with the same stems, red channel 0…255 is weight 0…1; default none

	fromFile bool // its settings come from a dataset file
}

// Item is one image of a set.
type Item struct {
	Path    string // image file
	Subset  int    // index into Set.Subsets
	Caption string // caption file's text (or class tokens), before any processing
	Size    Size   // of the file, in pixels
	Repeats int    // draws per epoch; 0 for images that are held out, and for surplus regularization images
	Held    bool   // held out: see Options.Validation
	Bucket  Size   // what it is cut to
	Resized Size   // what it is scaled to before cutting, at least Bucket on both sides
	limits  Limits
}

// Set is a dataset ready to be planned, looked at and trained on.
type Set struct {
	Options  Options
	Subsets  []Subset
	Items    []Item
	Warnings []string // what was passed over, one sentence each

	fromFile bool     // read from a dataset file
	planned  []Subset // of a dataset file, before their folders are read
	found    []string // the part of Warnings that reading gave
	bad      []error  // of files that were found but cannot be used
	undo     []Edit   // that are not written, oldest first
}

// Load reads a folder in kohya form: dir/N_name/*.png|jpg|jpeg|webp|bmp, with captions in text files beside the images. Only headers
// and captions are read; Check decodes everything. Errors name the folder, file or field. Where files cannot be used, the error names
// all of them, and the set, which is returned with it, holds the others: its Check adds those that fail to decode.
func Load(dir string, opts Options) (*Set, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	set := &Set{Options: opts}
	if err := set.addFolders(dir, opts.Subset); err != nil {
		return nil, err
	}
	if err := set.addRegularization(); err != nil {
		return nil, err
	}
	return set, set.finish(dir)
}

// addRegularization adds the folders of Options.Regularization, if there are any.
func (s *Set) addRegularization() error {
	if s.Options.Regularization == "" {
		return nil
	}
	sub := s.Options.Subset
	sub.Regularization = true
	return s.addFolders(s.Options.Regularization, sub)
}

// finish arranges what was read, and names every file that cannot be used.
func (s *Set) finish(source string) error {
	if len(s.Items) == 0 && len(s.bad) == 0 {
		return fault.New(fault.NotExist, "load dataset", source, "holds no training images").
			Fix("put images in subfolders called N_name, such as 3_Euphyllia, N being the repeats")
	}
	s.bad = append(s.bad, s.arrange()...)
	if len(s.bad) == 0 && s.count(false) == 0 {
		return fault.New(fault.NotExist, "load dataset", source, "holds only regularization images").
			Fix("add a folder of training images")
	}
	return joinFaults("load dataset", source, s.bad)
}

// count returns the draws of an epoch: of regularization images or of the others.
func (s *Set) count(regularization bool) int {
	n := 0
	for i := range s.Items {
		if s.Subsets[s.Items[i].Subset].Regularization == regularization {
			n += s.Items[i].Repeats
		}
	}
	return n
}

// complete fills in defaults and refuses what has no meaning.
func (o Options) complete() (Options, error) {
	bad := func(field, format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "load dataset", field, format, args...)
	}
	if o.Resolution == (Size{}) {
		o.Resolution = Size{512, 512}
	}
	if o.BatchSize == 0 {
		o.BatchSize = 8
	}
	if o.Resolution.W < 8 || o.Resolution.H < 8 || o.Resolution.W > 8192 || o.Resolution.H > 8192 {
		return o, bad("Resolution", "%s is outside 8…8192 pixels a side", o.Resolution).Fix("use 512 (the default)")
	}
	if o.BatchSize < 1 || o.BatchSize > 4096 {
		return o, bad("BatchSize", "%d is outside 1…4096", o.BatchSize).Fix("use 8 (the default)")
	}
	short := min(o.Resolution.W, o.Resolution.H)
	long := max(o.Resolution.W, o.Resolution.H)
	if o.BucketStep == 0 {
		o.BucketStep = max(8, short/8/8*8)
	}
	if o.MinBucket == 0 {
		o.MinBucket = max(short*320/512, min(short, o.BucketStep))
	}
	if o.MaxBucket == 0 {
		o.MaxBucket = max(long, long*960/512)
	}
	switch {
	case o.BucketStep < 8 || o.BucketStep > 1024:
		return o, bad("BucketStep", "%d is outside 8…1024 pixels", o.BucketStep).Fix("use 64 (the default at 512)")
	case o.NoBuckets: // whose limits then decide nothing
	case o.MinBucket < o.BucketStep || o.MinBucket > short:
		return o, bad("MinBucket", "%d is not between BucketStep %d and the shorter side of Resolution %s", o.MinBucket, o.BucketStep, o.Resolution).
			Fix("use 320 with Resolution 512, or leave it 0")
	case o.MaxBucket < long || o.MaxBucket > 16384:
		return o, bad("MaxBucket", "%d is below the longer side of Resolution %s, or above 16384", o.MaxBucket, o.Resolution).
			Fix("use 960 with Resolution 512, or leave it 0")
	}
	if !(o.Validation >= 0 && o.Validation < 1) {
		return o, bad("Validation", "%v is not a share from 0 to below 1", o.Validation).Fix("use 0 (none) or 0.1")
	}
	sub, err := o.Subset.complete()
	o.Subset, o.Limits = sub, o.Limits.complete()
	return o, err
}

// complete fills in a subset's defaults and refuses what has no meaning.
func (s Subset) complete() (Subset, error) {
	if s.Repeats < 0 || s.Repeats > 1e6 {
		return s, fault.New(fault.Invalid, "load dataset", "Repeats", "%d is outside 1…1000000", s.Repeats).Fix("use 1 or more")
	}
	if !slices.Contains(Interpolations, s.ResizeInterpolation) {
		return s, fault.New(fault.Invalid, "load dataset", "ResizeInterpolation", "%q is not known", s.ResizeInterpolation).
			Fix("leave it empty, or use one of %s", strings.Join(Interpolations[1:], ", "))
	}
	var err error
	s.Captions, err = s.Captions.complete()
	return s, err
}

// Name is the image file without its folder.
func (i Item) Name() string { return filepath.Base(i.Path) }

// Name returns the folder's own name, "3_Euphyllia".
func (s Subset) Name() string { return filepath.Base(s.Dir) }

// String sums the set up in one line: images, samples per epoch, buckets.
func (s *Set) String() string {
	reg := ""
	if n := s.count(true); n > 0 {
		reg = fmt.Sprintf(" (%d of them regularization)", n)
	}
	return fmt.Sprintf("%s in %s, %s per epoch%s, %s", plural(len(s.Items), "image"), plural(len(s.Subsets), "folder"),
		plural(s.count(false)+s.count(true), "sample"), reg, plural(len(s.Buckets()), "bucket"))
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if noun == "batch" {
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// stem is a file's name without folder and extension.
func stem(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}
