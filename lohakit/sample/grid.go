package sample

import (
	"context"
	"image"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Grid is a table of images: every cell is Base with its column's and row's change, and so has the same prompt and seed unless an axis
// says otherwise. An axis left out has one place without a label.
type Grid struct {
	Title string
	Base  Request
	X, Y  Axis // columns and rows
}

// maxCells and maxSheet bound a grid. The picture of one of so many pixels takes a gibibyte.
const (
	maxCells = 4096
	maxSheet = 1 << 28
)

// Draw draws every cell. Requests are checked before anything is computed, and cells that can be evaluated together are. show, unless
// nil, sees the sheet fill cell by cell, and must not keep it. On an error the sheet holds the cells done so far.
func (g Grid) Draw(ctx context.Context, show func(s *Sheet)) (*Sheet, error) {
	x, y := g.X.orOne(), g.Y.orOne()
	w, h := len(x.Labels), len(y.Labels)
	if w*h == 0 {
		return nil, fault.New(fault.Invalid, "draw grid", g.Title, "an axis has no values").Fix("give each axis one or more, or leave it out")
	}
	if w*h > maxCells {
		return nil, fault.New(fault.Invalid, "draw grid", g.Title, "%d × %d cells are more than %d", w, h, maxCells).Fix("divide it into several grids")
	}
	s := &Sheet{Title: g.Title, XName: x.Name, YName: y.Name, Columns: x.Labels, Rows: y.Labels, Cells: make([]Cell, w*h)}
	requests := make([]Request, w*h)
	for i := range requests {
		r := g.Base
		if err := x.set(&r, i%w); err != nil {
			return nil, err
		}
		if err := y.set(&r, i/w); err != nil {
			return nil, err
		}
		requests[i] = r
	}
	jobs, err := newJobs(requests)
	if err != nil {
		return nil, err
	}
	for i, j := range jobs {
		s.Cells[i] = Cell{Info: j.info(), Slips: j.slips()}
	}
	if a, b := s.cellSize(); w*h*a*b > maxSheet {
		return nil, fault.New(fault.Invalid, "draw grid", g.Title, "%d × %d cells of %d × %d pixels are more than %d million pixels", w, h, a, b, maxSheet/1_000_000).
			Fix("divide it into several grids")
	}
	err = drawJobs(ctx, jobs, func(i int, img image.Image) {
		s.Cells[i].Image = img
		if show != nil {
			show(s)
		}
	})
	return s, err
}

// orOne is the axis, or one place that changes nothing.
func (a Axis) orOne() Axis {
	if a.set == nil {
		return Axis{Labels: []string{""}, set: func(*Request, int) error { return nil }}
	}
	return a
}
