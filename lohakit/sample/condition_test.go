package sample

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/sd"
)

// words is n tokens, each of one word.
func words(n int) string { return strings.TrimSpace(strings.Repeat("cat ", n)) }

// filled counts the tokens of each chunk.
func filled(chunks []Chunk) (out []int) {
	for _, c := range chunks {
		n := 0
		for _, id := range c.IDs[1 : sd.Window-1] {
			if id != sd.EOS {
				n++
			}
		}
		out = append(out, n)
	}
	return out
}

// TestChunksAsWebUIs checks the rule at its edges: full chunks, commas within and beyond reach, BREAK.
func TestChunksAsWebUIs(t *testing.T) {
	for _, c := range []struct {
		prompt string
		want   []int
	}{
		{"", []int{0}},
		{words(75), []int{75}},
		{words(76), []int{75, 1}},
		{words(60) + ", " + words(20), []int{61, 20}}, // the comma is the 61st token, 14 before the end
		{words(55) + ", " + words(30), []int{56, 30}}, // the comma is 20 places back when the chunk is full
		{words(54) + ", " + words(30), []int{75, 10}}, // 21: too far back
		{words(75) + ", " + words(2), []int{75, 3}},   // a comma itself does not move anything
		{words(3) + " BREAK " + words(2), []int{3, 2}},
		{"BREAK", []int{0}},
		{words(60) + ", " + words(20) + " BREAK dog", []int{61, 20, 1}},
	} {
		got := filled(Chunks(Attention(c.prompt), sd.NewLexicon()))
		same := len(got) == len(c.want)
		for i := 0; same && i < len(got); i++ {
			same = got[i] == c.want[i]
		}
		if !same {
			t.Errorf("%.30q…: chunks of %v tokens, want %v", c.prompt, got, c.want)
		}
	}
	c := Chunks(Attention("a (cat:1.5)"), sd.NewLexicon())[0]
	if c.IDs[0] != sd.BOS || c.IDs[sd.Window-1] != sd.EOS || c.Weights[0] != 1 || c.Weights[1] != 1 || c.Weights[2] != 1.5 || c.Weights[3] != 1 {
		t.Errorf("ids %v, weights %v", c.IDs[:5], c.Weights[:5])
	}
}

// An embedding stays whole, as in the web UIs: what does not fit goes to the next chunk, and its weight is that of all its vectors.
func TestChunksWithEmbeddings(t *testing.T) {
	five := sd.NewLexicon(sd.Embedding{Name: "tilty", Rows: tensors.FromFlatDataAndDimensions(make([]float32, 10), 5, 2)})
	for _, c := range []struct {
		prompt string
		want   []int
	}{
		{words(70) + " tilty", []int{75}},
		{words(71) + " tilty", []int{71, 5}},
		{words(73) + ", tilty", []int{74, 5}},
		{words(74) + ", tilty dog", []int{75, 6}},
		{words(60) + ", " + words(12) + " tilty dog", []int{73, 6}},
	} {
		if got := filled(Chunks(Attention(c.prompt), five)); !slices.Equal(got, c.want) {
			t.Errorf("%.30q…: chunks of %v tokens, want %v", c.prompt, got, c.want)
		}
	}
	c := Chunks(Attention("a (Tilty:1.5) cat"), five)[0]
	if !slices.Equal(c.Weights[:8], []float64{1, 1, 1.5, 1.5, 1.5, 1.5, 1.5, 1}) || c.IDs[2] != sd.EOS+1 || c.IDs[6] != sd.EOS+5 {
		t.Errorf("ids %v, weights %v", c.IDs[:8], c.Weights[:8])
	}
}

// TestEmphasisKeepsTheMean checks that weighted states keep the mean of all, and their ratios among each other.
func TestEmphasisKeepsTheMean(t *testing.T) {
	z := []float32{1, 2, 3, 4, 5, 9}
	emphasize(z, []float64{1, 1.5, 1}, 2)
	sum := 0.0
	for _, v := range z {
		sum += float64(v)
	}
	if math.Abs(sum-24) > 1e-5 || math.Abs(float64(z[2]/z[0])-4.5) > 1e-5 {
		t.Errorf("weighted states %v, sum %v", z, sum)
	}
	zero := []float32{1, -1}
	emphasize(zero, []float64{0, 0}, 1)
	if zero[0] != 0 || zero[1] != 0 {
		t.Errorf("weight 0 leaves %v", zero)
	}
}
