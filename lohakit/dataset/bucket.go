package dataset

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Size is a width and a height in pixels.
type Size struct{ W, H int }

// Square returns a size with equal sides.
func Square(side int) Size { return Size{side, side} }

// String returns "512×768", width first.
func (s Size) String() string { return fmt.Sprintf("%d×%d", s.W, s.H) }

func (s Size) compare(t Size) int { return cmp.Or(cmp.Compare(s.W, t.W), cmp.Compare(s.H, t.H)) }

// BucketSizes lists the sizes of at most resolution's area whose sides are multiples of step, between shortest and longest: for every
// width the tallest height that fits, both ways round, and the square. Sorted by width, then height.
func BucketSizes(resolution Size, shortest, longest, step int) []Size {
	shortest, longest = shortest/step*step, (longest+step-1)/step*step
	area := resolution.W * resolution.H
	square := int(math.Sqrt(float64(area))) / step * step
	sizes := []Size{{square, square}}
	for w := shortest; w <= longest; w += step {
		if h := min(longest, area/w/step*step); h >= shortest {
			sizes = append(sizes, Size{w, h}, Size{h, w})
		}
	}
	slices.SortFunc(sizes, Size.compare)
	return slices.Compact(sizes)
}

// fit chooses for an image the bucket and the size it is scaled to, which covers the bucket.
type fit func(image Size) (bucket, resized Size)

// fitAspect picks the bucket of exactly the image's size, else the one whose width/height is nearest by plain difference (the first
// of equals), and scales so that the image covers it.
func fitAspect(sizes []Size) fit {
	return func(image Size) (bucket, resized Size) {
		aspect := float64(image.W) / float64(image.H)
		bucket = sizes[0]
		if slices.Contains(sizes, image) {
			bucket = image
		} else {
			nearest := math.Inf(1)
			for _, s := range sizes {
				if d := math.Abs(float64(s.W)/float64(s.H) - aspect); d < nearest {
					bucket, nearest = s, d
				}
			}
		}
		scale := float64(bucket.W) / float64(image.W)
		if aspect > float64(bucket.W)/float64(bucket.H) {
			scale = float64(bucket.H) / float64(image.H)
		}
		round := func(x int) int { return int(float64(x)*scale + 0.5) }
		return bucket, Size{max(bucket.W, round(image.W)), max(bucket.H, round(image.H))}
	}
}

// fitNoUpscale never enlarges: an image of more than resolution's area is scaled down to it with one side on the step grid, whichever
// keeps the aspect ratio better; the bucket is the result rounded down to the grid.
func fitNoUpscale(resolution Size, step int) fit {
	area := float64(resolution.W * resolution.H)
	grid := func(x float64) int { return int(x+0.5) / step * step }
	return func(image Size) (bucket, resized Size) {
		resized = image
		if aspect := float64(image.W) / float64(image.H); float64(image.W*image.H) > area {
			width := math.Sqrt(area * aspect)
			byWidth, byHeight := grid(width), grid(area/width)
			widthError := math.Abs(ratio(byWidth, grid(float64(byWidth)/aspect)) - aspect)
			heightError := math.Abs(ratio(grid(float64(byHeight)*aspect), byHeight) - aspect)
			if widthError < heightError {
				resized = Size{byWidth, int(float64(byWidth)/aspect + 0.5)}
			} else {
				resized = Size{int(float64(byHeight)*aspect + 0.5), byHeight}
			}
		}
		return Size{resized.W / step * step, resized.H / step * step}, resized
	}
}

func ratio(w, h int) float64 { return float64(w) / float64(h) }

// assignBuckets gives every item its bucket, and returns a fault for each that none suits.
func (s *Set) assignBuckets() (bad []error) {
	o := s.Options
	var choose fit
	switch {
	case o.NoBuckets:
		choose = fitAspect([]Size{o.Resolution})
	case o.NoUpscale:
		choose = fitNoUpscale(o.Resolution, o.BucketStep)
	default:
		choose = fitAspect(BucketSizes(o.Resolution, o.MinBucket, o.MaxBucket, o.BucketStep))
	}
	for i := range s.Items {
		item := &s.Items[i]
		item.Bucket, item.Resized = choose(item.Size)
		known := len(bad)
		switch b := item.Bucket; {
		case b.W < 8 || b.H < 8:
			bad = append(bad, fault.New(fault.Invalid, "load dataset", item.Path, "%s is too small or too narrow for BucketStep %d without enlarging",
				item.Size, o.BucketStep).Fix("turn NoUpscale off, or remove the image"))
		case item.Resized.W > 1<<14 || item.Resized.H > 1<<14:
			bad = append(bad, fault.New(fault.Invalid, "load dataset", item.Path, "%s is too narrow: covering bucket %s it would be %s",
				item.Size, b, item.Resized).Fix("crop or remove the image"))
		}
		if len(bad) > known {
			item.Bucket = Size{}
		}
	}
	return bad
}

// Bucket is one size with the draws that an epoch makes from it.
type Bucket struct {
	Size    Size
	Images  int // different images
	Samples int // Σ repeats
	Batches int // ⌈Samples / BatchSize⌉: the last batch of every bucket may be short
}

// AspectError returns how far the trained images' width/height is from their bucket's, the mean of the absolute differences: a measure of
// what is cut off.
func (s *Set) AspectError() float64 {
	sum, n := 0.0, 0
	for _, item := range s.Items {
		if item.Repeats > 0 {
			sum += math.Abs(ratio(item.Bucket.W, item.Bucket.H) - ratio(item.Size.W, item.Size.H))
			n++
		}
	}
	return sum / float64(max(1, n))
}

// Buckets returns the buckets that hold training images, sorted by size.
func (s *Set) Buckets() []Bucket {
	at := map[Size]*Bucket{}
	for i := range s.Items {
		item := &s.Items[i]
		if item.Repeats == 0 {
			continue
		}
		b := at[item.Bucket]
		if b == nil {
			b = &Bucket{Size: item.Bucket}
			at[item.Bucket] = b
		}
		b.Images, b.Samples = b.Images+1, b.Samples+item.Repeats
	}
	var all []Bucket
	for _, b := range at {
		b.Batches = (b.Samples + s.Options.BatchSize - 1) / s.Options.BatchSize
		all = append(all, *b)
	}
	slices.SortFunc(all, func(a, b Bucket) int { return a.Size.compare(b.Size) })
	return all
}
