package merge

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Blocks is a weight M for each block of the UNet, as block-weighted merging has it.
type Blocks struct {
	Base float64     // text encoder, autoencoder, and the UNet's time embedding and output
	In   [12]float64 // input blocks IN00 … IN11
	Mid  float64     // M00
	Out  [12]float64 // output blocks OUT00 … OUT11
}

// ParseBlocks reads 26 weights separated by commas: base, IN00 … IN11, M00, OUT00 … OUT11.
func ParseBlocks(list string) (Blocks, error) {
	fields := strings.Split(list, ",")
	var b Blocks
	to := []*float64{&b.Base}
	for i := range b.In {
		to = append(to, &b.In[i])
	}
	to = append(to, &b.Mid)
	for i := range b.Out {
		to = append(to, &b.Out[i])
	}
	if len(fields) != len(to) {
		return b, fault.New(fault.Invalid, "read block weights", "", "%d weights instead of %d", len(fields), len(to)).
			Fix("write base, IN00 … IN11, M00, OUT00 … OUT11")
	}
	for i, f := range fields {
		v, err := strconv.ParseFloat(strings.TrimSpace(f), 64)
		if err != nil || !(v >= -maxWeight && v <= maxWeight) {
			return b, fault.New(fault.Invalid, "read block weights", "", "weight %d is %q", i+1, f).Fix("use numbers from 0 to 1")
		}
		*to[i] = v
	}
	return b, nil
}

// list is the weights in the order of ParseBlocks.
func (b Blocks) list() []float64 {
	return slices.Concat([]float64{b.Base}, b.In[:], []float64{b.Mid}, b.Out[:])
}

// String is the list that ParseBlocks reads.
func (b Blocks) String() string {
	var list []string
	for _, v := range b.list() {
		list = append(list, number(v))
	}
	return strings.Join(list, ",")
}

var unetBlock = regexp.MustCompile(`^model\.diffusion_model\.(input|middle|output)_blocks?\.(\d+)\.`)

// BlockOf names the block a tensor of a single-file checkpoint belongs to: "IN03", "M00", "OUT11"; "BASE" is the rest.
func BlockOf(name string) string {
	m := unetBlock.FindStringSubmatch(name)
	if m == nil {
		return "BASE"
	}
	i, err := strconv.Atoi(m[2])
	if err != nil || i > 99 {
		return "BASE"
	}
	switch m[1] {
	case "input":
		return fmt.Sprintf("IN%02d", i)
	case "output":
		return fmt.Sprintf("OUT%02d", i)
	}
	return "M00"
}

// Weight is the M of a tensor of a single-file checkpoint.
func (b Blocks) Weight(name string) float64 {
	block := BlockOf(name)
	i, _ := strconv.Atoi(block[len(block)-2:]) // BASE has no number and needs none
	switch {
	case block == "M00":
		return b.Mid
	case strings.HasPrefix(block, "IN") && i < len(b.In):
		return b.In[i]
	case strings.HasPrefix(block, "OUT") && i < len(b.Out):
		return b.Out[i]
	}
	return b.Base
}

// order lists the blocks from input to output.
func order() []string {
	out := []string{"BASE"}
	for i := range len(Blocks{}.In) {
		out = append(out, fmt.Sprintf("IN%02d", i))
	}
	out = append(out, "M00")
	for i := range len(Blocks{}.Out) {
		out = append(out, fmt.Sprintf("OUT%02d", i))
	}
	return out
}
