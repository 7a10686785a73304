package train

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
)

// tokens are a caption's, and with WeightedCaptions the factor of each. As in kohya's trainer brackets are the prompt language's, BREAK is text.
func (r *Run) tokens(caption string) (ids []int32, factors []float32) {
	if !r.Config.WeightedCaptions {
		return r.words.Encode(caption), nil
	}
	for _, run := range sample.Attention(caption) {
		if run.Break {
			run.Text, run.Weight = "BREAK", 1
		}
		for _, id := range r.words.Encode(run.Text) {
			ids, factors = append(ids, id), append(factors, float32(run.Weight))
		}
	}
	return ids, factors
}

// padded are the factors of a caption's states as sd.Context joins them: 1 before the first token and after the last that is read.
func padded(factors []float32, maxTokens int) []float32 {
	all := ones(maxTokens + 2)
	copy(all[1:maxTokens+1], factors)
	return all
}

// context is the text encoder's output for a batch, times the factors of weighted captions.
func (n *network) context(text sd.Weights, ids, emphasis *Node) *Node {
	states := sd.Context(n.model.Text, text, ids, n.cfg.ClipSkip)
	if !n.cfg.WeightedCaptions {
		return states
	}
	return Mul(states, ConvertDType(InsertAxes(emphasis, -1), states.DType()))
}
