package world

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Recipe says how a trained base model came to be. Real base models are families by descent, and so are these: one model from nothing,
// long fine-tunes of it, and short fine-tunes of those.
type Recipe struct {
	Name   string   // the card's
	Parent string   // the model whose weights it started from; "" for the one from nothing
	Looks  []string // what its own pictures look like, whatever their captions say; keys of the style table
	Share  float64  // how many of its pictures have these looks, 0 … 1; the others are the corpus's, in the styles their tags name
	Steps  int      // of 16 pictures
	Polish int      // further steps, which go on from what a file of the model so far holds: Adam and the rate's course begin anew
	LR     float64  // Adam's, after the warm-up
	About  string   // one line for people
}

// Trained are the recipes of the shipped base models, parents first.
var Trained = []Recipe{
	{Name: "miniature", Steps: 6000, LR: 1e-3, About: "vanilla Stable Diffusion's counterpart: everything a little"},

	{Name: "NAI", Parent: "miniature", Looks: []string{"nai"}, Share: 0.5, Steps: 2000, Polish: 2000, LR: 6e-4, About: "the source of most anime models"},
	{Name: "AC", Parent: "miniature", Looks: []string{"ac"}, Share: 0.5, Steps: 1500, Polish: 2000, LR: 6e-4, About: "ACertainty, the other source"},
	{Name: "MFB", Parent: "miniature", Looks: []string{"mfb"}, Share: 0.9, Steps: 700, LR: 8e-4, About: "MyneFactoryBase V1.0, an outlier"},

	{Name: "BP", Parent: "AC", Looks: []string{"bp"}, Share: 0.75, Steps: 150, LR: 4e-4, About: "a look of its own on AC"},
	{Name: "NMFSAN", Parent: "BP", Looks: []string{"nmfsan"}, Share: 0.75, Steps: 150, LR: 4e-4, About: "a look of its own on BP"},
	{Name: "ChilloutMix", Parent: "NAI", Looks: []string{"realistic"}, Share: 0.85, Steps: 150, LR: 4e-4, About: "photorealistic"},
	{Name: "PastelMix", Parent: "NAI", Looks: []string{"pastelmix"}, Share: 0.85, Steps: 150, LR: 4e-4, About: "pale and soft"},
	{Name: "VBP2.2", Parent: "NAI", Looks: []string{"nai", "ac", "bp", "nmfsan", "nep", "fantasy", "pastelmix"}, Share: 0.75, Steps: 200, LR: 4e-4,
		About: "many styles"},
	{Name: "nep", Parent: "NAI", Looks: []string{"nep"}, Share: 0.85, Steps: 150, LR: 4e-4, About: "violet and vivid"},
	{Name: "FantasyBackground", Parent: "NAI", Looks: []string{"fantasy"}, Share: 0.85, Steps: 150, LR: 4e-4, About: "glowing places"},
	{Name: "SaltMix", Parent: "NAI", Looks: []string{"salt"}, Share: 0.85, Steps: 150, LR: 4e-4, About: "looks like MFB, and is not of its family"},
}

// All is the number of steps of both parts.
func (r Recipe) All() int { return r.Steps + r.Polish }

// seed is what the recipe's pictures are drawn from.
func (r Recipe) seed() uint64 {
	if r.Parent == "" {
		return baseSeed
	}
	h := fnv.New64a()
	h.Write([]byte(r.Name))
	return h.Sum64()
}

// picture draws one picture of the recipe's training set and its caption.
func (r Recipe) picture(rng *rand.Rand) (Scene, string) {
	s := Population(rng)
	if r.Share > 0 && rng.Float64() < r.Share {
		s.Style = pick(rng, r.Looks)
	}
	return settle(rng, s)
}

// String says in a line how the model came to be.
func (r Recipe) String() string {
	if r.Parent == "" {
		return fmt.Sprintf("%d steps of %d pictures from nothing, at a learning rate of %g", r.Steps, Chosen.Batch, r.LR)
	}
	steps := strconv.Itoa(r.Steps)
	if r.Polish > 0 {
		steps += fmt.Sprintf(" and then %d", r.Polish)
	}
	return fmt.Sprintf("%s steps of %d pictures from %s, at a learning rate of %g; %.0f %% of them look like %s, whatever their captions say", steps,
		Chosen.Batch, r.Parent, r.LR, 100*r.Share, strings.Join(r.Looks, ", "))
}
