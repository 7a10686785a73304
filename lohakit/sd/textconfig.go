package sd

import (
	"fmt"
	"slices"

	"github.com/lohakit/notebook/lohakit/fault"
)

// TextConfig is the size of a CLIP text encoder. Everything but Heads, TokenIDs and Extra can be read from the shapes of its weights.
type TextConfig struct {
	Rows      int // of the token table; 49,408 in SD 1.x
	Width     int // of the states; 768
	Layers    int // transformer blocks; 12
	Heads     int // of attention; 12, each 64 wide
	MLP       int // width inside the feed-forward layers; 3072
	Positions int // learned positions, the longest input; 77

	// TokenIDs, when not empty, says that the token table is compact: its row i belongs to the token TokenIDs[i] (ascending), and the
	// rows after those are shared by all other tokens, token t by row len(TokenIDs) + t mod (Rows − len(TokenIDs)).
	TokenIDs []int32

	// Extra is how many rows there are for ids past the vocabulary's, the vectors of embeddings: the weight ExtraRows, which is no part of
	// the model's file. 0 in every file.
	Extra int
}

// SD1Text is the text encoder of Stable Diffusion 1.x, CLIP ViT-L/14's: 123,060,480 parameters.
func SD1Text() TextConfig {
	return TextConfig{Rows: vocabulary, Width: 768, Layers: 12, Heads: 12, MLP: 3072, Positions: Window}
}

// Check returns a fault that names the first field whose value makes no text encoder.
func (c TextConfig) Check() error {
	bad := func(field, format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "size text encoder", field, format, args...)
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"Rows", c.Rows}, {"Width", c.Width}, {"Layers", c.Layers}, {"Heads", c.Heads}, {"MLP", c.MLP}, {"Positions", c.Positions}} {
		if f.value < 1 {
			return bad(f.name, "%d is not positive", f.value)
		}
	}
	known := len(c.TokenIDs)
	switch {
	case c.Width%c.Heads != 0:
		return bad("Heads", "%d heads do not divide the width %d", c.Heads, c.Width)
	case known == 0 && c.Rows < vocabulary:
		return bad("Rows", "%d are too few for %d tokens", c.Rows, vocabulary).Fix("set TokenIDs, which says whose rows they are")
	case known > 0 && c.Rows <= known:
		return bad("Rows", "%d leave none for the tokens beside the %d in TokenIDs", c.Rows, known)
	case known > 0 && (c.TokenIDs[0] < 0 || c.TokenIDs[known-1] >= vocabulary):
		return bad("TokenIDs", "some are outside 0 … %d", vocabulary-1)
	}
	for i := 1; i < known; i++ {
		if c.TokenIDs[i] <= c.TokenIDs[i-1] {
			return bad("TokenIDs", "%d follows %d", c.TokenIDs[i], c.TokenIDs[i-1]).Fix("list each token once, in ascending order")
		}
	}
	return nil
}

// Shapes lists every tensor of a text encoder of size c, in the order of evaluation.
func (c TextConfig) Shapes() []Shape {
	var s layers
	s.add("text_model.embeddings.token_embedding.weight", c.Rows, c.Width)
	s.add("text_model.embeddings.position_embedding.weight", c.Positions, c.Width)
	for i := range c.Layers {
		layer := fmt.Sprintf("text_model.encoder.layers.%d.", i)
		s.norm(layer+"layer_norm1", c.Width)
		for _, projection := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
			s.linear(layer+"self_attn."+projection, c.Width, c.Width, true)
		}
		s.norm(layer+"layer_norm2", c.Width)
		s.linear(layer+"mlp.fc1", c.Width, c.MLP, true)
		s.linear(layer+"mlp.fc2", c.MLP, c.Width, true)
	}
	s.norm("text_model.final_layer_norm", c.Width)
	return s
}

// rowOf is the row of the token table for every CLIP token.
func (c TextConfig) rowOf() []int32 {
	rows := make([]int32, vocabulary)
	known := int32(len(c.TokenIDs))
	for id := range rows {
		rows[id] = known + int32(id)%(int32(c.Rows)-known)
	}
	for row, id := range c.TokenIDs {
		rows[id] = int32(row)
	}
	return rows
}

// TextConfigOf reads the sizes from the names and shapes of the weights p, as transformers names them, and checks that each tensor of
// such a text encoder is there with its shape. heads 0 means one for every 64 channels, as in every CLIP; tokenIDs is described
// at TextConfig. A missing tensor is a fault of kind NotExist that names it, a wrong shape one of kind Unsupported.
func TextConfigOf(p *Params, heads int, tokenIDs []int32) (TextConfig, error) {
	const first = "text_model.encoder.layers.0.mlp.fc1.weight"
	c := TextConfig{Heads: heads, TokenIDs: tokenIDs}
	var tables [3][]int
	for i, name := range []string{"text_model.embeddings.token_embedding.weight", "text_model.embeddings.position_embedding.weight", first} {
		tables[i] = p.Shape(name)
		if len(tables[i]) != 2 {
			return c, fault.New(fault.NotExist, "read text encoder", name, "no such matrix")
		}
	}
	c.Rows, c.Width, c.Positions, c.MLP = tables[0][0], tables[0][1], tables[1][0], tables[2][0]
	for p.Has(fmt.Sprintf("text_model.encoder.layers.%d.mlp.fc1.weight", c.Layers)) {
		c.Layers++
	}
	if heads == 0 {
		c.Heads = max(1, c.Width/64)
	}
	if err := c.Check(); err != nil {
		return c, err
	}
	return c, checkShapes("read text encoder", p, c.Shapes())
}

// checkShapes reports the first of shapes that p lacks or has in another shape.
func checkShapes(op string, p *Params, shapes []Shape) error {
	for _, s := range shapes {
		if got := p.Shape(s.Name); got == nil {
			return fault.New(fault.NotExist, op, s.Name, "the file has no such tensor")
		} else if !slices.Equal(got, s.Dims) {
			return fault.New(fault.Unsupported, op, s.Name, "its shape is %v, in Stable Diffusion 1.x it is %v", got, s.Dims)
		}
	}
	return nil
}
