package lohakit

import (
	"fmt"
	"image"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/sample"
)

// Picture is an image that a notebook shows where it is a cell's last line.
type Picture struct {
	image.Image
	Caption string // what it shows, for those who cannot see it
}

// MIMEBundle is the picture as a notebook shows it: a PNG, and the caption where pictures cannot be shown.
func (p Picture) MIMEBundle() map[string]any {
	png, err := chart.PNG(p.Image)
	if err != nil {
		return map[string]any{"text/plain": err.Error()}
	}
	return map[string]any{"image/png": png, "text/plain": p.Caption}
}

// Sheet is a drawn grid of images with labelled rows and columns. Its PNG carries the infotext that web UIs read.
type Sheet struct{ *sample.Sheet }

// MIMEBundle is the grid as a table whose images enlarge when clicked, as one PNG, and as a line of text.
func (s Sheet) MIMEBundle() map[string]any {
	bundle := map[string]any{"text/plain": fmt.Sprintf("%s: %d of %d images", s.Title, s.Done(), len(s.Cells))}
	if html, err := s.HTML(); err == nil {
		bundle["text/html"] = html
	}
	if png, err := s.PNG(); err == nil {
		bundle["image/png"] = png
	}
	return bundle
}
