package sd

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Ids of the two special tokens of CLIP's vocabulary. SD 1.x pads with EOS.
const (
	BOS int32 = 49406 // <|startoftext|>
	EOS int32 = 49407 // <|endoftext|>
)

const vocabulary = 49408 // tokens

// Window is the number of positions the text encoder sees at once: BOS, 75 tokens, EOS.
const Window = 77

const body = Window - 2 // tokens of text in one window

var specials = [...]string{"<|startoftext|>", "<|endoftext|>"} // in the order of their ids, from BOS

// Encode returns the CLIP token ids of text, without BOS and EOS: what the reference CLIPTokenizer gives when ftfy is
// installed, except that text garbled by a wrong decoding ("schÃ¶n") is kept as typed. No text is an error; invalid UTF-8
// reads as U+FFFD. Time is n·log n in the length of the text.
func (t *Tokenizer) Encode(text string) []int32 {
	ids := []int32{}
	for text != "" {
		plain, special := cutSpecial(text)
		rest := clean(plain)
		for rest != "" {
			n, word := nextWord(rest)
			if word {
				ids = t.appendWord(ids, rest[:n])
			}
			rest = rest[n:]
		}
		text = text[len(plain):]
		if special >= 0 {
			ids = append(ids, BOS+int32(special))
			text = text[len(specials[special]):]
		}
	}
	return ids
}

// cutSpecial returns the text before the first special token, and which special that is, or -1 when there is none.
func cutSpecial(text string) (plain string, special int) {
	first, special := len(text), -1
	for i, s := range specials {
		if at := strings.Index(text[:min(len(text), first+len(s))], s); at >= 0 && at < first {
			first, special = at, i
		}
	}
	return text[:first], special
}

var contractions = [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// nextWord measures the word at the start of s, as CLIP's pattern divides text: a special token, a contraction, a run of
// letters, one number, or a run of anything else but space. One byte of space is not a word.
func nextWord(s string) (bytes int, word bool) {
	for _, p := range specials {
		if n := foldPrefix(s, p); n > 0 {
			return n, true
		}
	}
	for _, p := range contractions {
		if n := foldPrefix(s, p); n > 0 {
			return n, true
		}
	}
	r, n := utf8.DecodeRuneInString(s)
	switch class := classOf(r); class {
	case space:
		return n, false
	case number:
		return n, true
	default:
		for n < len(s) {
			r, size := utf8.DecodeRuneInString(s[n:])
			if classOf(r) != class {
				break
			}
			n += size
		}
		return n, true
	}
}

// foldPrefix returns how many bytes of s match p, 0 if s does not begin with it. Of the letters that fold to ASCII only the
// long s is left in lower-cased text.
func foldPrefix(s, p string) int {
	n := 0
	for i := range len(p) {
		switch {
		case n < len(s) && s[n] == p[i]:
			n++
		case p[i] == 's' && strings.HasPrefix(s[n:], "ſ"):
			n += len("ſ")
		default:
			return 0
		}
	}
	return n
}

type class uint8

const (
	space class = iota
	letter
	number
	other
)

func classOf(r rune) class {
	switch {
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// Chunk lays ids (from Encode) out for the text encoder by the trainer's rule and returns n·Window ids, n = maxTokens/75:
// the text is cut at maxTokens, padded with EOS, and divided every 75 tokens, wherever that falls; every chunk is BOS, 75
// tokens, EOS. maxTokens is 75, 150 or 225; anything else is an error.
func Chunk(ids []int32, maxTokens int) ([]int32, error) {
	if maxTokens != body && maxTokens != 2*body && maxTokens != 3*body {
		return nil, fault.New(fault.Invalid, "tokenize", "MaxTokens", "%d is not a length the trainer knows", maxTokens).
			Fix("use 75, 150 or 225")
	}
	chunks := make([]int32, 0, maxTokens/body*Window)
	for start := 0; start < maxTokens; start += body {
		chunks = append(chunks, BOS)
		for i := start; i < start+body; i++ {
			if i < len(ids) {
				chunks = append(chunks, ids[i])
			} else {
				chunks = append(chunks, EOS)
			}
		}
		chunks = append(chunks, EOS)
	}
	return chunks, nil
}
