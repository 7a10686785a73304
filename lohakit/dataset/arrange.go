package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// With returns the set rearranged for other options: held-out images, buckets, batches, order, and, for folders in kohya form, augmentation
// and caption processing. Nothing is read again. A set from a dataset file keeps what the file says and takes over only the seed.
func (s *Set) With(opts Options) (*Set, error) {
	if s.fromFile {
		kept := s.Options
		kept.Seed = opts.Seed
		opts = kept
	}
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	out := &Set{Options: opts, Subsets: slices.Clone(s.Subsets), Items: slices.Clone(s.Items), fromFile: s.fromFile, found: s.found}
	for i, sub := range out.Subsets {
		if sub.fromFile {
			continue
		}
		next := opts.Subset
		next.Dir, next.Repeats, next.ClassTokens, next.Regularization = sub.Dir, sub.Repeats, sub.ClassTokens, sub.Regularization
		next.Captions.Extension = sub.Captions.Extension
		out.Subsets[i] = next
	}
	return out, joinFaults("arrange dataset", "", out.arrange())
}

// arrange works out what the options decide: which images are held out, how often the regularization images are drawn, and the
// buckets. Images that no bucket suits are left out, with a fault each.
func (s *Set) arrange() (bad []error) {
	s.Warnings = slices.Clone(s.found)
	for i := range s.Items {
		s.Items[i].Repeats, s.Items[i].Held = max(1, s.Subsets[s.Items[i].Subset].Repeats), false
	}
	if s.Options.Validation > 0 {
		s.holdOut()
	}
	s.evenOut()
	bad = s.assignBuckets()
	if len(bad) > 0 {
		s.Items = slices.DeleteFunc(s.Items, func(item Item) bool { return item.Bucket == Size{} })
	}
	return bad
}

// holdOut puts aside the images to validate on: of every folder but those of regularization the last in a random order, all but
// ⌈n·(1 − Validation)⌉. Kohya's trainer does so too, and where its rounding makes the two parts overlap, validates on one image more.
func (s *Set) holdOut() {
	seed := s.Options.ValidationSeed
	if seed == 0 {
		seed = s.Options.Seed
	}
	of := make([][]*Item, len(s.Subsets))
	for i := range s.Items {
		item := &s.Items[i]
		of[item.Subset] = append(of[item.Subset], item)
	}
	for i, items := range of {
		if s.Subsets[i].Regularization {
			continue
		}
		r := rand.New(rand.NewPCG(seed, uint64(drawHeld)<<56^uint64(i)))
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		kept := int(math.Ceil(float64(len(items)) * (1 - s.Options.Validation)))
		for _, item := range items[kept:] {
			item.Held, item.Repeats = true, 0
		}
	}
}

// evenOut gives the regularization images as many draws as the training images have: one more to each in turn, until they are level;
// the images that are not needed for that are left out of the epoch (Repeats 0).
func (s *Set) evenOut() {
	var reg []*Item
	for i := range s.Items {
		if s.Subsets[s.Items[i].Subset].Regularization {
			reg = append(reg, &s.Items[i])
		}
	}
	want, have := s.count(false), 0
	for i, item := range reg {
		if have >= want {
			s.Warnings = append(s.Warnings, fmt.Sprintf("%d of %d regularization images are not used: the training images have only %d draws per epoch",
				len(reg)-i, len(reg), want))
			for _, rest := range reg[i:] {
				rest.Repeats = 0
			}
			return
		}
		have += item.Repeats
	}
	for i := 0; len(reg) > 0 && have < want; i, have = (i+1)%len(reg), have+1 {
		reg[i].Repeats++
	}
}

// used reports whether training or validation needs the item's pixels.
func (i Item) used() bool { return i.Repeats > 0 || i.Held }
