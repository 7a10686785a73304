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

// fed is how many inputs a batch is.
const fed = 8

// graphs are the compiled programs of a run. They hold no weights: runs that differ in nothing but data, rates and seeds share them.
type graphs struct {
	model     sd.Config
	unet      *sd.Params // names of the frozen weights, without tensors
	text      *sd.Params
	own       *sd.Params // names of the trained parameters
	adapter   *adapter.Adapter
	cfg       Config
	optimizer Optimizer

	start, step, gather, loss, blame *xla.Program

	mu       sync.Mutex
	compiled map[string]bool // batches' shapes whose step is compiled
}

func newGraphs(m *sd.Model, a *adapter.Adapter, cfg Config) *graphs {
	g := &graphs{model: m.Config, unet: namesOf(m.UNet), text: namesOf(m.Text), own: namesOf(a.Params), adapter: a, cfg: cfg,
		optimizer: cfg.optimizer(), compiled: map[string]bool{}}
	g.start = xla.Compile("optimizer state", g.optimizer.Start)
	g.step = xla.Compile("training step", g.stepGraph)
	g.gather = xla.Compile("gradient accumulation", g.gatherGraph)
	g.loss = xla.Compile("validation loss", g.lossGraph)
	g.blame = xla.Compile("search for what is not a number", g.blameGraph)
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
		cfg.loss(), cfg.ClipSkip, cfg.MaxGradNorm, cfg.GradAccumulation, cfg.MixedBF16)
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

// forward is the loss of a batch: each sample's loss [B] before its weight, and their weighted sum.
func (g *graphs) forward(own, unet, text sd.Weights, in []*Node) (each, total *Node) {
	latents, added, target, t, ids, weights, mask, chance := in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7]
	noisy := AddNoise(latents, added, t, g.cfg.ZeroTerminalSNR)
	if g.cfg.MixedBF16 {
		unet, text, noisy = halved(unet), halved(text), ConvertDType(noisy, dtypes.BFloat16)
	}
	context := sd.Context(g.model.Text, g.adapter.ApplyTraining(text, own, nil, chance), ids, g.cfg.ClipSkip)
	prediction := sd.UNet(g.model.UNet, g.adapter.ApplyTraining(unet, own, nil, chance), noisy, t, context)
	options := g.cfg.loss()
	options.VPrediction = options.VPrediction || g.model.Prediction == sd.V
	each = Loss(prediction, latents, target, t, mask, options)
	return each, ReduceAllSum(Mul(each, weights))
}

// halved gives weights in bfloat16.
func halved(w sd.Weights) sd.Weights {
	return func(name string) *Node { return ConvertDType(w(name), dtypes.BFloat16) }
}

// stepGraph is the whole training step. Inputs: parameters, [accumulated gradients], frozen UNet, frozen text encoder, batch, rates of the
// two networks, number of the step, optimizer state. Outputs: the new parameters, the new state, and the total loss with the norm
// of the gradient.
func (g *graphs) stepGraph(in []*Node) []*Node {
	params, in := cut(in, g.own.Len())
	var sums []*Node
	if g.cfg.GradAccumulation > 1 {
		sums, in = cut(in, g.own.Len())
	}
	frozen, in := cut(in, g.unet.Len()+g.text.Len()+fed)
	rates, step, state := in[:2], in[2], in[3:]
	grads, total := g.gradients(params, frozen)
	for i := range sums {
		grads[i] = Add(sums[i], grads[i])
	}
	grads, norm := ClipNorm(grads, g.cfg.MaxGradNorm)
	perParam := make([]*Node, len(params))
	for i, name := range g.own.Names() {
		perParam[i] = rates[rateOf(name)]
	}
	newParams, newState := g.optimizer.Step(params, grads, state, perParam, step)

	// A step that went wrong changes nothing: the state stays the last good one.
	sound := LogicalAnd(IsFinite(total), IsFinite(norm))
	out := append(newParams, newState...)
	for i, old := range append(params, state...) {
		out[i] = Where(sound, out[i], old)
	}
	return append(out, Concatenate([]*Node{Reshape(total, 1), Reshape(norm, 1)}, 0))
}

// gatherGraph adds a batch's gradients to the sums. Inputs: parameters, sums, frozen weights, batch. Outputs: new sums, total loss.
func (g *graphs) gatherGraph(in []*Node) []*Node {
	params, in := cut(in, g.own.Len())
	sums, in := cut(in, g.own.Len())
	grads, total := g.gradients(params, in)
	for i := range grads {
		grads[i] = Add(sums[i], grads[i])
	}
	return append(grads, total)
}

// blameGraph tells where a gradient is not finite. Inputs: parameters, frozen weights, batch. Output: each parameter's squared gradient.
// It is compiled when it is needed, so that every good run is spared a thousand sums.
func (g *graphs) blameGraph(in []*Node) []*Node {
	params, in := cut(in, g.own.Len())
	grads, _ := g.gradients(params, in)
	for i, grad := range grads {
		grads[i] = Reshape(ReduceAllSum(Square(grad)), 1)
	}
	return []*Node{Concatenate(grads, 0)}
}

// lossGraph is the forward pass alone, for validation. Inputs: parameters, frozen weights, batch. Output: each sample's loss [B].
func (g *graphs) lossGraph(in []*Node) []*Node {
	params, in := cut(in, g.own.Len())
	each, _ := g.bound(params, in)
	return []*Node{each}
}

// gradients differentiates the loss by the parameters; with accumulation both are divided by the number of batches.
func (g *graphs) gradients(params, in []*Node) (grads []*Node, total *Node) {
	_, total = g.bound(params, in)
	total = DivScalar(total, g.cfg.GradAccumulation)
	return Gradient(total, params...), total
}

// bound is forward with the inputs: frozen UNet, frozen text encoder, batch.
func (g *graphs) bound(params, in []*Node) (each, total *Node) {
	unet, in := cut(in, g.unet.Len())
	text, in := cut(in, g.text.Len())
	return g.forward(g.own.Bind(params), g.unet.Bind(unet), g.text.Bind(text), in)
}

// cut takes the first n nodes off.
func cut(nodes []*Node, n int) (first, rest []*Node) { return nodes[:n:n], nodes[n:] }
