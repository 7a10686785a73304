// Package world is the miniature world: characters, outfits, places and styles drawn by a deterministic renderer, exact
// booru-like tags for everything drawn, the data sets and base models of the experiments made from them, and a judge that
// measures what an image shows. A Scene lists every drawn factor; Render, Tags and Caption are functions of it alone.
package world

import "math/rand/v2"

// Backgrounds are the places, by the word the judge uses for them.
var Backgrounds = []string{"white", "sky", "beach", "city", "room", "park", "night", "sunset"}

// Objects are what can be in a figure's hand or beside it.
var Objects = []string{"umbrella", "balloon", "book", "cat"}

// Object is a thing and its colour; a cat is black or white, the others have a cloth colour.
type Object struct{ Kind, Color string }

// Scene is everything that is drawn in one image. The zero Scene is a white background and nothing else.
type Scene struct {
	Figures    []Figure // 0, 1 or 2, from left to right
	Framing    string   // of Framings: how large the figures are
	Background string   // of Backgrounds
	Objects    []Object // at most one
	Style      string   // a key of the style table: one of Styles, Artists, "aniscreen", "fanart" …
	Seed       uint64   // fixes jitter, details of the background, texture, and the hand of fan art
}

// NewScene draws a scene with one of the five characters in the given style, in the default outfit nine times in ten (in fan art, seven
// in ten); several names put several characters, at most two, in one image. Any other name is a member of the population.
func NewScene(rng *rand.Rand, style string, names ...string) Scene {
	s := setting(rng, style)
	change := 0.1
	if style == "fanart" {
		change = 0.3
	}
	for _, name := range names[:min(len(names), 2)] {
		t, ok := Character(name)
		if !ok {
			name, t = "", passerby(rng)
		} else if rng.Float64() < change {
			t.Outfit = anyOutfit(rng)
		}
		s.Figures = append(s.Figures, s.acting(rng, name, t))
	}
	return s
}

// Population draws a scene for training a base model: passers-by (never one of the five characters) in one of Styles, alone, in twos
// (one in ten), or a place with nobody in it (one in twenty-five).
func Population(rng *rand.Rand) Scene {
	style := "anime"
	if rng.Float64() < 0.7 {
		style = pick(rng, Styles)
	}
	s := setting(rng, style)
	n := 1
	switch u := rng.Float64(); {
	case u < 0.04:
		n, s.Objects = 0, nil
	case u < 0.14:
		n = 2
	}
	for range n {
		s.Figures = append(s.Figures, s.acting(rng, "", passerby(rng)))
	}
	return s
}

func setting(rng *rand.Rand, style string) Scene {
	s := Scene{Framing: "upper body", Background: pick(rng, Backgrounds), Style: style, Seed: rng.Uint64()}
	switch u := rng.Float64(); {
	case u < 0.2:
		s.Framing = "portrait"
	case u < 0.4:
		s.Framing = "cowboy shot"
	}
	switch {
	case style == "aniscreen" && s.Background == "white": // an episode has no empty backgrounds
		s.Background = pick(rng, Backgrounds[1:])
	case style == "fanart" && rng.Float64() < 0.3: // a drawing often has
		s.Background = "white"
	}
	if rng.Float64() < 0.25 {
		o := Object{pick(rng, Objects), pick(rng, ClothColors)}
		if o.Kind == "cat" {
			o.Color = pick(rng, []string{"black", "white"})
		}
		s.Objects = []Object{o}
	}
	return s
}

func (s Scene) acting(rng *rand.Rand, name string, t Traits) Figure {
	f := Figure{Name: name, Traits: t, Expression: "smile"}
	if rng.Float64() < 0.5 {
		f.Expression = pick(rng, Expressions[1:])
	}
	if f.Expression == "closed eyes" && rng.Float64() < 0.5 {
		f.Expression = "smile"
	}
	if rng.Float64() < 0.35 {
		f.Gesture = pick(rng, Gestures[1:])
	}
	if f.Gesture == "arms up" && len(s.Objects) > 0 && s.Objects[0].Kind != "cat" { // a hand is needed
		f.Gesture = "waving"
	}
	return f
}
