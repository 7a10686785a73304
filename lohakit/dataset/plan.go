package dataset

import (
	"fmt"
	"math/rand/v2"
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

// Plan is what training will do, to be read before it starts.
type Plan struct {
	Images        int // different images
	Samples       int // draws per epoch
	RegSamples    int // of them of regularization images
	Buckets       []Bucket
	StepsPerEpoch int
	Steps         int     // optimizer steps in all
	Epochs        float64 // Steps / StepsPerEpoch
	Warnings      []string
}

// Plan works out the steps for a number of optimizer steps, or of epochs when steps is 0.
func (s *Set) Plan(steps, epochs int) Plan {
	p := Plan{Images: len(s.Items), Samples: s.count(false) + s.count(true), RegSamples: s.count(true),
		Buckets: s.Buckets(), StepsPerEpoch: s.StepsPerEpoch(), Steps: steps, Warnings: s.Warnings}
	if steps == 0 {
		p.Steps = epochs * p.StepsPerEpoch
	}
	if p.StepsPerEpoch > 0 {
		p.Epochs = float64(p.Steps) / float64(p.StepsPerEpoch)
	}
	return p
}

// String prints the plan as a small table.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d images, %d samples per epoch", p.Images, p.Samples)
	if p.RegSamples > 0 {
		fmt.Fprintf(&b, " (%d of regularization)", p.RegSamples)
	}
	fmt.Fprintf(&b, "\n%-11s %7s %8s %8s\n", "bucket", "images", "samples", "batches")
	for _, k := range p.Buckets {
		fmt.Fprintf(&b, "%-11s %7d %8d %8d\n", k.Size, k.Images, k.Samples, k.Batches)
	}
	fmt.Fprintf(&b, "%d steps per epoch, %d steps in all (%.2f epochs)", p.StepsPerEpoch, p.Steps, p.Epochs)
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "\nnote: %s", w)
	}
	return b.String()
}
