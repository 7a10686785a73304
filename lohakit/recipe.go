package lohakit

import (
	"errors"
	"fmt"
	"html"
	"os"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/merge"
	"github.com/lohakit/notebook/lohakit/world"
)

// Recipe is a merge recipe that was read whole and found sound.
type Recipe struct{ *merge.Recipe }

// ReadRecipe reads a recipe, or the file of that name: lines "OUT = A + B, M" for the weighted sum and "OUT = A + B + C, M" for A + M·(B − C),
// __O3__ being the third line's output; see merge.Recipe. What it shows is how much of each source every line comes to, before anything
// is computed. Errors give line and column.
func ReadRecipe(text string) (Recipe, error) {
	if !strings.ContainsAny(text, "=\n") {
		raw, err := os.ReadFile(text)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return Recipe{}, fault.New(fault.IO, "read recipe", text, "%w", err).Fix("choose a text file")
		}
		if err != nil {
			return Recipe{}, fault.New(fault.NotExist, "read recipe", text, "it is no recipe, and no such file is there").Fix("write OUT = A + B, 0.5")
		}
		text = string(raw)
	}
	r, err := merge.Parse(text)
	return Recipe{r}, err
}

// MIMEBundle is a table of the lines and how much they hold of each source, with a warning where a line leaves the convex hull of the
// sources.
func (r Recipe) MIMEBundle() map[string]any {
	mixes := r.Expand()
	var sources []string
	for _, m := range mixes {
		for _, s := range m {
			if !slices.Contains(sources, s.Source) {
				sources = append(sources, s.Source)
			}
		}
	}
	rows := table{head: append([]string{"result"}, sources...)}
	var warnings strings.Builder
	for i, m := range mixes {
		cells := []any{r.Lines[i].Out}
		for _, s := range sources {
			cells = append(cells, shade(m.Of(s)))
		}
		rows.add(cells...)
		if w := m.Warning(); w != "" {
			fmt.Fprintf(&warnings, `<p style="color:#d55e00"><b>%s</b> lies %s</p>`, html.EscapeString(r.Lines[i].Out), html.EscapeString(w))
		}
	}
	return map[string]any{"text/plain": r.Report(), "text/html": rows.html() + warnings.String()}
}

// shade is an amount on a background that shows it: blue for what is in, red for what is taken away.
func shade(v float64) any {
	if v == 0 {
		return ""
	}
	colour := "0,114,178"
	if v < 0 {
		colour = "213,94,0"
	}
	return markup(fmt.Sprintf(`<span style="padding:0 4px;background:rgba(%s,%.2f)">%s</span>`, colour, min(0.15+0.5*max(v, -v), 0.7),
		strings.Replace(fmt.Sprintf("%.4g", v), "-", "−", 1)))
}

// Merges are the models that a recipe made.
type Merges []merge.Result

// Run computes the recipe with the models of one folder, found by their names ("" for those of the miniature world, which know the names in the
// card's recipes), and stores the results in another, showing how far it is. What
// is there unchanged is not computed again. Interrupting the cell stops it; running it again goes on with the line that was stopped.
func (r Recipe) Run(models, out string) (Merges, error) {
	find := merge.InFolder(models)
	if models == "" {
		find = world.Find
	}
	return r.RunWith(merge.Options{Models: find, Folder: out})
}

// RunWith is Run with every option: weights by block, variables, .ckpt sources.
func (r Recipe) RunWith(o merge.Options) (Merges, error) {
	l := newLive()
	defer l.end("")
	if o.Progress == nil {
		o.Progress = func(line merge.Line, done, total int) {
			l.bar(done, total, fmt.Sprintf("%s: tensor %d of %d", line.Out, done, total))
		}
	}
	results, err := r.Recipe.Run(Context(), o)
	return results, err
}

// MIMEBundle lists the results, their files, and what they hold.
func (m Merges) MIMEBundle() map[string]any {
	rows := table{head: []string{"result", "file", "", "holds", "warning"}}
	var text strings.Builder
	for _, r := range m {
		how := "computed"
		if r.Reused {
			how = "was there"
		}
		holds := r.Mix.String()
		if r.Mix == nil {
			holds = "another mix in each block"
		}
		rows.add(r.Name, r.Path, how, holds, r.Warning)
		fmt.Fprintf(&text, "%s (%s): %s\n", r.Path, how, holds)
		if r.Warning != "" {
			fmt.Fprintf(&text, "  warning: %s\n", r.Warning)
		}
	}
	return map[string]any{"text/plain": text.String(), "text/html": rows.html()}
}

// Blocks reads weights by block for RunWith: base, IN00 … IN11, M00, OUT00 … OUT11.
func Blocks(list string) (merge.Blocks, error) { return merge.ParseBlocks(list) }
