package world

import (
	"maps"
	"slices"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Check returns a fault that names the first word no vocabulary has, and those it resembles. Render draws such a scene all the same: an
// unknown style as "anime", anything else unknown not at all.
func (s Scene) Check() error {
	if len(s.Figures) > 2 {
		return fault.New(fault.Invalid, "draw scene", "Figures", "there is room for 2, not for %d", len(s.Figures))
	}
	checks := []check{{"framing", s.Framing, Framings, len(s.Figures) == 0}, {"background", s.Background, Backgrounds, true},
		{"style", s.Style, StyleNames(), false}}
	for _, f := range s.Figures {
		checks = append(checks, check{"character", f.Name, Names, true}, check{"hair colour", f.Hair, HairColors, false},
			check{"hair style", f.HairStyle, HairStyles, false}, check{"eye colour", f.Eyes, EyeColors, false},
			check{"accessory", f.Accessory, Accessories, true}, check{"garment", f.Outfit.Garment, Garments, false},
			check{"cloth colour", f.Outfit.Color, ClothColors, false}, check{"expression", f.Expression, Expressions, false},
			check{"gesture", f.Gesture, Gestures, true})
	}
	for _, o := range s.Objects {
		checks = append(checks, check{"object", o.Kind, Objects, false}, check{"cloth colour", o.Color, ClothColors, false})
	}
	for _, c := range checks {
		if !(c.optional && c.word == "") && !slices.Contains(c.known, c.word) {
			return checkpoint.Unknown("draw scene", c.field, c.word, c.known)
		}
	}
	return nil
}

type check struct {
	field, word string
	known       []string
	optional    bool
}

// StyleNames returns the names of all styles, in alphabetical order.
func StyleNames() []string { return slices.Sorted(maps.Keys(styles)) }
