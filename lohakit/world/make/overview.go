package main

import (
	"context"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/merge"
	"github.com/lohakit/notebook/lohakit/world"
)

// overview writes the page of all base models: a table of where they come from, and how far they are from each other, by their weights and
// by what the judge sees.
func overview(ctx context.Context, judge *world.Examiner, dir string) error {
	var b strings.Builder
	b.WriteString("# The base models\n\nWritten by `go run ./lohakit/world/make card`. The trained ones are shipped; the merged ones are computed when they are first " +
		"opened. Why they are trained as they are: [choices](choices.md); why they are sampled as they are: [manner](manner.md).\n\n| model | how it came to be |\n|---|---|\n")
	var names, paths []string
	for _, name := range examined() {
		path, err := world.Find(name)
		if err != nil {
			return err
		}
		names, paths = append(names, name), append(paths, path)
		fmt.Fprintf(&b, "| [%s](%[1]s.md) | %s |\n", name, strings.TrimSuffix(origin(name), "."))
	}
	weights, err := merge.Measure(ctx, names, paths, nil)
	if err != nil {
		return err
	}
	tree, err := weights.PlotTree(chart.Look{Title: "distance of the weights", Width: 900, Height: 600})
	if err != nil {
		return err
	}
	if err := save(filepath.Join(dir, "families.png"), tree); err != nil {
		return err
	}
	verdicts := make([][]world.Verdict, len(names))
	images := make([][]float64, len(names))
	for i, name := range names {
		if verdicts[i], err = own(ctx, judge, name); err != nil {
			return err
		}
		images[i] = make([]float64, len(names))
		for j := range i {
			d, err := world.Distance(verdicts[i], verdicts[j])
			if err != nil {
				return err
			}
			images[i][j], images[j][i] = d, d
		}
	}
	heat, err := chart.Heat(chart.Look{Title: "distance of the images, as the judge sees them", Width: 900, Height: 800}, names, names, images)
	if err != nil {
		return err
	}
	if err := save(filepath.Join(dir, "looks.png"), heat); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n## How far they are apart\n\nBy their weights, ‖A − B‖ / √(‖A‖·‖B‖), joined by mean distance (UPGMA); and by %d images of each, whose prompts name no "+
		"style (Fréchet distance in the judge's features).\n\n![tree](families.png)\n\n![distances](looks.png)\n\n| family | mean distance inside: weights, images | "+
		"to the other trained models: weights, images |\n|---|---|---|\n", len(verdicts[0]))
	for _, f := range world.Families {
		inside, outside := meanDistances(f.Models, names, weights.Of, images)
		fmt.Fprintf(&b, "| %s: %s | %.3f, %.1f | %.3f, %.1f |\n", f.Name, strings.Join(f.Models, ", "), inside[0], inside[1], outside[0], outside[1])
	}
	b.WriteString("\nThe sources are one family by the card's word only: two long trainings of one parent, nearer to what was trained from each than to each other.\n")
	return os.WriteFile(filepath.Join(dir, "README.md"), []byte(b.String()), 0o644)
}

// meanDistances averages each table over pairs of the family's models, and over pairs of one of them and a trained model that is not.
func meanDistances(family, names []string, tables ...[][]float64) (inside, outside []float64) {
	trained := func(name string) bool {
		return slices.ContainsFunc(world.Trained, func(r world.Recipe) bool { return r.Name == name })
	}
	for _, t := range tables {
		var in, out []float64
		for i, a := range names {
			if !slices.Contains(family, a) {
				continue
			}
			for j, b := range names {
				switch {
				case slices.Contains(family, b):
					if i < j {
						in = append(in, t[i][j])
					}
				case trained(b):
					out = append(out, t[i][j])
				}
			}
		}
		inside, outside = append(inside, mean(in)), append(outside, mean(out))
	}
	return inside, outside
}

func save(path string, img image.Image) error {
	png, err := chart.PNG(img)
	if err != nil {
		return err
	}
	return os.WriteFile(path, png, 0o644)
}
