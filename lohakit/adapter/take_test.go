package adapter

import (
	"slices"
	"testing"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// An adapter whose second cores are not trained loses them with their layers.
func TestOnlyLeavesNoCores(t *testing.T) {
	var layers []Layer
	for _, path := range []string{"down_blocks.0.resnets.0.conv1", "down_blocks.0.resnets.0.conv2"} {
		layers = append(layers, Layer{Part: checkpoint.UNet, Path: path, Name: layerName(checkpoint.UNet, path), Shape: []int{4, 6, 3, 3}})
	}
	a, err := build(layers, Spec{Kind: LoHa, Dim: 1, ConvDim: 2, Tucker: true, Compat: CompatLyCORIS012}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Only(func(layer string) bool { return layer == layers[0].Name })
	list, err := a.Tensors()
	if err != nil || len(list) != 7 { // two factors and a core of each product, and alpha
		t.Errorf("%d tensors, %v", len(list), err)
	}
}

// An adapter that cannot be repaired whole stays as it is.
func TestRepairIsWholeOrNot(t *testing.T) {
	cores := func(layer string, r1, r2 int) []checkpoint.Tensor {
		return []checkpoint.Tensor{tensor(layer+".hada_t1", r1, r1, 3, 3), tensor(layer+".hada_w1_a", r1, 4), tensor(layer+".hada_w1_b", r1, 6),
			tensor(layer+".hada_t2", r2, r2, 3, 3), tensor(layer+".hada_w2_a", r2, 4), tensor(layer+".hada_w2_b", r2, 6)}
	}
	list := append(cores("lora_unet_a", 1, 1), cores("lora_unet_b", 1, 2)...)
	for i := range list[3].Data { // another core than the first
		list[3].Data[i] = 0
	}
	a, err := Load(written(t, list...))
	if err != nil {
		t.Fatal(err)
	}
	before := floats(t, a.Params.Get("lora_unet_a.hada_t2"))
	if n, err := a.Repair(); !fault.Is(err, fault.Corrupt) || n != 0 {
		t.Errorf("repaired %d, %v", n, err)
	}
	if !slices.Equal(floats(t, a.Params.Get("lora_unet_a.hada_t2")), before) {
		t.Error("a layer has been changed")
	}
}

// Layers of the same sizes share programs, but not what one of them takes from another adapter later.
func TestTakenAlphaIsOfItsLayer(t *testing.T) {
	var layers []Layer
	for i, path := range []string{"mid_block.attentions.0.proj_in", "mid_block.attentions.0.proj_out"} {
		l := Layer{Part: checkpoint.UNet, Path: path, Name: layerName(checkpoint.UNet, path), Shape: []int{4, 6}}
		if i == 1 {
			l.Shape = []int{4, 6, 1, 1}
		}
		layers = append(layers, l)
	}
	made := func(layers []Layer, alpha float64) *Adapter {
		a, err := build(layers, Spec{Kind: LoHa, Dim: 2, Alpha: alpha}, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		scramble(t, a)
		return a
	}
	weight := func(a *Adapter, l Layer) []float32 {
		w, err := a.Weight(l.Path+".weight", normalTensor(1, l.Shape...), 1)
		if err != nil {
			t.Fatal(err)
		}
		return floats(t, w)
	}
	want := weight(made(layers, 1), layers[1])
	a := made(layers, 1)
	weight(a, layers[0])
	if _, _, err := a.Take(made(layers[:1], 20)); err != nil {
		t.Fatal(err)
	}
	if e := relative(weight(a, layers[1]), want); e != 0 {
		t.Errorf("the other layer's weight is off by %.2g", e)
	}
}
