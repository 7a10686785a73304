package dataset

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// Batch is the draws of one step, all of one bucket.
type Batch struct {
	Size    Size
	Items   []int // indices into Set.Items, at most BatchSize
	Numbers []int // which of the epoch's draws each is
}

// StepsPerEpoch returns Σ ⌈samples / BatchSize⌉ over the buckets: more than samples/BatchSize, because every bucket's last batch
// may be short.
func (s *Set) StepsPerEpoch() int {
	n := 0
	for _, b := range s.Buckets() {
		n += b.Batches
	}
	return n
}

// Epoch returns the batches of one epoch (from 1) in training order: samples are shuffled inside each bucket, then the batches of all
// buckets among each other, from Seed + epoch.
func (s *Set) Epoch(epoch int) []Batch {
	type draw struct{ item, number int }
	draws := map[Size][]draw{}
	number := 0
	for i := range s.Items {
		item := &s.Items[i]
		for range item.Repeats {
			draws[item.Bucket] = append(draws[item.Bucket], draw{i, number})
			number++
		}
	}
	r := rand.New(rand.NewPCG(s.Options.Seed+uint64(epoch), drawOrder))
	var batches []Batch
	for _, bucket := range s.Buckets() {
		all := draws[bucket.Size]
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for len(all) > 0 {
			n := min(s.Options.BatchSize, len(all))
			b := Batch{Size: bucket.Size}
			for _, d := range all[:n] {
				b.Items, b.Numbers = append(b.Items, d.item), append(b.Numbers, d.number)
			}
			batches, all = append(batches, b), all[n:]
		}
	}
	r.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	return batches
}

// ValidationBatches returns the images that are held out, in batches of one bucket and always in the same order; none without Validation.
func (s *Set) ValidationBatches() []Batch {
	held := map[Size][]int{}
	for i, item := range s.Items {
		if item.Held {
			held[item.Bucket] = append(held[item.Bucket], i)
		}
	}
	var batches []Batch
	for _, size := range slices.SortedFunc(maps.Keys(held), Size.compare) {
		for items := range slices.Chunk(held[size], s.Options.BatchSize) {
			batches = append(batches, Batch{Size: size, Items: items, Numbers: items})
		}
	}
	return batches
}

// Plan is what training will do, to be read before it starts.
type Plan struct {
	Images       int // different images
	Held         int // of them held out for validation
	Samples      int // draws per epoch
	RegSamples   int // of them of regularization images
	Folders      []FolderPlan
	Buckets      []Bucket
	Batches      int     // per epoch
	Accumulation int     // batches per optimizer step
	Steps        int     // optimizer steps in all
	Epochs       float64 // Steps · Accumulation / Batches
	Warnings     []string
}

// FolderPlan is what an epoch draws from one folder.
type FolderPlan struct {
	Name           string
	Images         int // that are trained on
	Samples        int
	Regularization bool
}

// Plan works out the epochs for a number of optimizer steps, or the steps for a number of epochs when steps is 0. accumulation is the
// number of batches that make one step, 1 or more. A step takes as many also where an epoch ends, so that every batch weighs the same: kohya's
// trainer makes a short step there, and so up to one step more in every epoch.
func (s *Set) Plan(steps, epochs, accumulation int) Plan {
	p := Plan{Images: len(s.Items), Samples: s.count(false) + s.count(true), RegSamples: s.count(true), Folders: s.folderPlans(),
		Buckets: s.Buckets(), Batches: s.StepsPerEpoch(), Accumulation: max(1, accumulation), Steps: steps, Warnings: s.Warnings}
	for _, item := range s.Items {
		if item.Held {
			p.Held++
		}
	}
	if steps == 0 {
		p.Steps = (epochs*p.Batches + p.Accumulation - 1) / p.Accumulation
	}
	if p.Batches > 0 {
		p.Epochs = float64(p.Steps) * float64(p.Accumulation) / float64(p.Batches)
	}
	return p
}

func (s *Set) folderPlans() []FolderPlan {
	list := make([]FolderPlan, len(s.Subsets))
	for i, sub := range s.Subsets {
		list[i] = FolderPlan{Name: sub.Name(), Regularization: sub.Regularization}
	}
	for _, item := range s.Items {
		if item.Repeats > 0 {
			list[item.Subset].Images++
			list[item.Subset].Samples += item.Repeats
		}
	}
	return list
}

// String prints the plan as small tables: what an epoch draws from every folder, how that falls into buckets, and the steps it makes.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s %7s %8s %8s %6s\n", "folder", "images", "repeats", "samples", "share")
	for _, f := range p.Folders {
		note := ""
		if f.Regularization {
			note = "  regularization"
		}
		fmt.Fprintf(&b, "%-32s %7d %8.4g %8d %5.1f%%%s\n", f.Name, f.Images, float64(f.Samples)/float64(max(1, f.Images)), f.Samples,
			100*float64(f.Samples)/float64(max(1, p.Samples)), note)
	}
	fmt.Fprintf(&b, "%-32s %7s %8s %8s\n", "bucket", "images", "samples", "batches")
	for _, k := range p.Buckets {
		fmt.Fprintf(&b, "%-32s %7d %8d %8d\n", k.Size, k.Images, k.Samples, k.Batches)
	}
	fmt.Fprintf(&b, "an epoch: %s in %s", plural(p.Samples, "sample"), plural(p.Batches, "batch"))
	if p.Held > 0 {
		fmt.Fprintf(&b, "; %s held out for validation", plural(p.Held, "image"))
	}
	fmt.Fprintf(&b, "\ntraining: %s", plural(p.Steps, "step"))
	if p.Accumulation > 1 {
		fmt.Fprintf(&b, " of %d batches", p.Accumulation)
	}
	fmt.Fprintf(&b, ", %.4g epochs", p.Epochs)
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "\nnote: %s", w)
	}
	return b.String()
}
