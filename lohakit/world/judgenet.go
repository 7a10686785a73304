package world

import (
	"math"
	"math/rand/v2"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// The judge's network: five convolutions, one hidden layer whose values are the features, and all answers from these.
const (
	judgeSize  = 64 // pixels; other sizes are scaled
	judgeBatch = 64 // images in one run of the network
	features   = 128
)

var judgeConvs = []struct {
	name                   string
	in, out, width, stride int
}{
	{"conv1", 3, 24, 5, 2}, {"conv2", 24, 48, 3, 2}, {"conv3", 48, 80, 3, 2}, {"conv4", 80, 96, 3, 1}, {"conv5", 96, 128, 3, 2},
}

// judgeNet maps images x [B, 3, 64, 64] in −1 … 1 to features [B, 128] and logits [B, outputs].
func judgeNet(w sd.Weights, x *Node) (feats, logits *Node) {
	x = xla.ChannelsLast(x)
	for _, c := range judgeConvs {
		x = xla.SiLU(xla.Conv(x, w.Get(c.name+".weight"), w.Get(c.name+".bias"), c.stride, c.width/2))
	}
	feats = xla.Linear(Reshape(xla.ChannelsFirst(x), x.Shape().Dim(0), -1), w.Get("hidden.weight"), w.Get("hidden.bias"))
	return feats, xla.Linear(xla.SiLU(feats), w.Get("answers.weight"), w.Get("answers.bias"))
}

// newJudge returns random weights: He's, so that signals neither die out nor grow through the layers.
func newJudge(seed uint64) *sd.Params {
	rng := rand.New(rand.NewPCG(seed, 0x1d6e))
	p := sd.NewParams()
	add := func(name string, gain float64, dims ...int) {
		fan := 1
		for _, d := range dims[1:] {
			fan *= d
		}
		values := make([]float32, fan*dims[0])
		for i := range values {
			values[i] = float32(rng.NormFloat64() * math.Sqrt(gain/float64(fan)))
		}
		p.Set(name+".weight", tensors.FromFlatDataAndDimensions(values, dims...))
		p.Set(name+".bias", tensors.FromFlatDataAndDimensions(make([]float32, dims[0]), dims[0]))
	}
	for _, c := range judgeConvs {
		add(c.name, 2.5, c.out, c.in, c.width, c.width)
	}
	last := judgeConvs[len(judgeConvs)-1].out
	add("hidden", 2, features, last*(judgeSize/16)*(judgeSize/16))
	add("answers", 0.1, outputs, features)
	return p
}
