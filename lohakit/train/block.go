package train

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/adapter"
)

// blockRates are the shares of the UNet's learning rate that its blocks have, numbered as adapter.Blocks counts them; nil if all have it whole. The
// blocks downwards and upwards, half as many each, begin with the first convolution's and the middle's neighbour. As in kohya's trainer
// shares at or below BlockLRZeroThreshold are 0, which leaves the block out, and lists are cut off or filled up with 1.
func (c Config) blockRates(blocks int) ([]float64, error) {
	if c.DownLRWeight == "" && c.MidLRWeight == "" && c.UpLRWeight == "" {
		return nil, nil
	}
	var all []float64
	for _, part := range []struct {
		field, text string
		n           int
	}{{"DownLRWeight", c.DownLRWeight, blocks / 2}, {"MidLRWeight", c.MidLRWeight, 1}, {"UpLRWeight", c.UpLRWeight, blocks / 2}} {
		shares, err := lrShares(part.text, part.n)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.field, err)
		}
		for i := range part.n {
			share := 1.0
			if part.text != "" && i < len(shares) {
				share = shares[i]
			}
			if part.text != "" && share <= c.BlockLRZeroThreshold {
				share = 0
			}
			all = append(all, share)
		}
	}
	return all, nil
}

// lrShares reads numbers separated by commas, where nothing stands for 0, or the name of a curve over n blocks, "sine+.25" being a quarter higher.
func lrShares(text string, n int) (shares []float64, err error) {
	name, base, more := strings.Cut(text, "+")
	curve, ok := lrCurves[name]
	if !ok {
		for _, word := range strings.Split(text, ",") {
			v := 0.0
			if word = strings.TrimSpace(word); word != "" {
				if v, err = strconv.ParseFloat(word, 64); err != nil || !(v >= 0) || math.IsInf(v, 0) {
					return nil, fmt.Errorf("%q is neither a list of numbers nor cosine, sine, linear, reverse_linear or zeros", text)
				}
			}
			shares = append(shares, v)
		}
		return shares, nil
	}
	offset := 0.0
	if more {
		if offset, err = strconv.ParseFloat(base, 64); err != nil || !(offset >= 0) || math.IsInf(offset, 0) {
			return nil, fmt.Errorf("%q is not a number to add to %s", base, name)
		}
	}
	for i := range n {
		shares = append(shares, curve(float64(i)/float64(max(n-1, 1)))+offset)
	}
	return shares, nil
}

// lrCurves are kohya's curves, from the first block at 0 to the last at 1.
var lrCurves = map[string]func(x float64) float64{
	"cosine":         func(x float64) float64 { return math.Sin(math.Pi / 2 * (1 - x)) },
	"sine":           func(x float64) float64 { return math.Sin(math.Pi / 2 * x) },
	"linear":         func(x float64) float64 { return x },
	"reverse_linear": func(x float64) float64 { return 1 - x },
	"zeros":          func(float64) float64 { return 0 },
}

// leftOut are the layers that UNetOnly, TextOnly and blocks of rate 0 leave as they are.
func (c Config) leftOut(layers []adapter.Layer) (map[string]bool, error) {
	rates, err := c.blockRates(adapter.Blocks(layers))
	left := map[string]bool{}
	for _, l := range layers {
		left[l.Name] = c.leavesOut(l.Name) || rates != nil && l.Block >= 0 && rates[l.Block] == 0
	}
	return left, err
}

// leavesOut reports whether UNetOnly or TextOnly leaves a layer as it is, also one that no preset adapts but a file may.
func (c Config) leavesOut(layer string) bool {
	text := strings.HasPrefix(layer, "lora_te_")
	return text && c.UNetOnly || !text && c.TextOnly
}

// plannedSpec is what adapts the layers: Spec without those that are left out.
func (c Config) plannedSpec(layers []adapter.Layer) (adapter.Spec, error) {
	spec := c.Spec
	left, err := c.leftOut(layers)
	var skip []adapter.Rule
	for _, l := range layers {
		if left[l.Name] {
			skip = append(skip, adapter.Rule{Match: l.Name, Skip: true})
		}
	}
	spec.Rules = append(skip, spec.Rules...)
	return spec, err
}

// rateFactor is what a trained tensor's rate is multiplied with: its block's share, and LoRA+'s ratio for a second factor.
func (c Config) rateFactor(rates []float64, l adapter.Layer, suffix string) float64 {
	factor := 1.0
	if rates != nil && l.Block >= 0 {
		factor = rates[l.Block]
	}
	if suffix == "lora_up.weight" {
		ratio := c.LoRAPlusUNet
		if strings.HasPrefix(l.Name, "lora_te_") {
			ratio = c.LoRAPlusText
		}
		factor *= orDefault(orDefault(ratio, c.LoRAPlus), 1)
	}
	return factor
}
