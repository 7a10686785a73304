package sd

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
)

func recordedText(t testing.TB, file string, heads int) (recorded map[string]*tensors.Tensor, p *Params, c TextConfig) {
	t.Helper()
	recorded, p = fixture(t, file, "weights.")
	var ids []int32
	if compact := recorded["token_ids"]; compact != nil {
		ids = tensors.MustCopyFlatData[int32](compact)
	}
	c, err := TextConfigOf(p, heads, ids)
	if err != nil {
		t.Fatal(err)
	}
	return recorded, p, c
}

func TestTextEncoderAgainstReference(t *testing.T) {
	recorded, p, c := recordedText(t, "text.safetensors", 4)
	compareTextStates(t, recorded, p, c, 1, 2, 3)
	compareTextGradients(t, recorded, p, c)
}

// compareTextStates compares the states of 1, 2 and 3 chunks at each clip skip.
func compareTextStates(t *testing.T, recorded map[string]*tensors.Tensor, p *Params, c TextConfig, skips ...int) {
	for n := 1; n <= 3; n++ {
		states := evaluate(t, p, func(w Weights, in []*Node) (all []*Node) {
			for _, skip := range skips {
				all = append(all, Context(c, w, in[0], skip))
			}
			return all
		}, recorded[fmt.Sprintf("ids.%d", n)])
		for i, skip := range skips {
			compare(t, fmt.Sprintf("%d chunks, clip skip %d", n, skip), states[i], recorded[fmt.Sprintf("states.%d.%d", n, skip)])
		}
	}
}

func compareTextGradients(t *testing.T, recorded map[string]*tensors.Tensor, p *Params, c TextConfig) {
	var names []string
	for name := range recorded {
		if weight, ok := strings.CutPrefix(name, "gradient."); ok {
			names = append(names, weight)
		}
	}
	slices.Sort(names)
	gradients := evaluate(t, p, func(w Weights, in []*Node) []*Node {
		var with []*Node
		for _, name := range names {
			with = append(with, w.Get(name))
		}
		return Gradient(ReduceAllSum(Mul(TextEncoder(c, w, in[0], 2), in[1])), with...)
	}, recorded["ids.1"], recorded["projection"])
	for i, name := range names {
		compare(t, name, gradients[i], recorded["gradient."+name])
	}
}

func TestEncodeText(t *testing.T) {
	recorded, p, c := recordedText(t, "text.safetensors", 4)
	m := &Model{Config: Config{Text: c}, Text: p}
	ids := tensors.MustCopyFlatData[int32](recorded["ids.2"])
	states, err := m.EncodeText(slices.Collect(slices.Chunk(ids, 2*Window)), 2)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "states", states, recorded["states.2.2"])

	m.Text = NewParams() // the same weights in another order, as another file may have them
	for _, name := range slices.Backward(p.Names()) {
		m.Text.Set(name, p.Get(name))
	}
	if states, err = m.EncodeText(slices.Collect(slices.Chunk(ids, 2*Window)), 2); err != nil {
		t.Fatal(err)
	}
	compare(t, "states of replaced weights", states, recorded["states.2.2"])
}

func TestTextErrors(t *testing.T) {
	_, p, c := recordedText(t, "text.safetensors", 4)
	m := &Model{Config: Config{Text: c}, Text: p}
	chunk, err := Chunk(nil, 75)
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"clip skip 0":   func() error { _, err := m.EncodeText([][]int32{chunk}, 0); return err },
		"clip skip 4":   func() error { _, err := m.EncodeText([][]int32{chunk}, 4); return err },
		"no prompts":    func() error { _, err := m.EncodeText(nil, 1); return err },
		"not chunked":   func() error { _, err := m.EncodeText([][]int32{{1, 2}}, 1); return err },
		"two lengths":   func() error { _, err := m.EncodeText([][]int32{chunk, append(chunk, chunk...)}, 1); return err },
		"no such token": func() error { _, err := m.EncodeText([][]int32{slices.Repeat([]int32{-1}, Window)}, 1); return err },
	} {
		if err := call(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTextConfigCheck(t *testing.T) {
	for name, change := range map[string]func(c *TextConfig){
		"width":      func(c *TextConfig) { c.Width = 0 },
		"heads":      func(c *TextConfig) { c.Heads = 5 },
		"rows":       func(c *TextConfig) { c.TokenIDs = nil },
		"no buckets": func(c *TextConfig) { c.Rows = len(c.TokenIDs) },
		"twice":      func(c *TextConfig) { c.TokenIDs = []int32{3, 3} },
		"negative":   func(c *TextConfig) { c.TokenIDs = []int32{-1} },
		"too large":  func(c *TextConfig) { c.TokenIDs = []int32{vocabulary} },
	} {
		c := tiny().Text
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := c.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
