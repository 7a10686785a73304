package adapter

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Blocks are numbered as kohya's trainer does, by a model's structure: 0 is the first convolution, which it leaves alone; then come the blocks
// downwards, a resnet with the attention after it being one, and a downsampler one; the middle; the blocks upwards, in which an
// upsampler belongs to the last resnet. Stable Diffusion 1.x has 12 downwards, with the first convolution, 1 and 12 upwards.

var blockPath = regexp.MustCompile(`^(up|down)_blocks\.(\d+)\.(resnets|attentions|upsamplers|downsamplers)\.(\d+)\.`)

// perLevel is how many blocks there are at each level of a UNet, a resnet more than it has downwards, and half the number of all but the middle.
func perLevel(layers []Layer) (perLevel, half int) {
	levels, resnets := 0, 0
	for _, l := range layers {
		if m := blockPath.FindStringSubmatch(l.Path); m != nil && m[1] == "down" {
			level, _ := strconv.Atoi(m[2])
			levels = max(levels, level+1)
			if i, _ := strconv.Atoi(m[4]); m[3] == "resnets" {
				resnets = max(resnets, i+1)
			}
		}
	}
	return resnets + 1, levels * (resnets + 1)
}

// Blocks is the number of blocks of the UNet among layers: 25 for Stable Diffusion 1.x.
func Blocks(layers []Layer) int {
	_, half := perLevel(layers)
	return 2*half + 1
}

// enumerate sets the blocks of a model's layers.
func enumerate(layers []Layer) {
	each, half := perLevel(layers)
	for i, l := range layers {
		layers[i].Block = l.block(each, half)
	}
}

func (l Layer) block(each, half int) int {
	if l.Part != checkpoint.UNet {
		return -1
	}
	if strings.HasPrefix(l.Path, "mid_block.") {
		return half
	}
	m := blockPath.FindStringSubmatch(l.Path)
	if m == nil {
		return -1
	}
	level, _ := strconv.Atoi(m[2])
	i, _ := strconv.Atoi(m[4])
	if strings.HasSuffix(m[3], "samplers") {
		i = each - 1
	}
	if m[1] == "up" {
		level += half / each
	}
	return level*each + i + 1
}

// ofBlock sets dim and alpha of a layer in a block; ok is false if the block is to be left alone.
func (ls *layerSpec) ofBlock(l Layer) (ok bool) {
	if l.Block < 0 {
		return true
	}
	dims, alphas := ls.BlockDims, ls.BlockAlphas
	if l.spatial() {
		dims, alphas = ls.ConvBlockDims, ls.ConvBlockAlphas
	}
	if len(alphas) > 0 {
		ls.alpha = alphas[l.Block]
	}
	if len(dims) > 0 {
		ls.dim = dims[l.Block]
		return ls.dim > 0
	}
	return true
}

// checkBlocks returns a fault for lists by block that are not as long as layers' model has blocks.
func (s Spec) checkBlocks(layers []Layer) error {
	n := Blocks(layers)
	for _, list := range []struct {
		field  string
		length int
	}{{"BlockDims", len(s.BlockDims)}, {"BlockAlphas", len(s.BlockAlphas)}, {"ConvBlockDims", len(s.ConvBlockDims)}, {"ConvBlockAlphas", len(s.ConvBlockAlphas)}} {
		if list.length != 0 && list.length != n {
			return fault.New(fault.Invalid, "adapter", list.field, "%d values for a UNet of %d blocks", list.length, n).
				Fix("give one for each: the first convolution, %d downwards, the middle, %d upwards", n/2-1, n/2)
		}
	}
	return nil
}
