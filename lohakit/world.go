package lohakit

import (
	"fmt"
	"image"
	"image/draw"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/world"
)

// Draw shows scenes of the miniature world as its renderer draws them, size×size pixels each, in rows of columns.
func Draw(size, columns int, scenes ...world.Scene) (Picture, error) {
	const op = "draw scenes"
	switch {
	case size < 8 || size > 2048:
		return Picture{}, fault.New(fault.Invalid, op, "size", "%d px is outside 8 … 2048", size).Fix("use 64, the size the miniature models see, or 128")
	case columns < 1:
		return Picture{}, fault.New(fault.Invalid, op, "columns", "%d columns", columns).Fix("use 1 or more")
	case len(scenes) == 0:
		return Picture{}, fault.New(fault.Invalid, op, "", "no scene").Fix("make one: world.NewScene")
	}
	columns = min(columns, len(scenes))
	sheet := image.NewRGBA(image.Rect(0, 0, columns*size, (len(scenes)+columns-1)/columns*size))
	for i, s := range scenes {
		if err := s.Check(); err != nil {
			return Picture{}, err
		}
		at := image.Pt(i%columns*size, i/columns*size)
		draw.Draw(sheet, image.Rectangle{at, at.Add(image.Pt(size, size))}, s.Render(size), image.Point{}, draw.Src)
	}
	caption := scenes[0].Caption(world.All)
	if len(scenes) > 1 {
		caption = fmt.Sprintf("%d scenes, the first: %s", len(scenes), caption)
	}
	return Picture{sheet, caption}, nil
}

// Across is a grid's axis of base models: shipped ones by name, others by path, as Open takes them.
func Across(names ...string) (sample.Axis, error) {
	var models []sample.Named[*sd.Model]
	for _, name := range names {
		m, err := Open(name)
		if err != nil {
			return sample.Axis{}, err
		}
		models = append(models, sample.Named[*sd.Model]{Name: m.Name, Of: m.Model})
	}
	return sample.Models(models...), nil
}

// Confusion draws what the judge answered (columns) where something else was right (rows), as shares of each row. Answers that neither
// were right nor given are left out.
func Confusion(r *world.Report, q world.Question) (Picture, error) {
	counts, words := r.Confusion(q), q.Words()
	var used []int
	for i := range words {
		n := 0
		for j := range words {
			n += counts[i][j] + counts[j][i]
		}
		if n > 0 {
			used = append(used, i)
		}
	}
	if len(used) == 0 {
		return Picture{}, fault.New(fault.NotExist, "show confusions", q.String(), "nobody was asked about it").Fix("hold an exam with more scenes")
	}
	var labels []string
	shares := make([][]float64, len(used))
	for i, row := range used {
		labels = append(labels, words[row])
		total := 0
		for _, column := range used {
			total += counts[row][column]
		}
		for _, column := range used {
			shares[i] = append(shares[i], float64(counts[row][column])/float64(max(total, 1)))
		}
	}
	side := 220 + 26*len(used)
	img, err := chart.Heat(chart.Look{Title: q.String() + ": rows are what is right, columns what the judge says", Width: side + 120, Height: side}, labels, labels, shares)
	return Picture{img, fmt.Sprintf("%s: %s right", q, r.Accuracy(q))}, err
}
