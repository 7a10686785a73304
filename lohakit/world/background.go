package world

import (
	"image/color"
	"math"
)

// drawBackground fills the image with the scene's place. What is large is the same at every size; small things (windows, waves, stars,
// leaves) appear as there is room for them.
func (s Scene) drawBackground(p *pen) {
	p.frame(0, 0, 1, 0)
	rng := s.rng(1)
	shift := rng.Float64()
	detail := int(math.Max(0, math.Round(math.Log2(p.size/64)))) // 0 at 64 px, 1 at 128 …
	switch s.Background {
	case "sky":
		p.gradient(rgb(70, 160, 240), rgb(170, 220, 252), 0, 1)
		p.cloud(0.12+0.2*shift, 0.16, 0.15)
		p.cloud(0.82+0.1*shift, 0.3, 0.13)
		p.cloud(0.1+0.1*shift, 0.62, 0.12)
		for range 3 * detail {
			p.cloud(rng.Float64(), 0.05+0.9*rng.Float64(), 0.03+0.04*rng.Float64())
		}
	case "beach":
		p.gradient(rgb(130, 208, 250), rgb(200, 236, 252), 0, 0.42)
		p.rect(0, 0.42, 1, 0.32, rgb(26, 128, 200))
		p.rect(0, 0.70, 1, 0.3, rgb(246, 220, 150))
		p.oval(0.14+0.06*shift, 0.13, 0.08, 0.08).fill(rgb(255, 240, 150))
		for i := range 4 * detail {
			x, y := rng.Float64(), 0.45+0.05*float64(i%5)
			p.arc(x, y, x+0.04, y+0.02, x+0.08, y).ink(rgb(150, 210, 240), 0.6)
		}
	case "city":
		p.gradient(rgb(196, 214, 232), rgb(232, 236, 240), 0, 1)
		for i := range 7 {
			top := 0.2 + 0.35*rng.Float64()
			if i == 0 || i == 6 {
				top -= 0.1
			}
			c := mix(rgb(112, 124, 150), rgb(160, 164, 184), rng.Float64())
			p.building(float64(i)/7-0.02+0.02*shift, top, 0.135, c, rng.Float64() < 0.5)
		}
	case "room":
		p.rect(0, 0, 1, 0.72, rgb(236, 208, 168))
		p.rect(0, 0.72, 1, 0.28, rgb(164, 108, 70))
		p.window(0.02+0.06*shift, 0.1, 0.26, 0.34)
		p.rect(0.78, 0.3+0.04*shift, 0.2, 0.42, rgb(196, 148, 96))
		for i := range 3 {
			y := 0.36 + 0.12*float64(i) + 0.04*shift
			for j := range 4 {
				books := []color.RGBA{rgb(190, 70, 70), rgb(70, 110, 170), rgb(90, 150, 90), rgb(220, 180, 90)}
				p.rect(0.8+0.04*float64(j), y-0.02, 0.034, 0.08, books[(i+j)%4])
			}
		}
	case "park":
		p.gradient(rgb(150, 214, 246), rgb(214, 240, 246), 0, 0.7)
		p.rect(0, 0.68, 1, 0.32, rgb(122, 196, 92))
		for _, x := range []float64{0.1 + 0.06*shift, 0.9 - 0.06*shift} {
			p.rect(x-0.03, 0.36, 0.06, 0.36, rgb(122, 84, 54))
			p.smooth(x-0.2, 0.3, x-0.14, 0.12, x, 0.06, x+0.14, 0.12, x+0.2, 0.3, x+0.1, 0.42, x-0.1, 0.42).paint(rgb(60, 146, 74))
			for range 6 * detail {
				p.oval(x+0.28*(rng.Float64()-0.5), 0.12+0.24*rng.Float64(), 0.016, 0.012).fill(rgb(110, 186, 96))
			}
		}
		for range 8 * detail {
			p.oval(rng.Float64(), 0.72+0.26*rng.Float64(), 0.008, 0.008).fill(rgb(250, 240, 160))
		}
	case "night":
		p.gradient(rgb(14, 18, 66), rgb(46, 52, 128), 0, 1)
		p.oval(0.16+0.08*shift, 0.16, 0.085, 0.085).fill(rgb(252, 244, 196))
		for range 14 + 14*detail {
			p.oval(rng.Float64(), 0.9*rng.Float64(), 0.011, 0.011).fill(rgb(244, 244, 255))
		}
	case "sunset":
		p.gradient(rgb(240, 110, 70), rgb(255, 214, 110), 0, 0.75)
		p.oval(0.8-0.06*shift, 0.62, 0.13, 0.13).fill(rgb(255, 244, 190))
		p.smooth(-0.1, 0.8, 0.2, 0.7, 0.5, 0.78, 0.8, 0.72, 1.1, 0.78, 1.1, 1.1, -0.1, 1.1).fill(rgb(120, 60, 90))
		for range 3 * detail {
			p.oval(rng.Float64(), 0.1+0.4*rng.Float64(), 0.09, 0.012).fill(rgb(255, 170, 110))
		}
	default:
		p.rect(0, 0, 1, 1, white)
	}
}

func (p *pen) rect(x, y, w, h float64, c color.RGBA) { p.poly(x, y, x+w, y, x+w, y+h, x, y+h).fill(c) }

// gradient fills the full width from y0 to y1, top colour to bottom colour; below y1 it stays at the bottom colour.
func (p *pen) gradient(top, bottom color.RGBA, y0, y1 float64) {
	img := p.dc.Image().(interface {
		SetRGBA(x, y int, c color.RGBA)
	})
	n := int(p.size)
	for y := range n {
		t := ((float64(y)+0.5)/p.size - y0) / (y1 - y0)
		c := mix(top, bottom, math.Min(math.Max(t, 0), 1))
		for x := range n {
			img.SetRGBA(x, y, c)
		}
	}
}

func (p *pen) cloud(x, y, r float64) {
	p.smooth(x-1.5*r, y+0.3*r, x-1.2*r, y-0.3*r, x-0.5*r, y-0.5*r, x+0.1*r, y-0.8*r, x+0.7*r, y-0.4*r, x+1.3*r, y-0.2*r, x+1.5*r, y+0.3*r,
		x, y+0.45*r).fill(white)
}

// building has windows in as many rows and columns as stay at least three pixels apart.
func (p *pen) building(x, top, width float64, c color.RGBA, lit bool) {
	p.rect(x, top, width, 1-top, c)
	glass := rgb(214, 224, 236)
	if lit {
		glass = rgb(250, 232, 160)
	}
	pitch := math.Max(0.03, 3.6/p.size)
	n := math.Floor(width / pitch)
	for i := 0.0; i < n; i++ {
		for y := top + pitch/2; y < 1; y += pitch * 1.5 {
			p.rect(x+(i+0.28)*width/n, y, pitch*0.45, pitch*0.7, glass)
		}
	}
}

func (p *pen) window(x, y, w, h float64) {
	p.rect(x-0.025, y-0.025, w+0.05, h+0.05, white)
	p.rect(x, y, w, h, rgb(128, 200, 250))
	p.rect(x+w/2-0.012, y, 0.024, h, white)
	p.rect(x, y+h/2-0.012, w, 0.024, white)
}
