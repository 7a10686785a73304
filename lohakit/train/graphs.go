package train

import (
	"fmt"
	"sync"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// batch is what a step is fed, on the host.
type batch struct {
	latents, added, target *tensors.Tensor // [B, C, h, w] float32: images, the noise added to them, the noise to predict
	timesteps              *tensors.Tensor // [B] int32
	ids                    *tensors.Tensor // [B, 77·chunks] int32
	weights                *tensors.Tensor // [B] float32: PriorLoss or 1, divided by the number of samples; 0 fills up a short batch
	mask                   *tensors.Tensor // [B, 1, h, w] float32, 1 where there is none
	chance                 []uint64        // random state of the adapter's dropout
}

// inputs are the batch's tensors in the order that graph code takes them back.
func (b batch) inputs() []any {
	return []any{b.latents, b.added, b.target, b.timesteps, b.ids, b.weights, b.mask, b.chance}
}

// graphs are the compiled programs of a run. They hold no weights: runs that differ in nothing but data, rates and seeds share them.
type graphs struct {
	model     sd.Config
	unet      *sd.Params // names of the frozen weights, without tensors
	text      *sd.Params
	adapter   *adapter.Adapter
	groups    []adapter.Group
	slots     []slot
	cfg       Config
	optimizer Optimizer

	start, gradients, sum, update, loss *xla.Program

	mu       sync.Mutex
	compiled map[string]bool // batches' shapes whose step is compiled
}

func newGraphs(m *sd.Model, a *adapter.Adapter, cfg Config) *graphs {
	g := &graphs{model: m.Config, unet: namesOf(m.UNet), text: namesOf(m.Text), adapter: a, groups: a.Groups(m.Config), cfg: cfg,
		optimizer: cfg.optimizer(), compiled: map[string]bool{}}
	g.slots = slotsOf(g.groups, a)
	g.start = xla.Compile("optimizer state", g.optimizer.Start)
	g.gradients = xla.CompileOn(cfg.Devices, "training step", g.gradientGraph)
	g.sum = xla.Compile("sum of gradients", sumGraph)
	g.update = xla.Compile("optimizer", g.updateGraph)
	g.loss = xla.Compile("validation loss", g.lossGraph)
	return g
}

// namesOf copies the names, for Bind.
func namesOf(p *sd.Params) *sd.Params {
	names := sd.NewParams()
	for _, name := range p.Names() {
		names.Set(name, nil)
	}
	return names
}

// kept are the graphs of the last runs, newest last.
var kept struct {
	sync.Mutex
	keys []string
	all  map[string]*graphs
}

// most is how many graphs are kept; each holds a few hundred megabytes of compiled code at full size.
const most = 4

// sharedGraphs returns graphs for a fresh adapter of cfg.Spec on m: those of an earlier run, if everything they depend on is the same.
func sharedGraphs(m *sd.Model, a *adapter.Adapter, cfg Config) *graphs {
	key := fmt.Sprintf("%+v|%+v|%v %v|%T%+v|%+v|%d %v %v %v", m.Config, cfg.Spec, cfg.UNetOnly, cfg.TextOnly, cfg.optimizer(), cfg.optimizer(),
		cfg.loss(), cfg.ClipSkip, [2]float64{cfg.MaxGradNorm, cfg.MaxNorm}, cfg.Devices, cfg.MixedBF16)
	kept.Lock()
	defer kept.Unlock()
	if g := kept.all[key]; g != nil {
		return g
	}
	if kept.all == nil {
		kept.all = map[string]*graphs{}
	}
	if len(kept.keys) == most {
		delete(kept.all, kept.keys[0])
		kept.keys = kept.keys[1:]
	}
	g := newGraphs(m, a, cfg)
	kept.all[key], kept.keys = g, append(kept.keys, key)
	return g
}

// ready reports whether the step is compiled for a batch's shape, and notes that it now is.
func (g *graphs) ready(shape string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.compiled[shape]
	g.compiled[shape] = true
	return was
}

// forward is the loss of a batch: each sample's loss [B] before its weight, and their weighted sum. Inputs: frozen UNet, frozen text
// encoder, batch.
func (g *graphs) forward(own *adapter.Grouped, in []*Node) (each, total *Node) {
	frozen, in := cut(in, g.unet.Len())
	unet := g.unet.Bind(frozen)
	frozen, in = cut(in, g.text.Len())
	text := g.text.Bind(frozen)
	latents, added, target, t, ids, weights, mask, chance := in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7]

	noisy := AddNoise(latents, added, t, g.cfg.ZeroTerminalSNR)
	if g.cfg.MixedBF16 {
		unet, text, noisy = halved(unet), halved(text), ConvertDType(noisy, dtypes.BFloat16)
	}
	context := sd.Context(g.model.Text, own.Apply(text, chance), ids, g.cfg.ClipSkip)
	prediction := sd.UNet(g.model.UNet, own.Apply(unet, chance), noisy, t, context)
	options := g.cfg.loss()
	options.VPrediction = options.VPrediction || g.model.Prediction == sd.V
	each = Loss(prediction, latents, target, t, mask, options)
	return each, ReduceAllSum(Mul(each, weights))
}

// halved gives weights in bfloat16.
func halved(w sd.Weights) sd.Weights {
	return func(name string) *Node { return ConvertDType(w(name), dtypes.BFloat16) }
}

// gradientGraph differentiates the loss of a batch by the parameters. Inputs: parameters, frozen weights, batch. Outputs: the gradients and,
// last, the loss [1]. With several devices each has a part of the batch, and all get the whole's.
func (g *graphs) gradientGraph(in []*Node) []*Node {
	params, in := cut(in, len(g.slots))
	own := g.adapter.Grouped(g.groups, params)
	_, total := g.forward(own, in)
	out := append(own.Gradients(total), Reshape(total, 1))
	if g.cfg.Devices > 1 {
		out = xla.SumOverDevices(out)
	}
	return out
}

// sumGraph adds the second half of its inputs to the first.
func sumGraph(in []*Node) []*Node {
	a, b := cut(in, len(in)/2)
	for i := range a {
		a[i] = Add(a[i], b[i])
	}
	return a
}

// updateGraph moves the parameters. Inputs: parameters, gradients, loss, rates of the two networks, number of the step, optimizer state.
// Outputs: the new parameters, the new state, and the loss with the norm of the gradient.
//
// It is a program of its own: XLA would fuse the joining of gradients into every rule that reads them, which takes longer to compile and to run.
func (g *graphs) updateGraph(in []*Node) []*Node {
	params, in := cut(in, len(g.slots))
	grads, in := cut(in, len(g.slots))
	total, rates, step, state := in[0], in[1:3], in[3], in[4:]
	grads, norm := ClipNorm(grads, g.cfg.MaxGradNorm)
	perSlot := make([]*Node, len(params))
	for i, s := range g.slots {
		perSlot[i] = rates[s.rate]
	}
	newParams, newState := g.optimizer.Step(params, grads, state, perSlot, step)
	if g.cfg.MaxNorm > 0 {
		newParams = g.adapter.Grouped(g.groups, newParams).MaxNorm(g.cfg.MaxNorm)
	}

	// A step that went wrong changes nothing: the state stays the last good one.
	sound := LogicalAnd(IsFinite(Squeeze(total)), IsFinite(norm))
	out := append(newParams, newState...)
	for i, old := range append(params, state...) {
		out[i] = Where(sound, out[i], old)
	}
	return append(out, Concatenate([]*Node{total, Reshape(norm, 1)}, 0))
}

// lossGraph is the forward pass alone, for validation. Inputs: parameters, frozen weights, batch. Output: each sample's loss [B].
func (g *graphs) lossGraph(in []*Node) []*Node {
	params, in := cut(in, len(g.slots))
	each, _ := g.forward(g.adapter.Grouped(g.groups, params), in)
	return []*Node{each}
}

// cut takes the first n nodes off.
func cut(nodes []*Node, n int) (first, rest []*Node) { return nodes[:n:n], nodes[n:] }
