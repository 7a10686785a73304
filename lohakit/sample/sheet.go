package sample

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/draw"
	"strconv"
	"strings"

	scale "golang.org/x/image/draw"

	"github.com/lohakit/notebook/lohakit/chart"
)

// Sheet is a drawn, or partly drawn, grid.
type Sheet struct {
	Title         string
	XName, YName  string
	Columns, Rows []string
	Cells         []Cell // row by row
}

// Cell is one image of a sheet.
type Cell struct {
	Image image.Image // nil until it is drawn
	Info  Info        // what it is drawn from
	Slips []string    // slips in its prompts, shown in their places
}

// Cell returns the cell in a column and row.
func (s *Sheet) Cell(column, row int) Cell { return s.Cells[row*len(s.Columns)+column] }

// Done is the number of cells drawn.
func (s *Sheet) Done() int {
	n := 0
	for _, c := range s.Cells {
		if c.Image != nil {
			n++
		}
	}
	return n
}

// Measures of the picture in pixels.
const (
	minCell    = 128 // smaller images are enlarged by a whole factor up to about this
	gap        = 4
	margin     = 10
	rowLabel   = 120 // widest label at the left
	labelLines = 3
)

var emptyCell = color.RGBA{0xee, 0xee, 0xee, 0xff}

// Image is the whole sheet with its title and labels; cells not drawn yet are grey.
func (s *Sheet) Image() image.Image {
	w, h := s.cellSize()
	left, top := margin, margin
	title := breakLines(s.Title, titleFace(), len(s.Columns)*(w+gap), labelLines)
	top += len(title) * titleHeight
	columns := make([][]string, len(s.Columns))
	lines := 0
	for i, c := range s.Columns {
		columns[i] = breakLines(caption(s.XName, c), labelFace(), w, labelLines)
		lines = max(lines, len(columns[i]))
	}
	titleEnd := top
	top += lines*labelHeight + gap
	rows := make([][]string, len(s.Rows))
	for i, r := range s.Rows {
		rows[i] = breakLines(caption(s.YName, r), labelFace(), rowLabel, h/labelHeight)
		for _, line := range rows[i] {
			left = max(left, margin+textWidth(line, labelFace())+gap)
		}
	}
	img := image.NewRGBA(image.Rect(0, 0, left+len(s.Columns)*(w+gap)-gap+margin, top+len(s.Rows)*(h+gap)-gap+margin))
	draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
	for i, line := range title {
		drawText(img, line, titleFace(), left, margin+(i+1)*titleHeight-6)
	}
	for i, label := range columns {
		for k, line := range label {
			x := left + i*(w+gap) + (w-textWidth(line, labelFace()))/2
			drawText(img, line, labelFace(), x, titleEnd+(lines-len(label)+k+1)*labelHeight-4)
		}
	}
	for i, label := range rows {
		for k, line := range label {
			y := top + i*(h+gap) + (h-len(label)*labelHeight)/2 + (k+1)*labelHeight - 4
			drawText(img, line, labelFace(), left-gap-textWidth(line, labelFace()), y)
		}
	}
	for i, c := range s.Cells {
		x, y := left+i%len(s.Columns)*(w+gap), top+i/len(s.Columns)*(h+gap)
		at := image.Rect(x, y, x+w, y+h)
		if c.Image == nil {
			draw.Draw(img, at, image.NewUniform(emptyCell), image.Point{}, draw.Src)
			continue
		}
		b := c.Image.Bounds()
		zoom := min(w/b.Dx(), h/b.Dy())
		at = image.Rect(x, y, x+b.Dx()*zoom, y+b.Dy()*zoom).Add(image.Pt((w-b.Dx()*zoom)/2, (h-b.Dy()*zoom)/2))
		scale.CatmullRom.Scale(img, at, c.Image, b, draw.Src, nil)
	}
	return img
}

// caption is the label, with its axis's name before it where the label is a mere number.
func caption(axis, label string) string {
	if _, err := strconv.ParseFloat(label, 64); err == nil && axis != "" {
		return axis + " " + label
	}
	return label
}

// cellSize is the room of one cell: the largest image's, enlarged by a whole factor if it is small.
func (s *Sheet) cellSize() (w, h int) {
	for _, c := range s.Cells {
		w, h = max(w, c.Info.Width), max(h, c.Info.Height)
	}
	w, h = max(w, 1), max(h, 1)
	zoom := max(1, (minCell+max(w, h)/2)/max(w, h))
	return w * zoom, h * zoom
}

// HTML is the sheet as a table whose images enlarge when clicked, each with its infotext as a tooltip.
func (s *Sheet) HTML() (string, error) {
	var b strings.Builder
	w, _ := s.cellSize()
	b.WriteString(`<style>.lohakit-grid td,.lohakit-grid th{padding:2px;text-align:center;font-weight:normal}` +
		`.lohakit-grid img{max-width:none!important}` + // a page's own rule would squeeze the columns of a wide grid unevenly
		`.lohakit-grid input{display:none}.lohakit-grid input:checked+img{position:fixed;inset:4vh 0 0 0;margin:auto;` +
		`height:92vh;width:auto!important;z-index:99;image-rendering:auto;box-shadow:0 0 9px #000}</style>`)
	fmt.Fprintf(&b, `<div style="overflow-x:auto"><table class="lohakit-grid"><caption>%s</caption><tr><th></th>`, html.EscapeString(s.Title))
	for _, c := range s.Columns {
		fmt.Fprintf(&b, "<th>%s</th>", html.EscapeString(caption(s.XName, c)))
	}
	b.WriteString("</tr>")
	for i, row := range s.Rows {
		fmt.Fprintf(&b, "<tr><th>%s</th>", html.EscapeString(caption(s.YName, row)))
		for j := range s.Columns {
			c := s.Cell(j, i)
			if c.Image == nil {
				b.WriteString("<td></td>")
				continue
			}
			raw, err := chart.PNG(c.Image)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, `<td><label><input type="checkbox"><img width="%d" alt="%s" title="%s" src="data:image/png;base64,%s"></label></td>`,
				w, html.EscapeString(c.Info.Prompt), html.EscapeString(c.Info.String()), base64.StdEncoding.EncodeToString(raw))
		}
		b.WriteString("</tr>")
	}
	b.WriteString("</table></div>")
	return b.String(), nil
}

// PNG is the sheet's picture with the infotext of its first cell, by which web UIs and other programs know how it was made.
func (s *Sheet) PNG() ([]byte, error) {
	var b bytes.Buffer
	var text string
	if len(s.Cells) > 0 {
		info := s.Cells[0].Info
		info.Script = []Field{{"Script", "X/Y/Z plot"}, {"X Type", s.XName}, {"X Values", strings.Join(s.Columns, ", ")},
			{"Y Type", s.YName}, {"Y Values", strings.Join(s.Rows, ", ")}}
		text = info.String()
	}
	err := WritePNG(&b, s.Image(), text)
	return b.Bytes(), err
}
