package train

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Rates by block are read as kohya's trainer reads them: see ../adapter/testdata/record_kohya.py.
func TestBlockRatesAreKohyas(t *testing.T) {
	var recorded struct {
		Weights []struct {
			Args  map[string]string
			Rates []float64
		}
	}
	data, err := os.ReadFile("../adapter/testdata/kohya.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &recorded); err != nil || len(recorded.Weights) != 10 {
		t.Fatal(len(recorded.Weights), err)
	}
	for _, want := range recorded.Weights {
		text, _ := json.Marshal(want.Args)
		in, err := ImportHeader(map[string]string{"ss_network_module": "networks.lora", "ss_network_args": string(text)})
		if err != nil || len(in.Notes) > 0 {
			t.Fatalf("%s: %v, %v", text, in.Notes, err)
		}
		rates, err := in.Config.blockRates(25)
		if err != nil || len(rates) != len(want.Rates) {
			t.Fatalf("%s: %v, %v", text, rates, err)
		}
		for i := range rates {
			if math.Abs(rates[i]-want.Rates[i]) > 1e-12 || (rates[i] == 0) != (want.Rates[i] == 0) {
				t.Errorf("%s: block %d has %v, kohya's %v", text, i, rates[i], want.Rates[i])
			}
		}
	}
	for _, text := range []string{"sin", "1;2", "linear+", "-1", "0.5,nan"} {
		c := Default()
		if c.UpLRWeight = text; c.Check() == nil {
			t.Errorf("%q passed", text)
		}
	}
}

// A block of rate 0 is not adapted, and tensors of blocks with other rates, and second factors with LoRA+, have a slot of their own.
func TestSlotsHaveTheirBlocksRate(t *testing.T) {
	cfg := Default()
	cfg.Kind, cfg.Tucker, cfg.ConvDim = adapter.LoRA, false, 0
	cfg.DownLRWeight, cfg.MidLRWeight, cfg.UpLRWeight, cfg.LoRAPlusUNet = "zeros", "0.5", "linear+1", 4
	model := tinyModel(t)
	layers := adapter.Layers(model.Config)
	spec, err := cfg.plannedSpec(layers)
	if err != nil {
		t.Fatal(err)
	}
	a, err := adapter.New(model, spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	// The miniature has a level with one resnet: a block downwards beside the first convolution, a middle, and two upwards.
	want := map[int]float64{-1: 1, 2: 0.5, 3: 1, 4: 2}
	blocks := map[string]int{}
	for _, l := range layers {
		blocks[l.Name] = l.Block
	}
	n := newNetwork(model, a, cfg)
	seen := map[float64]bool{}
	for _, s := range n.slots {
		for _, name := range s.names {
			layer, suffix := name[:len(name)-len(".lora_up.weight")], "up"
			if _, ok := blocks[layer]; !ok {
				layer, suffix = name[:len(name)-len(".lora_down.weight")], "down"
			}
			share, ok := want[blocks[layer]]
			if !ok {
				t.Errorf("%s is trained, at no rate", name)
			}
			if suffix == "up" && s.rate == 0 {
				share *= 4
			}
			if s.share != share {
				t.Errorf("%s has %v of its rate, want %v", name, s.share, share)
			}
			seen[s.share] = true
		}
	}
	if len(seen) != 5 { // 0.5, 1, 2 and four times each
		t.Errorf("shares %v", seen)
	}
}

// A rate for one block leaves out the layers of no other, whether a kind has dims or not: with all blocks at rate 1 what is adapted is what is
// adapted without.
func TestBlockRatesLeaveTheRest(t *testing.T) {
	layers := adapter.Layers(sd.SD1Config())
	for _, kind := range adapter.Kinds() {
		cfg := Default()
		cfg.Kind, cfg.ConvDim = kind, 0
		want := len(cfg.Spec.Select(layers))
		for weight, left := range map[string]int{"1": 0, "0": blockSize(cfg.Spec.Select(layers), 12)} {
			cfg.MidLRWeight = weight
			spec, err := cfg.plannedSpec(layers)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(spec.Select(layers)); got != want-left {
				t.Errorf("%s with the middle block at %s: %d layers, want %d", kind, weight, got, want-left)
			}
		}
	}
}

// blockSize is how many of the layers are of a block.
func blockSize(layers []adapter.Layer, block int) (n int) {
	for _, l := range layers {
		if l.Block == block {
			n++
		}
	}
	return n
}
