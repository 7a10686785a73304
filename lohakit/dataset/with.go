package dataset

import "slices"

// With returns the set rearranged for other options: buckets, batches, order, and, for folders in kohya form, augmentation and caption
// processing. Nothing is read again. A set from a dataset file keeps what the
// file says and takes over only the seed.
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
	out := &Set{Options: opts, Subsets: slices.Clone(s.Subsets), Items: slices.Clone(s.Items), Warnings: slices.Clone(s.Warnings), fromFile: s.fromFile}
	for i, sub := range out.Subsets {
		if sub.fromFile {
			continue
		}
		next := opts.Subset
		next.Dir, next.Repeats, next.ClassTokens, next.Regularization = sub.Dir, sub.Repeats, sub.ClassTokens, sub.Regularization
		next.Captions.Extension = sub.Captions.Extension
		out.Subsets[i] = next
	}
	return out, out.assignBuckets()
}
