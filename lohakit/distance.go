package lohakit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/merge"
)

// Relations is how far models are from each other.
type Relations struct{ *merge.Distances }

// Distances measures how far models are from each other: base models by name, checkpoint files, or every checkpoint of a folder. They are read
// one tensor at a time. Models are called by their files' names, of which like ones keep their folders.
func Distances(paths ...string) (Relations, error) {
	var files, names []string
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			file, err := pathOf(path)
			if err != nil {
				return Relations{}, err
			}
			files = append(files, file)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return Relations{}, fault.New(fault.IO, "measure distances", path, "%w", err)
		}
		before := len(files)
		for _, e := range entries {
			if filepath.Ext(e.Name()) == ".safetensors" {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
		if len(files) == before {
			return Relations{}, fault.New(fault.NotExist, "measure distances", path, "the folder has no .safetensors files")
		}
	}
	alike := map[string]int{}
	for _, f := range files {
		alike[stem(f)]++
	}
	for _, f := range files {
		name := stem(f)
		if alike[name] > 1 { // their folders tell them apart
			name = strings.TrimSuffix(f, filepath.Ext(f))
		}
		names = append(names, name)
	}
	l := newLive()
	defer l.end("")
	d, err := merge.Measure(Context(), names, files, func(done, total int) { l.bar(done, total, fmt.Sprintf("tensor %d of %d", done, total)) })
	return Relations{d}, err
}

// Tree draws the families: models that meet further to the left are nearer.
func (r Relations) Tree() (Picture, error) {
	img, err := r.PlotTree(chart.Look{Title: "families"})
	return Picture{img, "tree of " + strings.Join(r.Names, ", ")}, err
}

// Map draws the models in the plane, as near to each other as their weights are.
func (r Relations) Map() (Picture, error) {
	img, err := r.PlotMap(chart.Look{Title: "map", Height: 420})
	return Picture{img, "map of " + strings.Join(r.Names, ", ")}, err
}

// Blocks draws how far the others are from the named model, block by block.
func (r Relations) Blocks(name string) (Picture, error) {
	i := slices.Index(r.Names, name)
	if i < 0 {
		return Picture{}, fault.New(fault.NotExist, "draw distances", name, "it is none of %s", strings.Join(r.Names, ", "))
	}
	img, err := r.PlotBlocks(chart.Look{Title: "distance from " + name + " by block", Width: 960, Height: 120 + 26*len(r.Names)}, i)
	return Picture{img, "distances from " + name + " by block"}, err
}

// MIMEBundle is tree and map, and folded away the figures.
func (r Relations) MIMEBundle() map[string]any {
	rows := table{head: append([]string{""}, r.Names...)}
	var text strings.Builder
	for i, name := range r.Names {
		cells := []any{name}
		fmt.Fprint(&text, name, ":")
		for j := range r.Names {
			cells = append(cells, fmt.Sprintf("%.4f", r.Of[i][j]))
			fmt.Fprintf(&text, " %.4f", r.Of[i][j])
		}
		rows.add(cells...)
		fmt.Fprintln(&text)
	}
	html := ""
	for _, draw := range []func() (Picture, error){r.Tree, r.Map} {
		if p, err := draw(); err == nil {
			html += embed(p, p.Caption)
		}
	}
	return map[string]any{"text/plain": text.String(), "text/html": html + fold("distances", rows.html())}
}
