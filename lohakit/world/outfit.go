package world

import "image/color"

// torso draws neck, shoulders, hanging arms and the garment, from the chin to below the image's edge.
func (g *figure) torso(c color.RGBA) {
	left, right := g.Gesture != "arms up" && g.object.Kind != "umbrella" && g.object.Kind != "book", g.Gesture == "" || g.Gesture == "head tilt"
	sleeve := g.sleeve()
	if left {
		g.arm(-1, sleeve)
	}
	if right {
		g.arm(1, sleeve)
	}
	trunk := func(c color.RGBA) {
		g.smooth(-0.3, 1.12, -0.8, 1.28, -0.98, 1.75, -0.86, 2.6, -1.02, 4.4, 1.02, 4.4, 0.86, 2.6, 0.98, 1.75, 0.8, 1.28, 0.3, 1.12).paint(c)
	}
	g.garment(c, trunk)
	if g.look.shade > 0 && g.Outfit.Garment != "capelet" { // the body's own shadow, away from the light
		g.smooth(0.78, 1.55, 0.9, 1.9, 0.8, 2.6, 0.93, 4.4, 0.62, 4.4, 0.6, 3.2, 0.52, 2.5, 0.66, 1.95).fill(g.shadow(c))
	}
}

func (g *figure) garment(c color.RGBA, trunk func(color.RGBA)) {
	gold := rgb(250, 200, 60)
	switch g.Outfit.Garment {
	case "dress": // bare shoulders, a white belt, a skirt
		trunk(skin)
		g.poly(-0.8, 1.62, -0.4, 1.5, 0, 1.66, 0.4, 1.5, 0.8, 1.62, 0.84, 2.5, 1.5, 4.4, -1.5, 4.4, -0.84, 2.5).paint(c)
		g.poly(-0.84, 2.32, 0.84, 2.32, 0.86, 2.58, -0.86, 2.58).fill(light(c, 0.85))
	case "capelet": // an open cape over a dark dress, a gold clasp
		trunk(rgb(70, 66, 84))
		for _, k := range []float64{-1, 1} {
			g.poly(k*0.16, 1.2, k*0.85, 1.22, k*1.25, 1.9, k*1.5, 3.3, k*0.5, 3.3).paint(c)
		}
		g.oval(0, 1.36, 0.17, 0.17).paint(gold)
	case "suit": // lapels, a white shirt, a tie
		trunk(c)
		g.poly(-0.3, 1.14, 0.3, 1.14, 0, 2.3).fill(white)
		g.poly(-0.1, 1.3, 0.1, 1.3, 0.15, 1.95, 0, 2.2, -0.15, 1.95).fill(rgb(60, 84, 190))
		for _, k := range []float64{-1, 1} {
			g.poly(k*0.3, 1.12, k*0.52, 1.3, k*0.4, 1.8, 0, 2.35).paint(light(c, 0.12))
		}
	case "hoodie": // a hood round the neck, strings, a pocket
		trunk(c)
		g.smooth(-0.75, 1.25, 0, 1.02, 0.75, 1.25, 0.5, 1.6, 0, 1.72, -0.5, 1.6).paint(g.shadow(c))
		g.poly(-0.24, 1.2, 0.24, 1.2, 0, 1.5).fill(skin)
		for _, k := range []float64{-1, 1} {
			g.arc(k*0.22, 1.6, k*0.22, 1.8, k*0.24, 2.1).stroke(white, 0.1)
		}
		g.poly(-0.5, 2.5, 0.5, 2.5, 0.68, 3.2, -0.68, 3.2).paint(dark(c, 0.12))
	case "sweater": // a rolled collar, a round badge
		trunk(c)
		g.smooth(-0.34, 1.06, 0.34, 1.06, 0.4, 1.3, 0, 1.4, -0.4, 1.3).paint(light(c, 0.3))
		g.oval(0, 2.05, 0.32, 0.32).paint(rgb(112, 70, 170))
	case "serafuku": // a white blouse, the sailor's collar and the neckerchief in colour
		trunk(rgb(250, 250, 254))
		g.poly(-0.36, 1.1, -0.92, 1.36, -0.86, 1.8, 0, 2.1, 0.86, 1.8, 0.92, 1.36, 0.36, 1.1, 0, 1.75).paint(c)
		g.poly(0, 1.85, -0.42, 2.5, -0.08, 2.4, 0, 2.1, 0.08, 2.4, 0.42, 2.5).paint(rgb(226, 50, 60))
	case "kimono": // crossed collar, a wide sash
		trunk(c)
		g.poly(-0.28, 1.12, 0.28, 1.12, 0, 1.6).fill(skin)
		g.poly(-0.4, 1.14, -0.2, 1.1, 0.62, 2.35, 0.3, 2.35).paint(white)
		g.poly(0.4, 1.14, 0.2, 1.1, -0.62, 2.35, -0.3, 2.35).paint(white)
		g.poly(-0.9, 2.3, 0.9, 2.3, 0.88, 2.85, -0.88, 2.85).paint(gold)
	default: // a shirt with a collar and buttons
		trunk(c)
		for _, k := range []float64{-1, 1} {
			g.poly(k*0.06, 1.42, k*0.3, 1.1, k*0.52, 1.34, k*0.3, 1.68).paint(light(c, 0.5))
		}
		for i := range 3 {
			g.oval(0, 1.85+0.42*float64(i), 0.075, 0.075).fill(dark(c, 0.5))
		}
	}
}

// arm is one hanging arm; side is −1 for the left of the image.
func (g *figure) arm(side float64, c color.RGBA) {
	g.oval(side*1.06, 3.3, 0.2, 0.24).paint(skin)
	g.smooth(side*0.7, 1.26, side*1.04, 1.46, side*1.26, 2.3, side*1.28, 3.2, side*0.9, 3.2, side*0.8, 2.3).paint(c)
}

// sleeve is the colour of the arms.
func (g *figure) sleeve() color.RGBA {
	switch g.Outfit.Garment {
	case "serafuku":
		return rgb(250, 250, 254)
	case "dress":
		return skin
	}
	return clothColors[g.Outfit.Color]
}

// raisedArms draws the arms of a gesture, before everything else.
func (g *figure) raisedArms() {
	up := func(side float64) {
		g.oval(side*1.5, 0.42, 0.25, 0.27).paint(skin)
		g.smooth(side*0.66, 1.4, side*1.0, 1.3, side*1.34, 0.62, side*1.66, 0.72, side*1.5, 1.5, side*1.0, 2.1).paint(g.sleeve())
	}
	if g.Gesture == "arms up" {
		up(-1)
	}
	if g.Gesture == "arms up" || g.Gesture == "waving" {
		up(1)
	}
}
