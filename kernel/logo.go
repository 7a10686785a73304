package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
)

// bar is a rounded rectangle of the logo, on a canvas of 64×64.
type bar struct {
	x, y, w, h, radius float64
	colour             color.NRGBA
}

// logo shows what an adapter is: a column times a row, whose outer product fills a square.
func logo() []bar {
	blue, ink := color.NRGBA{0x00, 0xAD, 0xD8, 0xFF}, color.NRGBA{0x0B, 0x2B, 0x3A, 0xFF}
	bars := []bar{{2, 2, 60, 60, 13, ink}}
	shade := [4]float64{1, .45, .8, .3}
	for i := range 4 {
		at := 20 + 9.5*float64(i)
		tint := func(s float64) color.NRGBA { return color.NRGBA{0xFD, 0xDD, 0x00, uint8(255 * (.35 + .65*s))} }
		bars = append(bars, bar{8.5, at, 7.5, 7.5, 2, tint(shade[i])}, bar{at, 8.5, 7.5, 7.5, 2, tint(shade[(i+2)%4])})
		for j := range 4 {
			c := blue
			c.A = uint8(255 * (.15 + .85*shade[j]*shade[(i+2)%4]))
			bars = append(bars, bar{at, 20 + 9.5*float64(j), 7.5, 7.5, 2, c})
		}
	}
	return bars
}

// logoSVG is the logo as an SVG file.
func logoSVG() []byte {
	var b bytes.Buffer
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><title>lohakit</title>` + "\n")
	for _, r := range logo() {
		fmt.Fprintf(&b, `<rect x="%g" y="%g" width="%g" height="%g" rx="%g" fill="#%02X%02X%02X" fill-opacity="%.3f"/>`+"\n",
			r.x, r.y, r.w, r.h, r.radius, r.colour.R, r.colour.G, r.colour.B, float64(r.colour.A)/255)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// logoPNG is the logo as a PNG file of size×size pixels.
func logoPNG(size int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	scale := float64(size) / 64
	for y := range size {
		for x := range size {
			var r, g, b, a float64 // colours premultiplied by alpha
			for _, s := range logo() {
				cover := s.cover((float64(x)+.5)/scale, (float64(y)+.5)/scale, scale) * float64(s.colour.A) / 255
				r, g, b = r*(1-cover)+float64(s.colour.R)*cover, g*(1-cover)+float64(s.colour.G)*cover, b*(1-cover)+float64(s.colour.B)*cover
				a = a*(1-cover) + cover
			}
			if a > 0 {
				img.SetNRGBA(x, y, color.NRGBA{uint8(r/a + .5), uint8(g/a + .5), uint8(b/a + .5), uint8(255*a + .5)})
			}
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		panic(err) // a bytes.Buffer takes everything, and the size is a constant
	}
	return out.Bytes()
}

// cover is how much of the pixel around (x, y) lies in the bar: its signed distance, over one pixel.
func (s bar) cover(x, y, scale float64) float64 {
	dx := max(math.Abs(x-s.x-s.w/2)-s.w/2+s.radius, 0)
	dy := max(math.Abs(y-s.y-s.h/2)-s.h/2+s.radius, 0)
	inside := (s.radius - math.Hypot(dx, dy)) * scale
	return max(0, min(1, inside+.5))
}
