package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/world"
)

// manners are the ways of sampling that world.Manner was chosen from.
var manners = []sample.Options{
	{Sampler: "Euler a", Steps: 20, CFG: 1.5},
	{Sampler: "Euler a", Steps: 20, CFG: 2},
	{Sampler: "Euler a", Steps: 20, CFG: 2.5},
	{Sampler: "Euler a", Steps: 20, CFG: 3},
	{Sampler: "Euler a", Steps: 20, CFG: 4},
	{Sampler: "DDIM", Steps: 20, CFG: 2},
	{Sampler: "DDIM", Steps: 40, CFG: 2},
	{Sampler: "DDIM", Steps: 20, CFG: 2, Eta: 1},
	{Sampler: "Euler", Steps: 20, CFG: 2},
	{Sampler: "Heun", Steps: 20, CFG: 2},
	{Sampler: "DPM++ 2M Karras", Steps: 20, CFG: 2},
}

// scored are the questions whose shares the tables show, roughly in the order in which a model learns to answer them.
var scored = []world.Question{world.AskDrawn, world.AskPlace, world.AskFraming, world.AskThing, world.AskCloth, world.AskHair, world.AskStyle, world.AskGarment,
	world.AskExpression, world.AskAccessory}

// manner examines the student at several guidances and by several samplers, and writes the table to dir.
func manner(dir string) error {
	const n, seed = 100, 8
	ctx := context.Background()
	judge, m, err := examination()
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# How to sample\n\nWritten by `go run ./lohakit/world/make manner`: %s at several guidances and by several samplers, the same %d prompts and seeds. The distance "+
		"is Fréchet's, in the judge's features, between the images and drawings of the same scenes: the less the better. Then the share of the images that show what the "+
		"prompt asked for. Two shares differ for sure only when they are some 0.1 apart.\n\n| sampler | steps | guidance | distance |", student, n)
	rule := "|---|---|---|---|"
	for _, q := range scored {
		b.WriteString(" " + q.String() + " |")
		rule += "---|"
	}
	b.WriteString("\n" + rule + "\n")
	for _, o := range manners {
		r, err := judge.Obey(ctx, m, n, seed, o)
		if err != nil {
			return err
		}
		name := o.Sampler
		if o.Eta != 0 {
			name += fmt.Sprintf(", eta %g", o.Eta)
		}
		of := map[string]world.Share{}
		for _, q := range scored {
			of[q.String()] = r.Accuracy(q)
		}
		row := fmt.Sprintf("| %s | %d | %g | %.0f |%s", name, o.Steps, o.CFG, r.Distance, shares(of))
		fmt.Println(row)
		b.WriteString(row + "\n")
	}
	return os.WriteFile(filepath.Join(dir, "manner.md"), []byte(b.String()), 0o644)
}

// shares are the cells of a table's row.
func shares(of map[string]world.Share) string {
	row := ""
	for _, q := range scored {
		row += fmt.Sprintf(" %.2f |", of[q.String()].Rate())
	}
	return row
}
