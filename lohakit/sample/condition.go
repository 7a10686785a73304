package sample

import (
	"context"
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Chunk is one window of the text encoder, as the web UIs fill it: BOS, 75 tokens padded with EOS, EOS.
type Chunk struct {
	IDs     [sd.Window]int32
	Weights [sd.Window]float64 // of attention, 1 for BOS and EOS
}

// Sizes of the web UIs' chunks.
const (
	chunkTokens = sd.Window - 2
	backtrack   = 20  // how far back a comma may be for the text after it to move to the next chunk
	comma       = 267 // CLIP's token of ","
)

// Chunks divides the runs of a prompt into windows by the web UIs' rule: every BREAK begins a new one, where one is full and a comma lies
// within the last 20 tokens, what follows the comma moves on, and an embedding that does not fit goes to the next. There is at least one chunk.
func Chunks(runs []Run, words *sd.Lexicon) []Chunk {
	var out []Chunk
	var ids []int32
	var weights []float64
	lastComma := -1
	finish := func() {
		c := Chunk{}
		for i := range c.IDs {
			c.IDs[i], c.Weights[i] = sd.EOS, 1
		}
		c.IDs[0] = sd.BOS
		copy(c.IDs[1:], ids)
		copy(c.Weights[1:], weights)
		out = append(out, c)
		ids, weights, lastComma = nil, nil, -1
	}
	for _, run := range runs {
		if run.Break {
			finish()
			continue
		}
		text := words.Encode(run.Text)
		for at, size := 0, 0; at < len(text); at += size {
			id := text[at]
			if id == comma {
				lastComma = len(ids)
			} else if len(ids) == chunkTokens && lastComma != -1 && len(ids)-lastComma <= backtrack {
				moved, movedWeights := ids[lastComma+1:], weights[lastComma+1:]
				ids, weights = ids[:lastComma+1], weights[:lastComma+1]
				finish()
				ids, weights = append(ids, moved...), append(weights, movedWeights...)
			}
			if size = words.Span(id); len(ids)+size > chunkTokens {
				finish()
			}
			for _, id := range text[at : at+size] {
				ids, weights = append(ids, id), append(weights, run.Weight)
			}
		}
	}
	if len(ids) > 0 || len(out) == 0 {
		finish()
	}
	return out
}

// states is the text encoder's output for one prompt: [77·chunks, width], flat.
type states struct {
	data   []float32
	chunks int
}

// encode finds the states of all texts, each distinct one once, under the given clip skip.
func (e *engine) encode(ctx context.Context, texts []string, clipSkip int) error {
	var chunks []Chunk
	type span struct {
		key         string
		first, size int
	}
	var spans []span
	for _, text := range texts {
		key := stateOf(text, clipSkip)
		if _, ok := e.known[key]; ok {
			continue
		}
		c := Chunks(Attention(text), e.words)
		spans = append(spans, span{key, len(chunks), len(c)})
		e.known[key] = states{}
		chunks = append(chunks, c...)
	}
	width := e.model.Config.Text.Width
	flat := make([]float32, 0, len(chunks)*sd.Window*width)
	for rest := chunks; len(rest) > 0; {
		if err := canceled(ctx); err != nil {
			return err
		}
		part := rest[:min(e.chunks(len(rest)), len(rest))]
		out, err := e.runText(part, clipSkip)
		if err != nil {
			return err
		}
		flat = append(flat, out[:len(part)*sd.Window*width]...)
		rest = rest[len(part):]
	}
	each := sd.Window * width
	for i, c := range chunks {
		emphasize(flat[i*each:(i+1)*each], c.Weights[:], width)
	}
	for _, s := range spans {
		e.known[s.key] = states{flat[s.first*each : (s.first+s.size)*each], s.size}
	}
	return nil
}

// stateOf is the key of a text's states.
func stateOf(text string, clipSkip int) string { return fmt.Sprint(clipSkip, " ", text) }

// chunks is the size of the text encoder's evaluation that begins with n chunks to do.
func (e *engine) chunks(n int) int { return evaluationRows(e.model.UNet.Size(), 0, n) }

// runText evaluates the text encoder on the chunks and whatever they are padded with.
func (e *engine) runText(chunks []Chunk, clipSkip int) ([]float32, error) {
	n := e.chunks(len(chunks))
	ids := make([]int32, 0, n*sd.Window)
	for i := range n {
		ids = append(ids, chunks[min(i, len(chunks)-1)].IDs[:]...)
	}
	config, names := e.model.Config.Text, e.text.names
	config.Extra = e.words.Rows()
	program := compiled(fmt.Sprintf("text %s skip %d", e.text.key, clipSkip), "text encoder", func(in []*Node) []*Node {
		return []*Node{sd.TextEncoder(config, sd.Bind(names, in), in[len(names)], clipSkip)}
	})
	return read(program, e.text.Inputs(), tensors.FromFlatDataAndDimensions(ids, n, sd.Window))
}

// emphasize multiplies each token's states by its weight and then all of them so that their mean is what it was.
func emphasize(z []float32, weights []float64, width int) {
	plain := true
	var before, after float64
	for i, w := range weights {
		plain = plain && w == 1
		for j := range width {
			v := float64(z[i*width+j])
			before += v
			after += v * w
		}
	}
	if plain {
		return
	}
	scale := before / after
	if after == 0 || math.IsNaN(scale) {
		scale = 1
	}
	for i, w := range weights {
		for j := range width {
			z[i*width+j] = float32(float64(z[i*width+j]) * w * scale)
		}
	}
}

// read runs a program and copies its one output to the host.
func read(program *xla.Program, in ...any) ([]float32, error) {
	out, err := program.Run(in...)
	if err != nil {
		return nil, err
	}
	defer out[0].MustFinalizeAll()
	return tensors.CopyFlatData[float32](out[0])
}
