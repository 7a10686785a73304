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

// prepare encodes the images and makes the optimizer's state, once.
func (r *Run) prepare(ctx context.Context, report func(Status)) error {
	if r.latents == nil {
		latents, err := r.encoder.Encode(ctx, r.Data, func(done, total int) {
			report(Status{Phase: "encoding images", Step: done, Total: total})
		})
		if err != nil {
			return err
		}
		r.latents = latents
	}
	if r.state == nil {
		state, err := r.graphs.start.Run(r.params.Inputs())
		if err != nil {
			return err
		}
		r.state = state
	}
	return nil
}

// outcome is what a step tells the host, read back once.
type outcome struct{ loss, norm float64 }

// one makes one optimizer step: GradAccumulation batches, the last of which moves the parameters. compiled tells that it included
// compiling for a new shape.
func (r *Run) one(report func(Status)) (o outcome, compiled bool, err error) {
	k := r.Config.GradAccumulation
	var sums []*tensors.Tensor
	total := 0.0
	for i := range k {
		b, err := r.makeBatch(r.done*k + i)
		if err != nil {
			return o, false, err
		}
		if i < k-1 {
			if sums == nil {
				sums = zerosLike(r.tensors())
			}
			out, err := r.graphs.gather.Run(r.params.Inputs(), donated(sums), r.Model.UNet.Inputs(), r.Model.Text.Inputs(), b.inputs())
			if err != nil {
				return o, false, err
			}
			total += float64(tensors.ToScalar[float32](out[len(out)-1]))
			sums = out[:len(out)-1]
			continue
		}
		values, fresh, err := r.move(b, sums, report)
		if err != nil {
			return o, fresh, err
		}
		compiled = fresh
		o = outcome{loss: total + float64(values[0]), norm: float64(values[1])}
		if !finite(o.loss) || !finite(o.norm) {
			return o, compiled, r.unsound(o, b)
		}
	}
	r.done++
	r.losses = append(r.losses, o.loss)
	return o, compiled, nil
}

// move makes the last batch's part of a step, in which the parameters move, and returns its loss and the gradient's norm.
func (r *Run) move(b batch, sums []*tensors.Tensor, report func(Status)) (values []float32, compiled bool, err error) {
	factor := r.factor(r.done)
	unet, text := r.Config.rates()
	rest := []any{donated(sums), r.Model.UNet.Inputs(), r.Model.Text.Inputs(), b.inputs(),
		float32(unet * factor), float32(text * factor), float32(r.done + 1)}
	// Compiling first, so that a graph that does not compile has not yet given the parameters away.
	if !r.graphs.ready(b.latents.Shape().String()) {
		report(Status{Phase: "compiling", Step: r.done, Total: r.total})
		compiled = true
		if err := r.graphs.step.Prepare(append([]any{r.params.Inputs()}, append(rest, r.state)...)...); err != nil {
			return nil, compiled, err
		}
	}
	out, err := r.graphs.step.Run(append([]any{donated(r.tensors())}, append(rest, donated(r.state))...)...)
	if err != nil {
		return nil, compiled, err
	}
	if err := r.params.SetAll(out[:len(r.names)]); err != nil {
		return nil, compiled, err
	}
	r.state = out[len(r.names) : len(out)-1]
	values, err = tensors.CopyFlatData[float32](out[len(out)-1])
	if err != nil {
		return nil, compiled, fault.New(fault.Other, "read losses", "", "%w", err)
	}
	return values, compiled, nil
}

// tensors are the trained parameters in order.
func (r *Run) tensors() []*tensors.Tensor {
	list := make([]*tensors.Tensor, len(r.names))
	for i, name := range r.names {
		list[i] = r.params.Get(name)
	}
	return list
}

// unsound is the fault of a step that was not finite, with the first module whose gradient of the batch is at fault.
func (r *Run) unsound(o outcome, b batch) error {
	where := "the loss itself"
	out, err := r.graphs.blame.Run(r.params.Inputs(), r.Model.UNet.Inputs(), r.Model.Text.Inputs(), b.inputs())
	if err != nil {
		return err
	}
	squares, err := tensors.CopyFlatData[float32](out[0])
	if err != nil {
		return fault.New(fault.Other, "read gradients", "", "%w", err)
	}
	for i, s := range squares {
		if !finite(float64(s)) {
			where = "module " + strings.SplitN(r.names[i], ".", 2)[0]
			break
		}
	}
	return fault.New(fault.Numeric, "train", fmt.Sprintf("step %d", r.done+1), "loss is %v, first in %s; the adapter is as after step %d",
		o.loss, where, r.done).Fix("save it if it is good, then lower LR or Alpha and start again")
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// rates are the learning rates of the UNet's and of the text encoder's part, before the schedule.
func (c Config) rates() (unet, text float64) {
	return orDefault(c.UNetLR, c.LR), orDefault(c.TextLR, c.LR)
}

// rateOf is the index of a parameter's rate among the program's two.
func rateOf(name string) int {
	if strings.HasPrefix(name, "lora_te_") {
		return 1
	}
	return 0
}

// status describes the run after a step.
func (r *Run) status(o outcome) Status {
	unet, _ := r.Config.rates()
	window := min(len(r.losses), min(100, max(1, r.perEpoch/r.Config.GradAccumulation)))
	return Status{Phase: "training", Step: r.done, Total: r.total, Epoch: (r.done*r.Config.GradAccumulation-1)/r.perEpoch + 1,
		Loss: o.loss, Smoothed: average(r.losses[len(r.losses)-window:]), GradNorm: o.norm,
		LR: unet * r.factor(r.done-1), Memory: resident()}
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

func zerosLike(ts []*tensors.Tensor) []*tensors.Tensor {
	zeros := make([]*tensors.Tensor, len(ts))
	for i, t := range ts {
		zeros[i] = tensors.FromShape(t.Shape())
	}
	return zeros
}
