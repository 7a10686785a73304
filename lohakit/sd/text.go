package sd

import (
	"fmt"
	"math"
	"strings"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/xla"
)

// TextEncoder is the CLIP text model: the states [B, T, Width] of ids [B, T] int32, T at most Positions. clipSkip 1 is the last layer's
// output, 2 the one before it, up to Layers; the final layer norm follows in every case.
func TextEncoder(c TextConfig, w Weights, ids *Node, clipSkip int) *Node {
	if clipSkip < 1 || clipSkip > c.Layers {
		panic(fault.New(fault.Invalid, "encode text", "ClipSkip", "%d is outside 1 … %d, the layers of this text encoder", clipSkip, c.Layers))
	}
	length := ids.Shape().Dim(1)
	if length > c.Positions {
		panic(fault.New(fault.Invalid, "encode text", "", "%d tokens at once, the model has %d positions", length, c.Positions))
	}
	x := tokenRows(c, w, ids)
	positions := Slice(w.Get("text_model.embeddings.position_embedding.weight"), AxisRange(0, length))
	x = Add(x, InsertAxes(positions, 0))

	mask := ConvertDType(Const(x.Graph(), causal(length)), x.DType())
	for layer := range c.Layers + 1 - clipSkip {
		x = textLayer(c, w, fmt.Sprintf("text_model.encoder.layers.%d.", layer), x, mask)
	}
	return layerNorm(w, "text_model.final_layer_norm", x)
}

// tokenRows looks tokens up: those of the vocabulary in the table, those past it in the extra rows.
func tokenRows(c TextConfig, w Weights, ids *Node) *Node {
	known := ids
	if c.Extra > 0 {
		known = MinScalar(ids, vocabulary-1)
	}
	if len(c.TokenIDs) > 0 {
		known = Gather(Const(ids.Graph(), c.rowOf()), InsertAxes(known, -1))
	}
	x := Gather(w.Get("text_model.embeddings.token_embedding.weight"), InsertAxes(known, -1))
	if c.Extra == 0 {
		return x
	}
	extra := Gather(w.Get(ExtraRows), InsertAxes(MaxScalar(SubScalar(ids, vocabulary), 0), -1))
	added := InsertAxes(GreaterOrEqual(ids, Scalar(ids.Graph(), ids.DType(), vocabulary)), -1)
	return Where(BroadcastToDims(added, x.Shape().Dimensions...), extra, x)
}

// textLayer is one pre-norm transformer block: x + attention(LN x), then x + MLP(LN x).
func textLayer(c TextConfig, w Weights, name string, x, mask *Node) *Node {
	h := layerNorm(w, name+"layer_norm1", x)
	h = xla.Attention(
		linear(w, name+"self_attn.q_proj", h),
		linear(w, name+"self_attn.k_proj", h),
		linear(w, name+"self_attn.v_proj", h),
		c.Heads, mask)
	x = Add(x, linear(w, name+"self_attn.out_proj", h))

	h = layerNorm(w, name+"layer_norm2", x)
	h = xla.QuickGELU(linear(w, name+"mlp.fc1", h))
	return Add(x, linear(w, name+"mlp.fc2", h))
}

// causal is the additive mask [n, n] that hides the later tokens from each one.
func causal(n int) [][]float32 {
	mask := make([][]float32, n)
	for i := range mask {
		mask[i] = make([]float32, n)
		for j := i + 1; j < n; j++ {
			mask[i][j] = float32(math.Inf(-1))
		}
	}
	return mask
}

// Context is TextEncoder over the n chunks of Chunk: ids [B, n·77] int32 give [B, 75·n+2, Width], the first chunk's BOS state,
// the 75 states of every chunk's text, and the last chunk's EOS state, as the trainer joins them.
func Context(c TextConfig, w Weights, ids *Node, clipSkip int) *Node {
	batch, total := ids.Shape().Dim(0), ids.Shape().Dim(1)
	if total%Window != 0 {
		panic(fault.New(fault.Invalid, "encode text", "", "%d ids are not whole chunks of %d", total, Window))
	}
	n := total / Window
	states := TextEncoder(c, w, Reshape(ids, batch*n, Window), clipSkip)
	if n == 1 {
		return states
	}
	states = Reshape(states, batch, n, Window, c.Width)
	chunk := func(i int, tokens SliceAxisSpec) *Node {
		return Squeeze(Slice(states, AxisRange(), AxisElem(i), tokens), 1)
	}
	parts := []*Node{chunk(0, AxisElem(0))}
	for i := range n {
		parts = append(parts, chunk(i, AxisRange(1, Window-1)))
	}
	return Concatenate(append(parts, chunk(n-1, AxisElem(Window-1))), 1)
}

// InitText returns the weights of a new text encoder, drawn as CLIP's authors drew them: normal, of a standard deviation that
// falls with the width and, in the layers that add to the residual stream's depth, with the number of layers; biases 0,
// normalisations 1 and 0. The same configuration and seed give the same weights on every machine. c must pass Check.
func InitText(c TextConfig, seed uint64) *Params {
	width, deep := math.Pow(float64(c.Width), -0.5), math.Pow(2*float64(c.Layers), -0.5)
	p := NewParams()
	for _, s := range c.Shapes() {
		std := width * deep // q_proj, k_proj, v_proj, fc2
		switch {
		case len(s.Dims) == 1:
			p.Set(s.Name, initial(s, 0, seed))
			continue
		case strings.Contains(s.Name, "_embedding."):
			std = 0.02
		case strings.Contains(s.Name, ".out_proj."):
			std = width
		case strings.Contains(s.Name, ".fc1."):
			std = width * math.Sqrt2 / 2
		}
		rng := tensorRand(s.Name, seed)
		data := make([]float32, size(s.Dims))
		for i := range data {
			data[i] = float32(rng.NormFloat64() * std)
		}
		p.Set(s.Name, tensors.FromFlatDataAndDimensions(data, s.Dims...))
	}
	return p
}
