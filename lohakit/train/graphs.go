package train

import (
	"fmt"
	"sync"
	"sync/atomic"

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
	emphasis               *tensors.Tensor // [B, 75·chunks+2] float32: factors on the text encoder's states
	chance                 []uint64        // random state of the adapter's dropout
	device                 int32           // of several, which has this part of the batch
}

// inputs are the batch's tensors in the order that graph code takes them back; emphasis, the last, only for those that read it.
func (b batch) inputs(c Config) []any {
	list := []any{b.latents, b.added, b.target, b.timesteps, b.ids, b.weights, b.mask, b.chance, b.device}
	if c.WeightedCaptions {
		list = append(list, b.emphasis)
	}
	return list
}

// graphs are the compiled programs of a run. They hold no weights: runs that differ in nothing but data, rates and seeds share them.
type graphs struct {
	*network
	optimizer     Optimizer
	start, update *xla.Program
	prepared      atomic.Bool // update is compiled
}

// network is the programs that do not depend on how parameters are moved. They take the longest to compile, so runs with other optimizers
// share them too.
type network struct {
	model     sd.Config
	unet      []string // names of the frozen weights, in the order of the inputs
	text      []string
	layout    adapter.Layout
	groups    []adapter.Group
	slots     []slot // the last ones are the embeddings'
	words     int    // how many embeddings
	cfg       Config
	gradients *xla.Program
	sum       *xla.Program
	loss      *xla.Program

	mu       sync.Mutex
	compiled map[string]bool // batches' shapes whose step is compiled
}

func newNetwork(m *sd.Model, a *adapter.Adapter, cfg Config) *network {
	n := &network{model: m.Config, words: len(a.Embeddings), unet: m.UNet.Names(), text: m.Text.Names(), layout: a.Layout(), cfg: cfg,
		compiled: map[string]bool{}}
	n.model.Text.Extra = sd.NewLexicon(a.Embeddings...).Rows()
	all := adapter.Layers(m.Config)
	rates, _ := cfg.blockRates(adapter.Blocks(all)) // Check has read them
	layers := map[string]adapter.Layer{}
	for _, l := range all {
		layers[l.Name] = l
	}
	n.groups = a.Groups(m.Config, func(l adapter.Layer) any { return cfg.rateFactor(rates, l, "") })
	n.slots = slotsOf(n.groups, a, func(layer, suffix string) float64 {
		l, ok := layers[layer]
		if !ok { // only a file adapts it: it is in no block
			l = adapter.Layer{Name: layer, Block: -1}
		}
		return cfg.rateFactor(rates, l, suffix)
	})
	n.gradients = xla.CompileOn(cfg.Devices, "training step", n.gradientGraph)
	n.sum = xla.Compile("sum of gradients", sumGraph)
	n.loss = xla.Compile("validation loss", n.lossGraph)
	return n
}

func newGraphs(n *network, cfg Config) *graphs {
	g := &graphs{network: n, optimizer: cfg.optimizer()}
	g.start = xla.Compile("optimizer state", g.optimizer.Start)
	g.update = xla.Compile("optimizer", func(in []*Node) []*Node { return updateGraph(n, g.optimizer, cfg, in) })
	return g
}

// shelf keeps what was made last, by key.
type shelf[T any] struct {
	mu   sync.Mutex
	keys []string // newest last
	all  map[string]T
}

// shelved is how many things a shelf keeps; a network holds a few hundred megabytes of compiled code at full size.
const shelved = 4

// get returns what was made for a key, or makes it.
func (s *shelf[T]) get(key string, make func() T) T {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.all[key]; ok {
		return v
	}
	if s.all == nil {
		s.all = map[string]T{}
	}
	if len(s.keys) == shelved {
		delete(s.all, s.keys[0])
		s.keys = s.keys[1:]
	}
	s.all[key], s.keys = make(), append(s.keys, key)
	return s.all[key]
}

var (
	networks  shelf[*network]
	allGraphs shelf[*graphs]
)

// sharedGraphs returns graphs for a fresh adapter of cfg.Spec on m: those of an earlier run, if everything they depend on is the same. That is
// also the order of the model's tensors, which is its file's: they are inputs one after another.
func sharedGraphs(m *sd.Model, a *adapter.Adapter, cfg Config) *graphs {
	key := fmt.Sprintf("%+v %q %q|%+v|%v %v|%+v|%d %d %v %v|%+v|%v", m.Config, m.UNet.Names(), m.Text.Names(), cfg.Spec, cfg.UNetOnly,
		cfg.TextOnly, cfg.loss(), cfg.ClipSkip, cfg.Devices, cfg.MixedBF16, cfg.GradCheckpointing, cfg.Embeddings, cfg.WeightedCaptions)
	key += fmt.Sprintf("|%q %q %q %v|%v %v %v", cfg.DownLRWeight, cfg.MidLRWeight, cfg.UpLRWeight, cfg.BlockLRZeroThreshold, cfg.LoRAPlus, cfg.LoRAPlusUNet,
		cfg.LoRAPlusText)
	n := networks.get(key, func() *network { return newNetwork(m, a, cfg) })
	key += fmt.Sprintf("|%T%+v|%v %v %v", cfg.optimizer(), cfg.optimizer(), cfg.MaxGradNorm, cfg.MaxNorm, cfg.TextStop)
	return allGraphs.get(key, func() *graphs { return newGraphs(n, cfg) })
}

// ready reports whether the step is compiled for a batch's shape, and notes that it now is.
func (n *network) ready(shape string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.compiled[shape]
	n.compiled[shape] = true
	return was
}

// forward is the loss of a batch: each sample's loss [B] before its weight, and their weighted sum. words are the slots of the embeddings.
// Inputs: frozen UNet, frozen text encoder, batch. Only training drops parts of the adapter.
func (n *network) forward(own *adapter.Grouped, words, in []*Node, training bool) (each, total *Node) {
	frozen, in := cut(in, len(n.unet))
	unet := sd.Bind(n.unet, frozen)
	frozen, in = cut(in, len(n.text))
	text := taught(sd.Bind(n.text, frozen), words)
	latents, added, target, t, ids, weights, mask := in[0], in[1], in[2], in[3], in[4], in[5], in[6]
	var chance adapter.Chance
	if training {
		chance = adapter.NewChance(in[7], in[8], n.cfg.Devices)
	}

	noisy := AddNoise(latents, added, t, n.cfg.ZeroTerminalSNR)
	if n.cfg.MixedBF16 {
		unet, text, noisy = halved(unet), halved(text), ConvertDType(noisy, dtypes.BFloat16)
	}
	context := n.context(own.Apply(text, chance), ids, in[len(in)-1])
	network := sd.UNet
	if n.cfg.GradCheckpointing {
		network = sd.UNetRecomputing
	}
	prediction := network(n.model.UNet, own.Apply(unet, chance), noisy, t, context)
	options := n.cfg.loss()
	options.VPrediction = options.VPrediction || n.model.Prediction == sd.V
	each = Loss(prediction, latents, target, t, mask, options)
	return each, ReduceAllSum(Mul(each, weights))
}

// taught gives a text encoder's weights with the vectors of embeddings, each [1, vectors, width].
func taught(text sd.Weights, words []*Node) sd.Weights {
	if len(words) == 0 {
		return text
	}
	var rows []*Node
	for _, w := range words {
		rows = append(rows, Squeeze(w, 0))
	}
	all := Concatenate(rows, 0)
	return sd.Weights{Get: func(name string) *Node {
		if name == sd.ExtraRows {
			return all
		}
		return text.Get(name)
	}}
}

// halved gives weights in bfloat16.
func halved(w sd.Weights) sd.Weights {
	return sd.Weights{Get: func(name string) *Node { return ConvertDType(w.Get(name), dtypes.BFloat16) }}
}

// gradientGraph differentiates the loss of a batch by the parameters. Inputs: parameters, frozen weights, batch. Outputs: the gradients and,
// last, the loss [1]. With several devices each has a part of the batch, and all get the whole's.
func (n *network) gradientGraph(in []*Node) []*Node {
	params, in := cut(in, len(n.slots))
	layers, words := n.divide(params)
	own := n.layout.Grouped(n.groups, layers)
	_, total := n.forward(own, words, in, true)
	out := append(own.Gradients(total, words...), Reshape(total, 1))
	if n.cfg.Devices > 1 {
		out = xla.SumOverDevices(out)
	}
	return out
}

// divide parts what belongs to slots into that of the adapter and that of the embeddings.
func (n *network) divide(params []*Node) (layers, words []*Node) {
	return cut(params, len(params)-n.words)
}

// sumGraph adds the second half of its inputs to the first.
func sumGraph(in []*Node) []*Node {
	a, b := cut(in, len(in)/2)
	for i := range a {
		a[i] = Add(a[i], b[i])
	}
	return a
}

// updateGraph moves the parameters. Inputs: parameters, gradients, loss, rates as Config.rates has them, number of the step, optimizer state.
// Outputs: the new parameters, the new state, and the loss with the norm of the gradient.
//
// It is a program of its own: XLA would fuse the joining of gradients into every rule that reads them, which takes longer to compile and to run.
func updateGraph(n *network, optimizer Optimizer, cfg Config, in []*Node) []*Node {
	params, in := cut(in, len(n.slots))
	grads, in := cut(in, len(n.slots))
	total := in[0]
	rates, in := cut(in[1:], firstWord+n.words)
	step, state := in[0], in[1:]
	for i := range grads {
		if going := n.going(i, cfg, step); going != nil { // one that has stopped takes no part in the norm
			grads[i] = Where(going, grads[i], ZerosLike(grads[i]))
		}
	}
	grads, norm := ClipNorm(grads, cfg.MaxGradNorm)
	perSlot := make([]*Node, len(params))
	for i, s := range n.slots {
		perSlot[i] = rates[s.rate]
		if s.share != 1 {
			perSlot[i] = MulScalar(perSlot[i], s.share)
		}
	}
	newParams, newState := optimizer.Step(params, grads, state, perSlot, step)
	if cfg.MaxNorm > 0 {
		layers, words := n.divide(newParams)
		newParams = append(n.layout.Grouped(n.groups, layers).MaxNorm(cfg.MaxNorm), words...)
	}
	for i, old := range params {
		if going := n.going(i, cfg, step); going != nil {
			newParams[i] = Where(going, newParams[i], old)
		}
	}

	// A step that went wrong changes nothing: the state stays the last good one.
	sound := LogicalAnd(IsFinite(Squeeze(total)), IsFinite(norm))
	out := append(newParams, newState...)
	for i, old := range append(params, state...) {
		out[i] = Where(sound, out[i], old)
	}
	return append(out, Concatenate([]*Node{total, Reshape(norm, 1)}, 0))
}

// going tells whether a slot is trained at a step; nil for those that always are.
func (n *network) going(i int, cfg Config, step *Node) *Node {
	stop := 0
	switch rate := n.slots[i].rate; {
	case rate == textRate:
		stop = cfg.TextStop
	case rate >= firstWord:
		stop = cfg.Embeddings[rate-firstWord].Stop
	}
	if stop == 0 {
		return nil
	}
	return LessOrEqual(step, scalar(step, float64(stop)))
}

// lossGraph is the forward pass alone, for validation. Inputs: parameters, frozen weights, batch. Output: each sample's loss [B].
func (n *network) lossGraph(in []*Node) []*Node {
	params, in := cut(in, len(n.slots))
	layers, words := n.divide(params)
	each, _ := n.forward(n.layout.Grouped(n.groups, layers), words, in, false)
	return []*Node{each}
}

// cut takes the first n nodes off.
func cut(nodes []*Node, n int) (first, rest []*Node) { return nodes[:n:n], nodes[n:] }
