package train

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Placeholder is an embedding to be trained: a word that stands in the captions for what the images show, with vectors of its own in the place
// of tokens. The model's token table stays as it is; clipping, schedule, optimizer and resume are the adapter's, MaxNorm is not.
type Placeholder struct {
	Name    string  // the word, in capitals or not, none that the vocabulary has: the trainers' token_string
	Vectors int     // places it takes in a caption: num_vectors_per_token; 1…75, 0 stands for as many as Weights has, or Init tokens, at least 1
	Init    string  // words as which it begins, repeated or cut to Vectors: init_word; "" begins at random
	Weights string  // embedding file as which it begins instead, of as many vectors: weights; none
	LR      float64 // its learning rate; 0 stands for TextLR; 5e-4 is customary for Adam at full size
	Stop    int     // step after which it stays as it is; 0 never
}

// checkEmbeddings returns what is wrong with Embeddings.
func (c Config) checkEmbeddings() error {
	var names []string
	for i, p := range c.Embeddings {
		field := fmt.Sprintf("Embeddings[%d].", i)
		bad := func(name, format string, args ...any) *fault.Error {
			return fault.New(fault.Invalid, "configure training", field+name, format, args...)
		}
		name := strings.ToLower(p.Name)
		if err := sd.CheckEmbeddingName(p.Name); err != nil {
			return err
		}
		switch {
		case slices.Contains(names, name):
			return bad("Name", "%q is there twice", p.Name).Fix("give each placeholder a name of its own")
		case p.Vectors < 0 || p.Vectors > sd.Window-2:
			return bad("Vectors", "%d is out of range", p.Vectors).Fix("use 1 to 8, as is customary, or 0 for as many as Init has tokens")
		case !(p.LR >= 0 && p.LR <= 1e3):
			return bad("LR", "%v is out of range", p.LR).Fix("use 0 (the same as TextLR) or a rate above 0")
		case p.Weights != "" && p.Init != "":
			return bad("Weights", "is set and Init too").Fix("choose what the word begins as")
		case p.Stop < 0:
			return bad("Stop", "%d is out of range", p.Stop).Fix("use 0 (never) or a number of steps")
		case p.Init != "" && len(sd.CLIP().Encode(p.Init)) == 0:
			return bad("Init", "%q has no token", p.Init).Fix("name words of the vocabulary, or leave it empty")
		}
		names = append(names, name)
	}
	return nil
}

// teach gives the adapter its embeddings: those of the configuration in its order, begun anew where the adapter does not bring them, and
// then the others that it brings, which c is made to name too.
func (c *Config) teach(m *sd.Model, a *adapter.Adapter) error {
	brought := a.Embeddings
	c.Embeddings, a.Embeddings = slices.Clone(c.Embeddings), nil
	for _, e := range brought {
		if err := e.Fits(m.Config.Text); err != nil {
			return err
		}
		if !slices.ContainsFunc(c.Embeddings, func(p Placeholder) bool { return strings.EqualFold(p.Name, e.Name) }) {
			c.Embeddings = append(c.Embeddings, Placeholder{Name: e.Name})
		}
	}
	for i := range c.Embeddings {
		p := &c.Embeddings[i]
		e, err := p.begin(m, brought, c.Seed)
		if err != nil {
			return err
		}
		p.Vectors, e.Hash = e.Vectors(), ""
		a.Embeddings = append(a.Embeddings, e)
	}
	return nil
}

// begin is the embedding as which a placeholder begins: the one that the adapter brings, its file's, or a new one.
func (p Placeholder) begin(m *sd.Model, brought []sd.Embedding, seed uint64) (e sd.Embedding, err error) {
	from := "the adapter's embedding"
	if at := slices.IndexFunc(brought, func(e sd.Embedding) bool { return strings.EqualFold(p.Name, e.Name) }); at >= 0 {
		e = brought[at]
	} else if p.Weights == "" {
		return m.NewEmbedding(p.Name, p.Init, p.Vectors, seed)
	} else {
		if e, err = sd.LoadEmbedding(p.Weights); err == nil {
			err = e.Fits(m.Config.Text)
		}
		if err != nil {
			return e, err
		}
		e.Name, from = p.Name, p.Weights
	}
	if p.Vectors != 0 && p.Vectors != e.Vectors() {
		return e, fault.New(fault.Invalid, "configure training", p.Name, "has %d vectors, %s %d", p.Vectors, from, e.Vectors()).Fix("set Vectors to 0")
	}
	return e, nil
}

// unused names the placeholders that no caption has.
func (r *Run) unused() (warnings []string) {
	for _, e := range r.Adapter.Embeddings {
		word := sd.NewLexicon(e)
		if !slices.ContainsFunc(r.Data.Items, func(item dataset.Item) bool {
			return slices.ContainsFunc(word.Encode(r.Data.Subsets[item.Subset].Captions.Plain(item.Caption)), word.Knows)
		}) {
			warnings = append(warnings, fmt.Sprintf("no caption has the word %q: its embedding learns nothing; add it to the captions, or set Prefix to %q",
				e.Name, e.Name+","))
		}
	}
	return warnings
}
