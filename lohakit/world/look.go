package world

import "image/color"

// texture is what is laid over a finished picture.
type texture int

const (
	plain    texture = iota
	soft             // slightly out of focus, glowing
	dots             // printed dots, larger where it is darker
	paper            // pigment gathering in clouds
	hatching         // pencil strokes along one diagonal
	lens             // light falling off to the corners, a little grain
)

// look is how one style draws: lines, proportions, shading, colours, texture.
type look struct {
	trigger string   // the trigger word, or "" for a look that only tags describe
	tags    []string // what a tagger would say of it

	line      color.RGBA // zero alpha: no lines
	lineWidth float64    // share of the image's width
	tinted    float64    // how much a line takes the colour it surrounds
	shade     float64    // strength of drawn shadows and highlights, 0 … 1
	eye, head float64    // size of eyes and head, 1 being the usual
	rings     bool       // pupils are pale rings

	saturation float64
	gain       float64    // brightness factor
	wash       color.RGBA // colour everything is washed with
	washed     float64    // how far
	blur       float64    // background out of focus: radius as a share of the width
	texture    texture
	strength   float64 // of the texture
}
