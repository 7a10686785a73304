package lohakit

import (
	"fmt"
	"html"
	"image"
	"image/color"
	"strings"

	"golang.org/x/image/draw"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
)

// thumbnail is the side of a thumbnail, in pixels.
const thumbnail = 128

// Gallery is images of a dataset with their captions.
type Gallery struct {
	images   []image.Image
	captions []string
}

// Thumbnails shows n images of the dataset, evenly spread over its folders, each with its repeats, size, bucket and caption. What the bucket
// cuts off is dimmed; buckets depend on the resolution of the training: see For.
func (d *Data) Thumbnails(n int) (Gallery, error) {
	if n < 1 {
		return Gallery{}, fault.New(fault.Invalid, "show thumbnails", "n", "%d images", n).Fix("use 1 or more")
	}
	n = min(n, len(d.Items))
	var g Gallery
	for i := range n {
		item := d.Items[i*len(d.Items)/n]
		img, err := d.Options.Limits.Decode(item.Path)
		if err != nil {
			return g, err
		}
		b := img.Bounds()
		scale := min(float64(thumbnail)/float64(b.Dx()), float64(thumbnail)/float64(b.Dy()))
		small := image.NewRGBA(image.Rect(0, 0, max(1, int(float64(b.Dx())*scale)), max(1, int(float64(b.Dy())*scale))))
		draw.CatmullRom.Scale(small, small.Rect, img, b, draw.Src, nil)
		dimCut(small, item)
		g.images = append(g.images, small)
		g.captions = append(g.captions, fmt.Sprintf("%s · %s · %s → %s · %s", d.Subsets[item.Subset].Name(), use(item), item.Size, item.Bucket, item.Caption))
	}
	return g, nil
}

// use says how often an epoch draws an image.
func use(item dataset.Item) string {
	switch {
	case item.Held:
		return "held out"
	case item.Repeats == 0:
		return "not used"
	}
	return fmt.Sprintf("× %d", item.Repeats)
}

// dimCut dims what lies outside the bucket that the image is scaled to cover and cut to.
func dimCut(small *image.RGBA, item dataset.Item) {
	inset := func(side, resized, bucket int) int { return side * ((resized - bucket) / 2) / max(resized, 1) }
	dx, dy := inset(small.Rect.Dx(), item.Resized.W, item.Bucket.W), inset(small.Rect.Dy(), item.Resized.H, item.Bucket.H)
	inside := small.Rect.Inset(0)
	inside.Min, inside.Max = inside.Min.Add(image.Pt(dx, dy)), inside.Max.Sub(image.Pt(dx, dy))
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			if p := image.Pt(x, y); !p.In(inside) {
				c := small.RGBAAt(x, y)
				small.SetRGBA(x, y, color.RGBA{c.R / 3, c.G / 3, c.B / 3, c.A})
			}
		}
	}
}

// MIMEBundle is the gallery with captions as HTML, and without them as one PNG.
func (g Gallery) MIMEBundle() map[string]any {
	const columns = 8
	rows := (len(g.images) + columns - 1) / columns
	sheet := image.NewRGBA(image.Rect(0, 0, min(len(g.images), columns)*thumbnail, rows*thumbnail))
	var b strings.Builder
	b.WriteString(`<div style="display:flex;flex-wrap:wrap;gap:8px">`)
	for i, img := range g.images {
		at := image.Pt(i%columns*thumbnail, i/columns*thumbnail)
		draw.Draw(sheet, img.Bounds().Add(at), img, image.Point{}, draw.Src)
		fmt.Fprintf(&b, `<figure style="margin:0;width:%dpx">%s<figcaption style="font-size:70%%;line-height:1.2;overflow-wrap:anywhere">%s</figcaption></figure>`,
			thumbnail, embed(img, g.captions[i]), html.EscapeString(g.captions[i]))
	}
	b.WriteString("</div>")
	bundle := map[string]any{"text/html": b.String(), "text/plain": strings.Join(g.captions, "\n")}
	if png, err := chart.PNG(sheet); err == nil {
		bundle["image/png"] = png
	}
	return bundle
}
