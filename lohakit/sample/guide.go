package sample

import (
	"context"
	"math"
	"sync"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// programs are the compiled graphs of this process by what they depend on: sizes, but not weights, which are inputs. So a second grid,
// another base model of the same size and an adapter trained further start at once.
var programs sync.Map

func compiled(key, name string, fn func(in []*Node) []*Node) *xla.Program {
	if p, ok := programs.Load(key); ok {
		return p.(*xla.Program)
	}
	p, _ := programs.LoadOrStore(key, xla.Compile(name, fn))
	return p.(*xla.Program)
}

// row is one evaluation of the UNet for one image: under one prompt, counted with one weight.
type row struct {
	image  int
	states states
	weight float64
}

// guide is the denoiser of a batch of images of one size under classifier-free guidance.
type guide struct {
	*engine
	shape [3]int                    // channels, height and width of one image's latents
	plan  func(sigma float64) []row // the evaluations at a noise level; prompts may change with it
}

// denoise estimates the clean latents of x, a batch of images whose noise has deviation sigma. Each image's estimate is the sum over
// its rows of weight × estimate, which for weights s and 1−s is guidance by s: ε = ε_negative + s·(ε_prompt − ε_negative).
func (g *guide) denoise(ctx context.Context, x []float32, sigma float64) ([]float32, error) {
	size := g.shape[0] * g.shape[1] * g.shape[2]
	sum := make([]float64, len(x))
	for _, same := range byLength(g.plan(sigma)) {
		for len(same) > 0 {
			if err := canceled(ctx); err != nil {
				return nil, err
			}
			part := same[:min(g.rows(len(same)), len(same))]
			out, err := g.evaluate(x, sigma, part)
			if err != nil {
				return nil, err
			}
			for i, r := range part {
				at := r.image * size
				for j := range size {
					clean := clean(g.model.Config.Prediction, float64(x[at+j]), float64(out[i*size+j]), sigma)
					sum[at+j] += float64(r.weight * clean)
				}
			}
			same = same[len(part):]
		}
	}
	result := make([]float32, len(x))
	for i, v := range sum {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fault.New(fault.Numeric, "sample", "", "the model returns %v at noise level %.3g (timestep %.0f)", v, sigma, TimestepOf(sigma)).
				Fix("look for NaN in the model and adapter, or lower the adapter weight and CFG")
		}
		result[i] = float32(v)
	}
	return result, nil
}

// clean is the clean latent of x, on which the noise has deviation sigma, from what the UNet predicts for x/√(σ²+1).
func clean(kind sd.Prediction, x, predicted, sigma float64) float64 {
	if kind == sd.V {
		return float64(x/(sigma*sigma+1)) - float64(predicted*sigma/math.Sqrt(sigma*sigma+1))
	}
	return x - float64(sigma*predicted)
}

// byLength groups rows by the length of their text: a longer text would change what the UNet attends to.
func byLength(rows []row) (groups [][]row) {
	of := map[int]int{}
	for _, r := range rows {
		i, ok := of[r.states.chunks]
		if !ok {
			i = len(groups)
			of[r.states.chunks], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}

// Sizes of evaluations. There are few, so that little is compiled and an image hardly depends on what is drawn with it. Compiling a
// small UNet takes as long as drawing a dozen of its small images, so there is one size for those.
const (
	smallModel  = 50_000_000 // parameters of the UNet
	smallPixels = 32 * 32    // latent pixels of an image
	smallRows   = 4
	narrowRows  = 2 // one image, with and without its prompt
	wideRows    = 8
)

// evaluationRows is the size of the evaluation that begins with n rows to do, of images of so many latent pixels, by a UNet of so many
// parameters. But for small images it holds at most one row of padding, and it exceeds maxBatchPixels only for a single row.
func evaluationRows(parameters, pixels, n int) int {
	switch {
	case parameters < smallModel && pixels <= smallPixels:
		return smallRows
	case n > wideRows-narrowRows && wideRows*pixels <= maxBatchPixels:
		return wideRows
	case n >= narrowRows && narrowRows*pixels <= maxBatchPixels:
		return narrowRows
	}
	return 1
}

// rows is the size of the evaluation of the images that begins with n rows to do.
func (g *guide) rows(n int) int {
	return evaluationRows(g.model.UNet.Size(), g.shape[1]*g.shape[2], n)
}

// evaluate runs the UNet for each row, all in one program; the rows it is padded with repeat the last.
func (g *guide) evaluate(x []float32, sigma float64, rows []row) ([]float32, error) {
	c, h, w := g.shape[0], g.shape[1], g.shape[2]
	size, n := c*h*w, g.rows(len(rows))
	scale, step := 1/math.Sqrt(sigma*sigma+1), float32(TimestepOf(sigma))
	in := make([]float32, 0, n*size)
	steps := make([]float32, n)
	var context []float32
	for i := range n {
		r := rows[min(i, len(rows)-1)]
		for _, v := range x[r.image*size : (r.image+1)*size] {
			in = append(in, float32(scale*float64(v)))
		}
		steps[i] = step
		context = append(context, r.states.data...)
	}
	config, names := g.model.Config.UNet, g.unet.names
	program := compiled("UNet "+g.unet.key, "UNet", func(in []*Node) []*Node {
		rest := in[len(names):]
		return []*Node{sd.UNet(config, sd.Bind(names, in), rest[0], rest[1], rest[2])}
	})
	return read(program, g.unet.Inputs(), tensors.FromFlatDataAndDimensions(in, n, c, h, w), steps,
		tensors.FromFlatDataAndDimensions(context, n, sd.Window*rows[0].states.chunks, config.CrossDim))
}
