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
