package checkpoint

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Part is one of the three networks of a Stable Diffusion model.
type Part uint8

// The parts, with the folder of each in a diffusers model.
const (
	UNet Part = iota // unet
	Text             // text_encoder
	VAE              // vae
)

// Parts lists all parts.
var Parts = [...]Part{UNet, Text, VAE}

// String returns the diffusers folder name.
func (p Part) String() string { return [...]string{"unet", "text_encoder", "vae"}[p] }

// prefixes of the parts in a single-file checkpoint, the LDM scheme.
var prefixes = [...]string{"model.diffusion_model.", "cond_stage_model.transformer.", "first_stage_model."}

// Names translates tensor names of one model between the schemes of single-file checkpoints (LDM, after the original code)
// and of diffusers. The two number blocks differently, so the rules depend on the model's depth.
type Names struct {
	toLDM       [3]map[string]string // by part: module path to module path
	toDiffusers map[string]string    // LDM module path to "part:module path"
	parts       map[string]Part
}

// NamesOf derives the rules from the names of a model's tensors, in either scheme or both. Parts that are absent from names get the
// rules of Stable Diffusion 1.x.
func NamesOf(names []string) *Names {
	n := &Names{toDiffusers: map[string]string{}, parts: map[string]Part{}}
	for p := range n.toLDM {
		n.toLDM[p] = map[string]string{}
	}
	n.unet(depthOf(names))
	n.vae(names)
	n.pair(Text, "text_model", "text_model")
	return n
}

// pair records that diffusers' module path and the LDM module path, without the part's prefix, are one.
func (n *Names) pair(p Part, diffusers, ldm string) {
	ldm = prefixes[p] + ldm
	n.toLDM[p][diffusers] = ldm
	n.toDiffusers[ldm] = diffusers
	n.parts[ldm] = p
}

// LDM returns the single-file name of a tensor that diffusers names name in part p.
func (n *Names) LDM(p Part, name string) (string, bool) { return translate(n.toLDM[p], name) }

// Diffusers returns the part and the diffusers name of a tensor in a single-file checkpoint. It knows the ways in which
// text-encoder names vary: without "text_model.", or with it twice.
func (n *Names) Diffusers(name string) (Part, string, bool) {
	name = fixText(name)
	for end := len(name); end > 0; end = strings.LastIndexByte(name[:end], '.') {
		if to, ok := n.toDiffusers[name[:end]]; ok {
			return n.parts[name[:end]], to + name[end:], true
		}
	}
	return 0, "", false
}

// translate replaces the longest module path that rules knows.
func translate(rules map[string]string, name string) (string, bool) {
	for end := len(name); end > 0; end = strings.LastIndexByte(name[:end], '.') {
		if to, ok := rules[name[:end]]; ok {
			return to + name[end:], true
		}
	}
	return "", false
}

// fixText gives text-encoder names their usual form, in a single file or on their own: merges and converters drop
// "text_model." or write it twice.
func fixText(name string) string {
	prefix, rest := "", name
	if r, ok := strings.CutPrefix(name, prefixes[Text]); ok {
		prefix, rest = prefixes[Text], r
	} else if !strings.HasPrefix(name, "text_model.") {
		return name
	}
	for strings.HasPrefix(rest, "text_model.") {
		rest = rest[len("text_model."):]
	}
	return prefix + "text_model." + rest
}

// depth is what the numbering of UNet blocks depends on.
type depth struct {
	layers    int    // residual blocks per level on the way down; one more on the way up
	attention []bool // of each block on the way up
}

var (
	upDiffusers = regexp.MustCompile(`^up_blocks\.(\d{1,3})\.(resnets|attentions)\.(\d{1,3})\.`)
	upLDM       = regexp.MustCompile(`^model\.diffusion_model\.output_blocks\.(\d{1,3})\.([12])\.(conv\.)?`)
	vaeBlock    = regexp.MustCompile(`(?:^|\.)(?:encoder|decoder)\.(?:down|up|down_blocks|up_blocks)\.(\d{1,3})\.(?:block|resnets)\.(\d{1,3})\.`)
)

func depthOf(names []string) depth {
	blocks, layers := -1, -1 // diffusers: the largest indices
	attends := map[int]bool{}
	outputs, firstUp := -1, -1 // LDM: the largest output block, and the first with an upsampler
	for _, name := range names {
		if m := upDiffusers.FindStringSubmatch(name); m != nil {
			block := number(m[1])
			blocks, layers = max(blocks, block), max(layers, number(m[3]))
			attends[block] = attends[block] || m[2] == "attentions"
		}
		if rest, ok := strings.CutPrefix(name, prefixes[UNet]+"output_blocks."); ok {
			index, _, _ := strings.Cut(rest, ".")
			outputs = max(outputs, number(index))
		}
		if m := upLDM.FindStringSubmatch(name); m != nil && m[3] != "" && (firstUp < 0 || number(m[1]) < firstUp) {
			firstUp = number(m[1])
		}
	}
	switch {
	case blocks >= 0:
		d := depth{layers: layers, attention: make([]bool, blocks+1)}
		for b := range d.attention {
			d.attention[b] = attends[b]
		}
		return d
	case outputs >= 0:
		perBlock := outputs + 1 // a single block has no upsampler
		if firstUp >= 0 {
			perBlock = firstUp + 1
		}
		d := depth{layers: perBlock - 1, attention: make([]bool, (outputs+1)/perBlock)}
		for _, name := range names {
			if m := upLDM.FindStringSubmatch(name); m != nil && m[2] == "1" && m[3] == "" && number(m[1])/perBlock < len(d.attention) {
				d.attention[number(m[1])/perBlock] = true
			}
		}
		return d
	}
	return depth{layers: 2, attention: []bool{false, true, true, true}}
}

// number parses digits that a pattern has matched.
func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil || n > 999 {
		return -1
	}
	return n
}

// unet pairs the modules of a UNet; the inside of a transformer is named alike in both schemes.
func (n *Names) unet(d depth) {
	n.pair(UNet, "conv_in", "input_blocks.0.0")
	n.pair(UNet, "time_embedding.linear_1", "time_embed.0")
	n.pair(UNet, "time_embedding.linear_2", "time_embed.2")
	n.pair(UNet, "conv_norm_out", "out.0")
	n.pair(UNet, "conv_out", "out.2")
	resnet := func(diffusers, ldm string) {
		for _, r := range [...][2]string{{"norm1", "in_layers.0"}, {"conv1", "in_layers.2"}, {"time_emb_proj", "emb_layers.1"},
			{"norm2", "out_layers.0"}, {"conv2", "out_layers.3"}, {"conv_shortcut", "skip_connection"}} {
			n.pair(UNet, diffusers+"."+r[0], ldm+"."+r[1])
		}
	}
	for b := range d.attention {
		for j := range d.layers {
			at := fmt.Sprintf("input_blocks.%d.", (d.layers+1)*b+j+1)
			resnet(fmt.Sprintf("down_blocks.%d.resnets.%d", b, j), at+"0")
			n.pair(UNet, fmt.Sprintf("down_blocks.%d.attentions.%d", b, j), at+"1")
		}
		n.pair(UNet, fmt.Sprintf("down_blocks.%d.downsamplers.0.conv", b), fmt.Sprintf("input_blocks.%d.0.op", (d.layers+1)*(b+1)))
	}
	resnet("mid_block.resnets.0", "middle_block.0")
	n.pair(UNet, "mid_block.attentions.0", "middle_block.1")
	resnet("mid_block.resnets.1", "middle_block.2")
	for b, attention := range d.attention {
		for j := range d.layers + 1 {
			at := fmt.Sprintf("output_blocks.%d.", (d.layers+1)*b+j)
			resnet(fmt.Sprintf("up_blocks.%d.resnets.%d", b, j), at+"0")
			if attention {
				n.pair(UNet, fmt.Sprintf("up_blocks.%d.attentions.%d", b, j), at+"1")
			}
		}
		place := 1 // the upsampler comes after the attention, if there is one
		if attention {
			place = 2
		}
		n.pair(UNet, fmt.Sprintf("up_blocks.%d.upsamplers.0.conv", b),
			fmt.Sprintf("output_blocks.%d.%d.conv", (d.layers+1)*b+d.layers, place))
	}
}

// vae pairs the modules of the autoencoder. The decoder counts its levels from the other end. A miniature model may have a
// linear patch autoencoder instead, with the same names in both schemes.
func (n *Names) vae(names []string) {
	levels, blocks := 0, 0
	for _, name := range names {
		if m := vaeBlock.FindStringSubmatch(name); m != nil && !strings.HasPrefix(name, prefixes[UNet]) {
			levels, blocks = max(levels, number(m[1])+1), max(blocks, number(m[2])+1)
		}
	}
	if levels == 0 {
		levels, blocks = 4, 3
	}
	resnet := func(diffusers, ldm string) {
		n.pair(VAE, diffusers, ldm)
		n.pair(VAE, diffusers+".conv_shortcut", ldm+".nin_shortcut")
	}
	for _, side := range []string{"encoder", "decoder"} {
		for _, m := range []string{"conv_in", "conv_out"} {
			n.pair(VAE, side+"."+m, side+"."+m)
		}
		n.pair(VAE, side+".conv_norm_out", side+".norm_out")
		resnet(side+".mid_block.resnets.0", side+".mid.block_1")
		resnet(side+".mid_block.resnets.1", side+".mid.block_2")
		for _, r := range [...][2]string{{"group_norm", "norm"}, {"to_q", "q"}, {"to_k", "k"}, {"to_v", "v"}, {"to_out.0", "proj_out"}} {
			n.pair(VAE, side+".mid_block.attentions.0."+r[0], side+".mid.attn_1."+r[1])
		}
	}
	for b := range levels {
		up := levels - 1 - b
		for j := range blocks {
			resnet(fmt.Sprintf("encoder.down_blocks.%d.resnets.%d", b, j), fmt.Sprintf("encoder.down.%d.block.%d", b, j))
			resnet(fmt.Sprintf("decoder.up_blocks.%d.resnets.%d", b, j), fmt.Sprintf("decoder.up.%d.block.%d", up, j))
		}
		n.pair(VAE, fmt.Sprintf("encoder.down_blocks.%d.downsamplers.0.conv", b), fmt.Sprintf("encoder.down.%d.downsample.conv", b))
		n.pair(VAE, fmt.Sprintf("decoder.up_blocks.%d.upsamplers.0.conv", b), fmt.Sprintf("decoder.up.%d.upsample.conv", up))
	}
	for _, m := range []string{"quant_conv", "post_quant_conv", "patch", "unpatch"} {
		n.pair(VAE, m, m)
	}
}
