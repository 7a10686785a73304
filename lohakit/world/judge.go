package world

import (
	_ "embed"
	"image"
	"math"
	"os"
	"slices"
	"sync"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"golang.org/x/image/draw"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Examiner is the judge: a small classifier of everything a scene is made of, trained on renders only. Its figures on held-out renders
// are in assets/judge.md; Exam measures them again. It may be used by several goroutines at once.
type Examiner struct {
	params      *sd.Params
	temperature []float32 // of each head: what its logits are divided by
	program     *xla.Program
}

//go:embed assets/judge.safetensors
var judgeFile []byte

// Judge returns the judge that comes with the package.
var Judge = sync.OnceValues(func() (*Examiner, error) {
	// Files are opened by path, so that they can be mapped.
	f, err := os.CreateTemp("", "judge-*.safetensors")
	if err != nil {
		return nil, fault.New(fault.IO, "load judge", "", "%w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(judgeFile)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, fault.New(fault.IO, "load judge", f.Name(), "%w", err)
	}
	return OpenJudge(f.Name())
})

// OpenJudge reads a judge that Save wrote.
func OpenJudge(path string) (*Examiner, error) {
	f, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	params := newJudge(judgeSeed)
	read := func(name string, n int) ([]float32, error) {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		if t.Len() != n {
			return nil, fault.New(fault.Corrupt, "load judge", name, "%v has not the %d values of this version's judge", t, n).
				Fix("rebuild it: make judge")
		}
		return t.Floats()
	}
	for _, name := range params.Names() {
		values, err := read(name, params.Get(name).Size())
		if err != nil {
			return nil, err
		}
		params.Set(name, tensors.FromFlatDataAndDimensions(values, params.Shape(name)...))
	}
	temperature, err := read("temperature", len(heads))
	if err != nil {
		return nil, err
	}
	return newExaminer(params, temperature)
}

// Save writes the judge as safetensors, weights as F16.
func (e *Examiner) Save(path string) error {
	var out []checkpoint.Tensor
	add := func(name string, dtype checkpoint.DType, values []float32, shape []int) error {
		t, err := checkpoint.FromFloats(name, dtype, shape, values)
		out = append(out, t)
		return err
	}
	for _, name := range e.params.Names() {
		if err := add(name, checkpoint.F16, flat(e.params.Get(name)), e.params.Shape(name)); err != nil {
			return err
		}
	}
	if err := add("temperature", checkpoint.F32, e.temperature, []int{len(heads)}); err != nil {
		return err
	}
	return checkpoint.Write(path, out, map[string]string{"lohakit.kind": "judge"})
}

func newExaminer(params *sd.Params, temperature []float32) (*Examiner, error) {
	if temperature == nil {
		temperature = slices.Repeat([]float32{1}, len(heads))
	}
	n := params.Len()
	return &Examiner{params: params, temperature: temperature, program: xla.Compile("judge", func(in []*Node) []*Node {
		feats, logits := judgeNet(params.Bind(in[:n]), in[n])
		return []*Node{feats, logits}
	})}, nil
}

// Look judges images of any size; they are scaled to 64 px square. The verdicts are in the images' order.
func (e *Examiner) Look(images ...image.Image) ([]Verdict, error) {
	verdicts := make([]Verdict, 0, len(images))
	for chunk := range slices.Chunk(images, judgeBatch) {
		x := make([]float32, 0, judgeBatch*3*judgeSize*judgeSize)
		for _, img := range chunk {
			if img == nil || img.Bounds().Empty() {
				return nil, fault.New(fault.Invalid, "judge", "image", "image %d has no pixels", len(verdicts)+len(x)/(3*judgeSize*judgeSize))
			}
			small := image.NewRGBA(image.Rect(0, 0, judgeSize, judgeSize))
			draw.CatmullRom.Scale(small, small.Rect, img, img.Bounds(), draw.Src, nil)
			x = append(x, Pixels(small)...)
		}
		x = x[:cap(x)] // one shape, one compilation
		out, err := e.program.Run(e.params.Inputs(), tensors.FromFlatDataAndDimensions(x, judgeBatch, 3, judgeSize, judgeSize))
		if err != nil {
			return nil, err
		}
		feats, logits := rows(out[0]), rows(out[1])
		for i := range chunk {
			v := Verdict{Features: feats[i]}
			for k, h := range heads {
				v.answers = append(v.answers, softmax(logits[i][h.from:h.to], float64(e.temperature[k])))
			}
			verdicts = append(verdicts, v)
		}
	}
	return verdicts, nil
}

// NotSure is the judge's answer where it sees nothing it knows.
const NotSure = "not sure"

// Verdict is what the judge says of one image.
type Verdict struct {
	Features []float32 // 128 numbers that all answers are computed from; Distance compares sets of them
	answers  [][]float64
}

// P is the probability of one answer, 0 … 1. For a question about figures it is that of the figure, of those seen, that fits better. An
// answer the question does not have is 0.
func (v Verdict) P(q Question, word string) float64 {
	i := slices.Index(words[q], word)
	if i < 0 {
		return 0
	}
	p := v.answers[q][i]
	if q >= AskHair && v.answers[AskPeople][2] > 0.5 {
		p = math.Max(p, v.answers[q-AskHair+questions][i])
	}
	return p
}

// Word is the most probable answer, for the left figure if there are two; or NotSure if the image is probably ruined or no
// answer reaches one half.
func (v Verdict) Word(q Question) string {
	best := slices.Max(v.answers[q])
	if q != AskDrawn && (!v.Drawn() || best < 0.5) {
		return NotSure
	}
	return words[q][slices.Index(v.answers[q], best)]
}

// Among is the most probable of the given answers, whatever the others: which of the five artists, say.
func (v Verdict) Among(q Question, of ...string) string {
	return slices.MaxFunc(of, func(a, b string) int {
		switch pa, pb := v.P(q, a), v.P(q, b); {
		case pa < pb:
			return -1
		case pa > pb:
			return 1
		}
		return 0
	})
}

// Drawn reports whether the image is a picture rather than noise or a wreck of one.
func (v Verdict) Drawn() bool { return v.answers[AskDrawn][1] >= 0.5 }

func softmax(logits []float32, temperature float64) []float64 {
	out := make([]float64, len(logits))
	top, sum := slices.Max(logits), 0.0
	for i, l := range logits {
		out[i] = math.Exp(float64(l-top) / temperature)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func flat(t *tensors.Tensor) []float32 { return tensors.MustCopyFlatData[float32](t) }

// rows cuts a matrix into its rows.
func rows(t *tensors.Tensor) [][]float32 {
	return slices.Collect(slices.Chunk(flat(t), t.Shape().Dim(1)))
}

// halved rounds the weights to F16 and back.
func halved(params *sd.Params) *sd.Params {
	out := sd.NewParams()
	for _, name := range params.Names() {
		t, err := checkpoint.FromFloats(name, checkpoint.F16, params.Shape(name), flat(params.Get(name)))
		if err != nil {
			panic(err) // shape and values come from one tensor
		}
		values, err := t.Floats()
		if err != nil {
			panic(err)
		}
		out.Set(name, tensors.FromFlatDataAndDimensions(values, params.Shape(name)...))
	}
	return out
}
