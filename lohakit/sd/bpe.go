package sd

import (
	"bytes"
	"compress/gzip"
	"container/heap"
	_ "embed" // the merges
	"fmt"
	"io"
	"strings"
	"sync"
)

//go:embed vocab/bpe_merges.txt.gz
var mergesGzip []byte // licence in vocab/LICENSE

const (
	numMerges  = 48894
	firstMerge = 512 // ids below: 256 bytes, then the same 256 at the end of a word
)

// Tokenizer is the byte-pair encoding of CLIP: 49,408 tokens. It is immutable and safe for concurrent use.
type Tokenizer struct {
	tokens []string           // by id, in the printable alphabet of the vocabulary file; "</w>" ends a word
	merge  map[[2]int32]int32 // two neighbouring ids → the id of their union; a lower id is merged first
	byteID [256]int32         // a byte inside a word; at its end, +256
	byteOf map[rune]byte      // the printable alphabet, back to bytes
}

// CLIP returns the tokenizer of every SD 1.x model, decoded from the vocabulary in this binary at the first call (about 30 ms).
var CLIP = sync.OnceValue(func() *Tokenizer {
	t, err := readMerges(mergesGzip)
	if err != nil {
		panic("sd: embedded vocabulary: " + err.Error()) // the binary itself is damaged
	}
	return t
})

func readMerges(gz []byte) (*Tokenizer, error) {
	unzip, err := gzip.NewReader(bytes.NewReader(gz))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(unzip)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != 1+numMerges {
		return nil, fmt.Errorf("%d lines instead of %d", len(lines), 1+numMerges)
	}
	t := &Tokenizer{merge: make(map[[2]int32]int32, numMerges), byteOf: make(map[rune]byte, 256)}
	ids := make(map[string]int32, int(EOS)+1)
	add := func(token string) {
		ids[token] = int32(len(t.tokens))
		t.tokens = append(t.tokens, token)
	}
	for i, char := range byteAlphabet() {
		add(string(char.print))
		t.byteID[char.b] = int32(i)
		t.byteOf[char.print] = char.b
	}
	for i := range 256 {
		add(t.tokens[i] + "</w>")
	}
	for _, line := range lines[1:] {
		left, right, _ := strings.Cut(line, " ")
		a, okA := ids[left]
		b, okB := ids[right]
		if !okA || !okB {
			return nil, fmt.Errorf("merge %q uses a token not defined before it", line)
		}
		t.merge[[2]int32{a, b}] = int32(len(t.tokens))
		add(left + right)
	}
	for _, s := range specials {
		add(s)
	}
	return t, nil
}

type alphabetChar struct {
	b     byte
	print rune
}

// byteAlphabet lists the 256 bytes in the order of their ids with the character that stands for each in the vocabulary file:
// the printable bytes of Latin-1 for themselves, then the rest as U+0100 onwards.
func byteAlphabet() []alphabetChar {
	var printable, rest []alphabetChar
	for b := range 256 {
		if '!' <= b && b <= '~' || 0xA1 <= b && b <= 0xAC || 0xAE <= b {
			printable = append(printable, alphabetChar{byte(b), rune(b)})
		} else {
			rest = append(rest, alphabetChar{byte(b), rune(256 + len(rest))})
		}
	}
	return append(printable, rest...)
}

// appendWord appends the ids of one word. Of all neighbours that the vocabulary can merge, the earliest merge goes first,
// the leftmost of equals before the others.
func (t *Tokenizer) appendWord(ids []int32, word string) []int32 {
	for i, s := range specials {
		if word == s {
			return append(ids, BOS+int32(i))
		}
	}
	w := &wordMerger{merge: t.merge, parts: make([]part, len(word))}
	for i := range len(word) {
		w.parts[i] = part{id: t.byteID[word[i]], prev: i - 1, next: i + 1}
	}
	w.parts[len(word)-1].id += 256
	for i := range len(word) - 1 {
		w.offer(i)
	}
	for len(w.queue) > 0 {
		w.apply(heap.Pop(w).(candidate))
	}
	for i := 0; i < len(w.parts); i = w.parts[i].next {
		ids = append(ids, w.parts[i].id)
	}
	return ids
}

// wordMerger is one word while it is merged: a linked list of parts and a queue of the merges that are possible.
type wordMerger struct {
	merge map[[2]int32]int32
	parts []part
	queue []candidate
}

type part struct {
	id         int32
	prev, next int // next == len(parts) after the last; a part merged away has id -1
}

type candidate struct {
	merged int32 // the id of the union
	at     int   // its left part
	pair   [2]int32
}

// offer queues the merge of the part at i with the next one, if there is one.
func (w *wordMerger) offer(i int) {
	if i < 0 || w.parts[i].next >= len(w.parts) {
		return
	}
	pair := [2]int32{w.parts[i].id, w.parts[w.parts[i].next].id}
	if merged, ok := w.merge[pair]; ok {
		heap.Push(w, candidate{merged, i, pair})
	}
}

// apply carries a merge out, unless one of its parts has been merged with another neighbour since.
func (w *wordMerger) apply(c candidate) {
	left := &w.parts[c.at]
	if left.id != c.pair[0] || left.next >= len(w.parts) || w.parts[left.next].id != c.pair[1] {
		return
	}
	right := &w.parts[left.next]
	left.id, right.id = c.merged, -1
	left.next = right.next
	if left.next < len(w.parts) {
		w.parts[left.next].prev = c.at
	}
	w.offer(left.prev)
	w.offer(c.at)
}

// Len, Less, Swap, Push and Pop make the queue a heap.
func (w *wordMerger) Len() int { return len(w.queue) }
func (w *wordMerger) Less(i, j int) bool {
	a, b := w.queue[i], w.queue[j]
	return a.merged < b.merged || a.merged == b.merged && a.at < b.at
}
func (w *wordMerger) Swap(i, j int) { w.queue[i], w.queue[j] = w.queue[j], w.queue[i] }
func (w *wordMerger) Push(x any)    { w.queue = append(w.queue, x.(candidate)) }
func (w *wordMerger) Pop() any {
	last := w.queue[len(w.queue)-1]
	w.queue = w.queue[:len(w.queue)-1]
	return last
}

// Decode returns the text of ids, a space after every word and the specials left out; unknown ids are skipped.
func (t *Tokenizer) Decode(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if id < 0 || id >= BOS {
			continue
		}
		chars, wordEnd := strings.CutSuffix(t.tokens[id], "</w>")
		for _, r := range chars {
			b.WriteByte(t.byteOf[r])
		}
		if wordEnd {
			b.WriteByte(' ')
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}
