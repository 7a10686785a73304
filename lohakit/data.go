package lohakit

import (
	"fmt"
	"html"
	"image"
	"strings"

	"golang.org/x/image/draw"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Data is a dataset of images and captions.
type Data struct{ *dataset.Set }

// Load reads a folder in kohya's form: dir/N_name/*.png beside *.txt, N being how often an epoch shows each image. Every image is decoded
// once, so that a bad file is named now and not in the middle of a training.
func Load(dir string) (*Data, error) {
	s, err := dataset.Load(dir, dataset.Options{})
	if err != nil {
		return nil, err
	}
	l := newLive()
	err = s.Check(Context(), func(done, total int) { l.bar(done, total, fmt.Sprintf("checking image %d of %d", done, total)) })
	l.end("")
	if err != nil {
		return nil, err
	}
	return &Data{s}, nil
}

// MIMEBundle shows the dataset in one line.
func (d *Data) MIMEBundle() map[string]any { return map[string]any{"text/plain": d.String()} }

// Tags charts how many images have each of the n most frequent tags.
func (d *Data) Tags(n int) (Picture, error) {
	var labels []string
	var counts chart.Series
	tags := d.Set.Tags(-1)
	for i, t := range tags[:min(n, len(tags))] {
		labels = append(labels, t.Name)
		counts.X, counts.Y = append(counts.X, float64(i)), append(counts.Y, float64(t.Count))
	}
	img, err := chart.Bars(chart.Look{Title: "tag frequency", Y: "images"}, labels, counts)
	return Picture{img, fmt.Sprintf("the %d most frequent of %d tags", len(labels), len(tags))}, err
}

// thumbnail is the side of a thumbnail, in pixels.
const thumbnail = 128

// Gallery is images of a dataset with their captions.
type Gallery struct {
	images   []image.Image
	captions []string
}

// Thumbnails shows n images of the dataset, evenly spread over its folders, each with its size, bucket and caption.
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
		g.images = append(g.images, small)
		g.captions = append(g.captions, fmt.Sprintf("%s × %d · %d×%d · %s", d.Subsets[item.Subset].Name(), item.Repeats, item.Size.W, item.Size.H, item.Caption))
	}
	return g, nil
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
		fmt.Fprintf(&b, `<figure style="margin:0;width:%dpx">%s<figcaption style="font-size:70%%;line-height:1.2">%s</figcaption></figure>`,
			thumbnail, embed(img, g.captions[i]), html.EscapeString(g.captions[i]))
	}
	b.WriteString("</div>")
	bundle := map[string]any{"text/html": b.String(), "text/plain": strings.Join(g.captions, "\n")}
	if png, err := chart.PNG(sheet); err == nil {
		bundle["image/png"] = png
	}
	return bundle
}
