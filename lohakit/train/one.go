package train

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Encode encodes the images, once; Step does so by itself when it has not been done. It tells report (may be nil) after each image, and
// stops when ctx is cancelled.
func (r *Run) Encode(ctx context.Context, report func(Status)) error {
	if r.latents != nil {
		return nil
	}
	latents, err := r.encoder.Encode(ctx, r.Data, func(done, total int) {
		if report != nil {
			report(Status{Phase: "encoding images", Step: done, Total: total})
		}
	})
	if err == nil {
		r.latents = latents
	}
	return err
}

// prepare encodes the images and makes the optimizer's state, once.
func (r *Run) prepare(ctx context.Context, report func(Status)) error {
	if err := r.Encode(ctx, report); err != nil {
		return err
	}
	packed, err := pack(r.graphs.slots, r.Adapter)
	if err == nil && r.state == nil {
		r.state, err = r.graphs.start.Run(packed)
	}
	if err == nil {
		r.packed = packed
	}
	return err
}

// outcome is what a step tells the host, read back once.
type outcome struct{ loss, norm float64 }

// one makes one optimizer step: the gradients of GradAccumulation batches, then the update. compiled tells that it included compiling for
// a new shape.
func (r *Run) one(report func(Status)) (o outcome, compiled bool, err error) {
	k := r.Config.GradAccumulation
	var sums []*tensors.Tensor
	for i := range k {
		b, err := r.makeBatch(r.done*k + i)
		if err != nil {
			return o, compiled, err
		}
		grads, fresh, err := r.differentiate(b, report)
		if err != nil {
			return o, compiled, err
		}
		compiled = compiled || fresh
		if sums == nil {
			sums = grads
		} else if sums, err = r.graphs.sum.Run(donated(sums), grads); err != nil {
			return o, compiled, err
		}
	}
	o, err = r.move(sums)
	return o, compiled, err
}

// differentiate returns the gradients of a batch and, last, its loss.
func (r *Run) differentiate(b batch, report func(Status)) (grads []*tensors.Tensor, compiled bool, err error) {
	if compiled = !r.graphs.ready(b.latents.Shape().String()); compiled {
		report(Status{Phase: "compiling", Step: r.done, Total: r.total})
	}
	if r.Config.Devices > 1 {
		grads, err = r.differentiateOnAll(b)
	} else {
		grads, err = r.graphs.gradients.Run(r.packed, r.Model.UNet.Inputs(), r.Model.Text.Inputs(), b.inputs(r.Config))
	}
	return grads, compiled, err
}

// move updates the parameters by the gradients and the loss that differentiate gave.
func (r *Run) move(grads []*tensors.Tensor) (o outcome, err error) {
	rest := []any{grads}
	for _, rate := range r.Config.rates() {
		rest = append(rest, float32(rate*r.factor(r.done)))
	}
	rest = append(rest, float32(r.done+1))
	// Compiling first, so that a graph that does not compile has not yet given the parameters away.
	if !r.graphs.prepared.Load() {
		if err := r.graphs.update.Prepare(r.packed, rest, r.state); err != nil {
			return o, err
		}
		r.graphs.prepared.Store(true)
	}
	out, err := r.graphs.update.Run(donated(r.packed), rest, donated(r.state))
	if err != nil {
		return o, err
	}
	n, last := len(r.packed), len(out)-1
	r.packed, r.state = out[:n:n], out[n:last:last]
	values, err := tensors.CopyFlatData[float32](out[last])
	if err != nil {
		return o, fault.New(fault.Other, "read losses", "", "%w", err)
	}
	if o = (outcome{float64(values[0]), float64(values[1])}); !finite(o.loss) || !finite(o.norm) {
		return o, r.unsound(o, grads)
	}
	for _, g := range grads {
		g.MustFinalizeAll()
	}
	r.done++
	r.losses = append(r.losses, o.loss)
	return o, nil
}

// unsound is the fault of a step that was not finite, with the first module whose gradient is at fault.
func (r *Run) unsound(o outcome, grads []*tensors.Tensor) error {
	where := "the loss itself"
search:
	for i, s := range r.graphs.slots {
		values, err := tensors.CopyFlatData[float32](grads[i])
		if err != nil {
			return fault.New(fault.Other, "read gradients", "", "%w", err)
		}
		for at, v := range values {
			if !finite(float64(v)) {
				if where = "module " + strings.SplitN(s.names[at*len(s.names)/len(values)], ".", 2)[0]; s.rate >= firstWord {
					where = "embedding " + r.Adapter.Embeddings[s.rate-firstWord].Name
				}
				break search
			}
		}
	}
	return fault.New(fault.Numeric, "train", fmt.Sprintf("step %d", r.done+1), "loss is %v, first in %s; the adapter is as after step %d",
		o.loss, where, r.done).Fix("save it if it is good, then lower LR or Alpha and start again")
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// textRate and firstWord are the places of the text encoder's rate and the first embedding's.
const textRate, firstWord = 1, 2

// rates are the learning rates of the UNet's part, of the text encoder's and of each embedding, before the schedule.
func (c Config) rates() []float64 {
	text := orDefault(c.TextLR, c.LR)
	list := []float64{orDefault(c.UNetLR, c.LR), text}
	for _, p := range c.Embeddings {
		list = append(list, orDefault(p.LR, text))
	}
	return list
}

// status describes the run after a step.
func (r *Run) status(o outcome) Status {
	window := min(len(r.losses), min(100, max(1, r.perEpoch/r.Config.GradAccumulation)))
	return Status{Phase: "training", Step: r.done, Total: r.total, Epoch: (r.done*r.Config.GradAccumulation-1)/r.perEpoch + 1,
		Loss: o.loss, Smoothed: average(r.losses[len(r.losses)-window:]), GradNorm: o.norm,
		LR: r.Config.rates()[0] * r.factor(r.done-1), Memory: resident()}
}

func average(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// resident reads how much memory the process holds.
func resident() uint64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(data)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(string(fields[1]), 10, 64)
	return pages * uint64(os.Getpagesize())
}

func donated(ts []*tensors.Tensor) []any {
	in := make([]any, len(ts))
	for i, t := range ts {
		in[i] = xla.Donate(t)
	}
	return in
}
