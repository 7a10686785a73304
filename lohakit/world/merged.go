package world

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/merge"
)

// Orange is how the models of the Anything and Orange family, and those near it, are merged from the trained ones.
const Orange = `# The Anything and Orange family
Anything4.5 = NAI + VBP2.2, 0.3, fp16, safetensors
Counterfeit-V2.5 = __O1__ + PastelMix, 0.3, fp16, safetensors
Aom3a1 = __O1__ + ChilloutMix, 0.25, fp16, safetensors
AnyLora = __O1__ + __O2__, 0.5, fp16, safetensors
NED = __O4__ + ChilloutMix, 0.5, fp16, safetensors
RacyMix = PastelMix + __O2__, 0.35, fp16, safetensors
Mix-Pro-V3 = __O2__ + __O3__, 0.5, fp16, safetensors
`

// Average is the card's recipe of AleaMix and its forerunners, word for word.
const Average = `# Recipe for average merge
tmp1 = nai-full-pruned + bp_nman_e29, 0.5, fp16, ckpt
tmp2 = __O1__ + nep, 0.333, fp16, ckpt
tmp3 = __O2__ + Pastel-Mix, 0.25, fp16, ckpt
tmp4 = __O3__ + fantasyBackground_v10PrunedFp16, 0.2, fp16, ckpt
tmp5 = __O4__ + MyneFactoryBase_V1.0, 0.166, fp16, ckpt
AleaMix = __O5__ + anylora_FTMSE, 0.142, fp16, ckpt
`

// AddDifference is the card's recipe of AleaMix-ad and its forerunners, word for word.
const AddDifference = `# Recipe for add difference merge
tmp1 = nai-full-pruned + bp_nman_e29, 0.5, fp16, ckpt
tmp2-ad = __O1__ + nep + nai-full-pruned, 0.5, fp16, safetensors
tmp3-ad = __O2__ + Pastel-Mix + nai-full-pruned, 0.5, fp16, safetensors
tmp4-ad = __O3__ + fantasyBackground_v10PrunedFp16 + nai-full-pruned, 0.5, fp16, safetensors
tmp5-ad = __O4__ + MyneFactoryBase_V1.0 + nai-full-pruned, 0.5, fp16, safetensors
AleaMix-ad = __O5__ + anylora_FTMSE + nai-full-pruned, 0.5, fp16, safetensors
`

// The card's recipes name files; these are the models they hold. "bp_nman_e29" is a BP trained to epoch 29.
var aliases = map[string]string{
	"nai-full-pruned": "NAI", "bp_nman_e29": "BP", "Pastel-Mix": "PastelMix", "fantasyBackground_v10PrunedFp16": "FantasyBackground",
	"MyneFactoryBase_V1.0": "MFB", "anylora_FTMSE": "AnyLora",
}

// recipes are those of all merged models, parsed.
var recipes = func() []*merge.Recipe {
	var out []*merge.Recipe
	for _, text := range []string{Orange, Average, AddDifference} {
		r, err := merge.Parse(text)
		if err != nil {
			panic(err) // the texts are constants above
		}
		out = append(out, r)
	}
	return out
}()

// MergeOf returns the recipe that makes a merged model, cut after its line, or nil for a model that is trained or unknown.
func MergeOf(name string) *merge.Recipe {
	for _, r := range recipes {
		if i := slices.IndexFunc(r.Lines, func(l merge.Line) bool { return strings.EqualFold(l.Out, name) }); i >= 0 {
			return &merge.Recipe{Lines: r.Lines[:i+1], Variables: r.Variables}
		}
	}
	return nil
}

// mixed returns the file of the recipe's last result, in the user's cache folder. It is computed unless it is there already, made by the
// same lines from the same models.
func mixed(r *merge.Recipe) (string, error) {
	const op = "open model"
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fault.New(fault.IO, op, r.Lines[len(r.Lines)-1].Out, "no folder for merged models: %w", err).Fix("set HOME or XDG_CACHE_HOME")
	}
	folder := filepath.Join(cache, "lohakit", "world")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fault.New(fault.IO, op, folder, "%w", err).Fix("set XDG_CACHE_HOME to a folder that may be written to")
	}
	results, err := r.Run(context.Background(), merge.Options{Models: Find, Folder: folder})
	if err != nil {
		return "", err
	}
	return results[len(results)-1].Path, nil
}
