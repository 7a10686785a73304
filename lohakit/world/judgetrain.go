package world

import (
	"math"
	"math/rand/v2"
	"slices"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/train"
	"github.com/lohakit/notebook/lohakit/xla"
)

const (
	judgeSeed = 41
	judgeLR   = 1.5e-3 // the rate after 100 steps of warm-up, from which it falls to 0 by a cosine
	judgeMean = 0.995  // share of the running average of the weights, which is the judge in the end, that one step keeps
)

// JudgeSteps is how many steps of 64 images the shipped judge was trained for.
const JudgeSteps = 6000

// TrainJudge trains a judge on fresh renders, three in five of them degraded, calibrates it, and returns it. On one machine it always comes
// out the same. report, which may be nil, hears the loss of every step.
func TrainJudge(steps int, report func(step int, loss float64)) (*Examiner, error) {
	params := newJudge(judgeSeed)
	n := params.Len()
	rule := train.AdamW{Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.02}
	start := xla.Compile("judge start", func(in []*Node) []*Node { return rule.Start(in) })
	state, err := start.Run(params.Inputs())
	if err != nil {
		return nil, err
	}
	program := xla.Compile("judge step", func(in []*Node) []*Node {
		weights, means, moments, in := in[:n], in[n:2*n], in[2*n:2*n+len(state)], in[2*n+len(state):]
		x, targets, lr, step, keep := in[0], in[1], in[2], in[3], in[4]
		_, logits := judgeNet(params.Bind(weights), x)
		var loss *Node
		for _, h := range heads {
			term := ReduceAllSum(Mul(Slice(targets, AxisRange(), AxisRange(h.from, h.to)), LogSoftmax(Slice(logits, AxisRange(), AxisRange(h.from, h.to)))))
			if loss == nil {
				loss = term
			} else {
				loss = Add(loss, term)
			}
		}
		loss = DivScalar(Neg(loss), float64(judgeBatch))
		grads, _ := train.ClipNorm(Gradient(loss, weights...), 5)
		newWeights, newState := rule.Step(weights, grads, moments, []*Node{lr}, step)
		newMeans := make([]*Node, n)
		for i, w := range newWeights {
			newMeans[i] = Add(Mul(keep, means[i]), Mul(OneMinus(keep), w))
		}
		return slices.Concat(newWeights, newMeans, newState, []*Node{loss})
	})
	defer program.Close()

	lessons := make(chan lesson, 4)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for step := range steps {
			select {
			case lessons <- newLesson(uint64(step)):
			case <-stop:
				return
			}
		}
	}()
	var all []*tensors.Tensor // weights, their averages, the optimizer's state
	for range 2 {
		for _, name := range params.Names() {
			all = append(all, params.Get(name))
		}
	}
	all = append(all, state...)
	for step := range steps {
		l := <-lessons
		lr := judgeLR * math.Min(1, float64(step+1)/100) * (1 + math.Cos(math.Pi*float64(step)/float64(steps))) / 2
		keep := math.Min(judgeMean, float64(step)/float64(step+10))
		out, err := program.Run(all, l.x, l.targets, float32(lr), float32(step+1), float32(keep))
		if err != nil {
			return nil, err
		}
		all = out[:len(out)-1]
		if report != nil {
			report(step, float64(tensors.ToScalar[float32](out[len(out)-1])))
		}
	}
	if err := params.SetAll(all[n : 2*n]); err != nil {
		return nil, err
	}
	return calibrate(params)
}

// lesson is one batch: images, and for every output the weight of its log-likelihood.
type lesson struct{ x, targets *tensors.Tensor }

func newLesson(step uint64) lesson {
	rng := rand.New(rand.NewPCG(judgeSeed, step))
	var x, targets []float32
	for range judgeBatch {
		scene := examScene(rng)
		image := Pixels(scene.Render(judgeSize))
		harm := degrade(rng, image)
		x = append(x, image...)
		targets = append(targets, scene.targets(harm)...)
	}
	return lesson{tensors.FromFlatDataAndDimensions(x, judgeBatch, 3, judgeSize, judgeSize),
		tensors.FromFlatDataAndDimensions(targets, judgeBatch, outputs)}
}

// examScene draws what the judge learns on and is examined with: any style, passers-by and the five characters about evenly, outfits
// changed more often than in the data sets.
func examScene(rng *rand.Rand) Scene {
	style := pick(rng, words[AskStyle])
	var names []string
	switch u := rng.Float64(); {
	case u < 0.04:
	case u < 0.45:
		names = []string{""}
	case u < 0.82:
		names = []string{pick(rng, Names)}
	case u < 0.88:
		names = []string{"", pick(rng, Names)}
	default:
		names = []string{pick(rng, Names), pick(rng, slices.Concat(Names, []string{""}))}
	}
	s := NewScene(rng, style, names...)
	if len(names) == 0 {
		s.Objects = nil
	}
	for i := range s.Figures {
		if s.Figures[i].Name != "" && rng.Float64() < 0.3 {
			s.Figures[i].Outfit = anyOutfit(rng)
		}
	}
	return s
}

// targets is one at every right answer; nothing where there is none; and where the image was destroyed, no answer rather than another.
func (s Scene) targets(harm harm) []float32 {
	out := make([]float32, outputs)
	for _, h := range heads {
		right := s.Truth(h.question, h.figure)
		switch {
		case h.question == AskDrawn && harm > worn:
			right = "ruined"
		case h.question != AskDrawn && harm == ruined:
			continue
		case h.question != AskDrawn && harm == destroyed:
			for i := h.from; i < h.to; i++ {
				out[i] = 0.3 / float32(h.to-h.from)
			}
			continue
		}
		if i := slices.Index(words[h.question], right); i >= 0 {
			out[h.from+i] = 1
		}
	}
	return out
}

// calibrate rounds the weights to what a file keeps and finds for each head the temperature that makes its confidence honest: the one
// with the greatest likelihood on images it has not seen.
func calibrate(params *sd.Params) (*Examiner, error) {
	e, err := newExaminer(halved(params), nil)
	if err != nil {
		return nil, err
	}
	var logits, targets [][]float32
	for step := range uint64(20) {
		l := newLesson(1<<40 + step)
		out, err := e.program.Run(e.params.Inputs(), l.x)
		if err != nil {
			return nil, err
		}
		logits = append(logits, rows(out[1])...)
		targets = append(targets, rows(l.targets)...)
	}
	for i, h := range heads {
		loss := func(logT float64) float64 {
			sum := 0.0
			for k := range logits {
				for j, p := range softmax(logits[k][h.from:h.to], math.Exp(logT)) {
					if targets[k][h.from+j] == 1 {
						sum -= math.Log(math.Max(p, 1e-12))
					}
				}
			}
			return sum
		}
		lo, hi := -1.5, 1.5
		for range 30 { // the loss has one minimum: thirds are cut off towards it
			a, b := lo+(hi-lo)/3, hi-(hi-lo)/3
			if loss(a) < loss(b) {
				hi = b
			} else {
				lo = a
			}
		}
		e.temperature[i] = float32(math.Exp((lo + hi) / 2))
	}
	return e, nil
}
