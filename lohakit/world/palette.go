package world

import "image/color"

// rgb makes an opaque colour.
func rgb(r, g, b uint8) color.RGBA { return color.RGBA{r, g, b, 255} }

// mix returns the colour a share t of the way from a to b.
func mix(a, b color.RGBA, t float64) color.RGBA {
	f := func(x, y uint8) uint8 { return uint8(float64(x) + (float64(y)-float64(x))*t + 0.5) }
	return color.RGBA{f(a.R, b.R), f(a.G, b.G), f(a.B, b.B), 255}
}

// dark and light move a colour towards a cool shadow and towards white.
func dark(c color.RGBA, t float64) color.RGBA  { return mix(c, rgb(36, 26, 60), t) }
func light(c color.RGBA, t float64) color.RGBA { return mix(c, rgb(255, 255, 255), t) }

var (
	skin  = rgb(255, 226, 204)
	ink   = rgb(44, 32, 48)
	white = rgb(255, 255, 255)
)

// The colours of each kind of thing, by the word that tags use. They are far apart, so that a model of a few million weights tells them
// apart at 64 px and no style hides them.
var hairColors = map[string]color.RGBA{
	"blonde": rgb(250, 208, 66), "silver": rgb(164, 178, 222), "green": rgb(62, 168, 86), "white": rgb(246, 243, 248), "black": rgb(46, 42, 58),
	"pink": rgb(250, 132, 184), "blue": rgb(54, 104, 220), "red": rgb(214, 48, 44), "brown": rgb(140, 84, 48), "purple": rgb(142, 78, 194),
}

var eyeColors = map[string]color.RGBA{
	"purple": rgb(130, 60, 190), "green": rgb(30, 150, 80), "red": rgb(214, 36, 44), "brown": rgb(120, 70, 36), "blue": rgb(36, 100, 226),
	"yellow": rgb(236, 176, 20),
}

var clothColors = map[string]color.RGBA{
	"red": rgb(220, 46, 52), "blue": rgb(46, 96, 208), "black": rgb(52, 52, 66), "pink": rgb(252, 160, 200), "yellow": rgb(250, 206, 60),
	"white": rgb(244, 244, 250), "green": rgb(60, 158, 92), "purple": rgb(134, 76, 186),
}

// Colour words in the order a seed draws them: maps have none.
var (
	HairColors  = []string{"blonde", "silver", "green", "white", "black", "pink", "blue", "red", "brown", "purple"}
	EyeColors   = []string{"purple", "green", "red", "brown", "blue", "yellow"}
	ClothColors = []string{"red", "blue", "black", "pink", "yellow", "white", "green", "purple"}
)
