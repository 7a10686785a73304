package world

import (
	"math/rand/v2"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/train"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Base is the training of a base model by its recipe: every weight of UNet and text encoder, on pictures drawn as they are needed. The
// state is four vectors that hold all weights one after the other: the weights, Adam's two moments, and the running average that is
// kept in the end. Step n draws the same pictures and noise whenever it runs, so a run that was stopped goes on as if it had not been, and on
// processors of one kind two runs end in the same bytes.
type Base struct {
	Recipe
	Plan
	Step int       // steps done
	Loss []float64 // of every step so far

	of     string // recipe, plan and parent, in one line: what a state must be of to go on from it
	config sd.Config
	layout layout
	latent *sd.Params
	state  []*tensors.Tensor // weights, first moment, second moment, average
	step   *xla.Program
	encode *xla.Program
}

const baseSeed = 23

// layout says where in the long vector each named tensor lies.
type layout struct {
	names  []string
	shapes [][]int
	size   int
}

func (l *layout) add(prefix string, p *sd.Params) {
	for _, name := range p.Names() {
		shape := p.Shape(name)
		l.names = append(l.names, prefix+name)
		l.shapes = append(l.shapes, shape)
		l.size += p.Get(name).Size()
	}
}

// vector returns the model's weights in the layout's order.
func (l layout) vector(m *sd.Model) ([]float32, error) {
	weights := make([]float32, 0, l.size)
	for i, name := range l.names {
		part := m.UNet
		rest, ok := strings.CutPrefix(name, "unet.")
		if !ok {
			part, rest = m.Text, strings.TrimPrefix(name, "text.")
		}
		if !part.Has(rest) || !slices.Equal(part.Shape(rest), l.shapes[i]) {
			return nil, fault.New(fault.Invalid, "train base model", rest, "the parent has not the miniature's layers").Fix("rebuild the parent: make world")
		}
		weights = append(weights, tensors.MustCopyFlatData[float32](part.Get(rest))...)
	}
	return weights, nil
}

// split cuts the vector into the tensors it holds.
func (l layout) split(vector *Node) []*Node {
	var nodes []*Node
	at := 0
	for _, shape := range l.shapes {
		size := product(shape)
		nodes = append(nodes, Reshape(Slice(vector, AxisRange(at, at+size)), shape...))
		at += size
	}
	return nodes
}

// join is the inverse of split.
func (l layout) join(nodes []*Node) *Node {
	flat := make([]*Node, len(nodes))
	for i, n := range nodes {
		flat[i] = Reshape(n, -1)
	}
	return Concatenate(flat, 0)
}

// weights returns those tensors whose names begin with prefix, by the rest of the name.
func (l layout) weights(nodes []*Node, prefix string) sd.Weights {
	byName := map[string]*Node{}
	for i, name := range l.names {
		byName[name] = nodes[i]
	}
	return sd.Weights{Get: func(name string) *Node { return byName[prefix+name] }}
}

var baseOptimizer = train.AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}

// train is one step: the v-prediction loss of the batch, its gradient clipped to length 1, Adam, and the running average.
func (b *Base) train(in []*Node) []*Node {
	weights, state, mean := in[0], in[1:3], in[3]
	x, noise, t, ids, lr, n := in[4], in[5], in[6], in[7], in[8], in[9]

	parts := b.layout.split(weights)
	context := sd.TextEncoder(b.config.Text, b.layout.weights(parts, "text."), ids, 1)
	prediction := sd.UNet(b.config.UNet, b.layout.weights(parts, "unet."), train.AddNoise(x, noise, t, false), t, context)
	loss := ReduceAllMean(train.Loss(prediction, x, noise, t, nil, train.LossOptions{VPrediction: true, MinSNRGamma: b.MinSNR}))

	gradient, _ := train.ClipNorm([]*Node{b.layout.join(Gradient(loss, parts...))}, 1)
	moved, state := baseOptimizer.Step([]*Node{weights}, gradient, state, []*Node{lr}, n)
	keep := MinScalar(Div(AddScalar(n, 1), AddScalar(n, 10)), b.Average)
	mean = Add(Mul(keep, mean), Mul(OneMinus(keep), moved[0]))
	return []*Node{moved[0], state[0], state[1], mean, loss}
}

// batch is what step n trains on.
type batch struct {
	pixels, noise []float32
	times, ids    []int32
}

// batch draws the batch of step n, from recipe, plan and n alone.
func (b *Base) batch(n int) (batch, error) {
	rng := rand.New(rand.NewPCG(b.seed(), uint64(n)))
	var out batch
	for range b.Batch {
		scene, caption := b.picture(rng)
		out.pixels = append(out.pixels, Pixels(scene.Render(b.Size))...)
		ids, err := sd.Chunk(sd.CLIP().Encode(caption), 75)
		if err != nil {
			return out, err
		}
		out.ids = append(out.ids, ids...)
		out.times = append(out.times, int32(rng.IntN(sd.Timesteps)))
	}
	for range b.Batch * b.Latents * b.side() * b.side() {
		out.noise = append(out.noise, float32(rng.NormFloat64()))
	}
	return out, nil
}

const warmUp = 200 // steps of the warm-up, at most a tenth of all

// course returns the number of step n in its part of the training, counted from 1 as n is, and its learning rate: a warm-up, a plateau, and
// a straight fall to 0 over the part's last quarter.
func (b *Base) course(n int) (at int, rate float64) {
	at, steps := n, b.Steps
	if n > b.Steps {
		at, steps = n-b.Steps, b.Polish
	}
	left := float64(steps-at) / float64(steps)
	return at, b.LR * min(1, float64(at)/min(warmUp, float64(steps)/10), 4*left)
}

// vocabulary lists the tokens of every tag of the corpus, ascending; these have rows of their own in the token table. Names have
// none: their pieces share the rows that any unknown word falls on.
func vocabulary() []int32 {
	rng := rand.New(rand.NewPCG(baseSeed, 0x70c))
	seen := map[int32]bool{}
	for range 4000 {
		for _, tag := range Population(rng).Tags() {
			for _, id := range sd.CLIP().Encode(tag + ",") {
				seen[id] = true
			}
		}
	}
	ids := []int32{sd.BOS, sd.EOS}
	for id := range seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
