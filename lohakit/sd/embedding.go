package sd

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Embedding is a word that a text encoder was taught afterwards: vectors that stand in a prompt where its name does (textual inversion).
type Embedding struct {
	Name string          // what prompts and captions call it, in capitals or not
	Rows *tensors.Tensor // [vectors, Width] float32, 1 to 75 of them: each takes the place of a token
	Hash string          // SHA-256 of the file it was read from, in hexadecimal digits; "" for one that is from no file
}

// Vectors is the number of places in a prompt that the embedding takes.
func (e Embedding) Vectors() int { return e.Rows.Shape().Dim(0) }

// NewEmbedding returns an embedding for m that begins as the vectors of the words of init, repeated or cut to the number of vectors; 0 vectors
// stands for as many as init has tokens, at least 1. Without init they are drawn as CLIP's authors drew those of tokens, from seed.
func (m *Model) NewEmbedding(name, init string, vectors int, seed uint64) (Embedding, error) {
	e, c := Embedding{Name: name}, m.Config.Text
	if err := CheckEmbeddingName(name); err != nil {
		return e, err
	}
	ids := CLIP().Encode(init)
	n := vectors
	if n == 0 {
		n = max(1, len(ids))
	}
	if n < 1 || n > maxVectors {
		return e, fault.New(fault.Invalid, "make embedding", name, "%d vectors are not 1 to %d", n, maxVectors).Fix("use 1 to 8, as is customary")
	}
	values := make([]float32, 0, n*c.Width)
	if len(ids) == 0 {
		rng := tensorRand(ExtraRows+name, seed)
		for range n * c.Width {
			values = append(values, float32(rng.NormFloat64()*0.02))
		}
	} else {
		const table = "text_model.embeddings.token_embedding.weight"
		rowOf := c.rowOf()
		err := tensors.ConstFlatData(m.Text.Get(table), func(rows []float32) {
			for i := range n {
				row := int(rowOf[ids[i%len(ids)]])
				values = append(values, rows[row*c.Width:(row+1)*c.Width]...)
			}
		})
		if err != nil {
			return e, fault.New(fault.Other, "make embedding", table, "%w", err)
		}
	}
	e.Rows = tensors.FromFlatDataAndDimensions(values, n, c.Width)
	return e, nil
}

// String describes the embedding as "tilty (3 vectors)".
func (e Embedding) String() string {
	if e.Vectors() == 1 {
		return e.Name + " (1 vector)"
	}
	return fmt.Sprintf("%s (%d vectors)", e.Name, e.Vectors())
}

// Fits returns a fault that names both widths if the embedding belongs to another text encoder than c's.
func (e Embedding) Fits(c TextConfig) error {
	if width := e.Rows.Shape().Dim(1); width != c.Width {
		return fault.New(fault.Unsupported, "use embedding", e.Name, "its vectors have %d numbers, those of this text encoder %d", width, c.Width).
			Fix("use it with the kind of model it was trained on")
	}
	return nil
}

// JoinEmbeddings puts lists of embeddings together; of several with the same name the last counts, in the first one's place.
func JoinEmbeddings(lists ...[]Embedding) (all []Embedding) {
	for _, e := range slices.Concat(lists...) {
		if i := slices.IndexFunc(all, func(old Embedding) bool { return strings.EqualFold(old.Name, e.Name) }); i >= 0 {
			all[i] = e
		} else {
			all = append(all, e)
		}
	}
	return all
}

// ExtraRows is the weight that a text encoder reads besides those of its file when TextConfig.Extra says so: the vectors of a Lexicon's
// embeddings, one below the other, [Extra, Width].
const ExtraRows = "text_model.embeddings.extra_embedding.weight"

// Lexicon is CLIP's tokenizer with embeddings: the vectors of the first have the ids from 49,408 on, those of the next follow. It is immutable.
type Lexicon struct {
	words []word // the longest names first
	rows  int
}

type word struct {
	name    []rune // in small letters
	first   int32  // id
	vectors int
}

// NewLexicon returns the lexicon of embeddings with different names.
func NewLexicon(embeddings ...Embedding) *Lexicon {
	l := &Lexicon{}
	for _, e := range embeddings {
		w := word{[]rune(strings.Map(unicode.ToLower, e.Name)), vocabulary + int32(l.rows), e.Vectors()}
		l.rows += w.vectors
		if len(w.name) > 0 {
			l.words = append(l.words, w)
		}
	}
	slices.SortStableFunc(l.words, func(a, b word) int { return len(b.name) - len(a.name) })
	return l
}

// Rows is how many vectors the embeddings have together: TextConfig.Extra of an encoder that reads them.
func (l *Lexicon) Rows() int { return l.rows }

// Encode is Tokenizer.Encode of CLIP, but for the names of embeddings, whose ids stand in their place. A name counts wherever it is a word
// of its own by CLIP's division of text: where its ends are letters, none may stand before or after it.
func (l *Lexicon) Encode(text string) []int32 {
	ids := []int32{}
	start := 0 // of the text that is not encoded yet
	for i := 0; i < len(text) && len(l.words) > 0; {
		w, size := l.at(text, i)
		if w == nil {
			_, size = utf8.DecodeRuneInString(text[i:])
			i += size
			continue
		}
		ids = append(ids, CLIP().Encode(text[start:i])...)
		for k := range w.vectors {
			ids = append(ids, w.first+int32(k))
		}
		i += size
		start = i
	}
	return append(ids, CLIP().Encode(text[start:])...)
}

// at is the embedding whose name begins at byte i, and the bytes it takes there.
func (l *Lexicon) at(text string, i int) (*word, int) {
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	for k := range l.words {
		w := &l.words[k]
		if classOf(w.name[0]) == letter && classOf(before) == letter {
			continue
		}
		end := i
		for _, want := range w.name {
			r, size := utf8.DecodeRuneInString(text[end:])
			if size == 0 || unicode.ToLower(r) != want {
				end = -1
				break
			}
			end += size
		}
		if end < 0 {
			continue
		}
		after, _ := utf8.DecodeRuneInString(text[end:])
		if classOf(w.name[len(w.name)-1]) != letter || classOf(after) != letter {
			return w, end - i
		}
	}
	return nil, 0
}

// Knows reports whether the id is one of an embedding's.
func (l *Lexicon) Knows(id int32) bool { return id >= vocabulary && id < vocabulary+int32(l.rows) }

// Span is how many ids from this one on must stay together: all of an embedding's, at its first, and 1 for any other.
func (l *Lexicon) Span(id int32) int {
	for _, w := range l.words {
		if w.first == id {
			return w.vectors
		}
	}
	return 1
}

// maxVectors is how many vectors an embedding may have: the web UIs never divide one between two windows.
const maxVectors = body

// CheckEmbeddingName returns a fault that says why an embedding cannot be called so: it must be one word to captions, to prompts and to the
// names of files, and none that CLIP's vocabulary has.
func CheckEmbeddingName(name string) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "name embedding", name, format, args...).Fix(`use a made-up word such as "my-tilty" or "<tilty>"`)
	}
	switch {
	case name == "":
		return bad("it is empty")
	case strings.ContainsAny(name, `,:()[]|/\.`) || strings.ContainsFunc(name, unicode.IsSpace) || strings.ContainsFunc(name, unicode.IsControl) || !utf8.ValidString(name):
		return bad("it holds space or one of , : ( ) [ ] | / \\ .")
	case len(name) > 100:
		return bad("%d bytes are too long for a word", len(name))
	case len(CLIP().Encode(name)) < 2:
		return bad("it is a token of the vocabulary already")
	}
	return nil
}
