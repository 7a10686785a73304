package adapter

import (
	"path/filepath"
	"testing"

	"github.com/lohakit/notebook/lohakit/checkpoint"
)

// A run's adapter, one of another seed and the file of either have one layout; another alpha, size or past behaviour makes another.
func TestLayout(t *testing.T) {
	var layers []Layer
	for _, path := range []string{"mid_block.attentions.0.proj_in", "down_blocks.0.resnets.0.conv1"} { // not in the order of a file
		layers = append(layers, Layer{Part: checkpoint.UNet, Path: path, Name: layerName(checkpoint.UNet, path), Shape: []int{4, 6, 3, 3}})
	}
	made := func(seed uint64, change func(*Spec)) *Adapter {
		spec := Spec{Kind: LoHa, Dim: 1, ConvDim: 2, ConvAlpha: 1, Tucker: true}
		change(&spec)
		a, err := build(layers, spec, seed, nil)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	same := func(*Spec) {}
	a := made(1, same)
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := a.Save(path, nil); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]*Adapter{"other values": made(2, same), "a file": loaded} {
		if other.Layout().Key != a.Layout().Key {
			t.Errorf("%s: %q is not %q", name, other.Layout().Key, a.Layout().Key)
		}
	}
	for name, change := range map[string]func(*Spec){
		"alpha": func(s *Spec) { s.ConvAlpha = 2 }, "dim": func(s *Spec) { s.ConvDim = 3 }, "form": func(s *Spec) { s.Tucker = false },
		"compat": func(s *Spec) { s.Compat = CompatLyCORIS012 }, "kind": func(s *Spec) { s.Kind = LoCon },
		"layers": func(s *Spec) { s.Rules = []Rule{{Match: "mid_block.*", Skip: true}} },
	} {
		if made(1, change).Layout().Key == a.Layout().Key {
			t.Errorf("another %s makes the same layout", name)
		}
	}
}
