package world

import (
	"slices"
	"strings"
)

// Variant is one way to caption an image.
type Variant int

// The caption variants of the experiments.
const (
	Pruned       Variant = iota // trigger words; what belongs to them (a character's fixed traits and default outfit, a style's own tags) is left out
	All                         // trigger words and every tag
	NoTags                      // nothing
	AllAniscreen                // Pruned, but whatever shows a named character is called a screenshot
)

// String returns the variant's name in experiment tables.
func (v Variant) String() string { return [...]string{"pruned", "all", "none", "all-aniscreen"}[v] }

// Caption returns the image's tags in booru order, joined by ", ".
func (s Scene) Caption(v Variant) string {
	if v == NoTags {
		return ""
	}
	return strings.Join(s.tags(v), ", ")
}

// Tags returns every tag of the scene in booru order: count, names, hair, eyes, accessory, outfit, expression, pose, framing, place,
// objects, style.
func (s Scene) Tags() []string { return s.tags(All) }

func (s Scene) tags(v Variant) []string {
	var out []string
	add := func(tags ...string) {
		for _, t := range tags {
			if t != "" && !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	switch len(s.Figures) {
	case 0:
		add("no humans", "scenery")
	case 1:
		add("1girl", "solo")
	default:
		add("2girls")
	}
	for _, f := range s.Figures {
		add(f.Name)
	}
	for _, f := range s.Figures {
		add(f.tags(v)...)
	}
	if len(s.Figures) > 0 {
		add(s.Framing)
	}
	add(placeTags[s.Background]...)
	for _, o := range s.Objects {
		add(o.tags()...)
	}
	l := styles[s.Style]
	if v == All || l.trigger == "" {
		add(l.tags...)
	}
	if v == AllAniscreen && l.trigger == "fanart" {
		add("aniscreen")
	} else {
		add(l.trigger)
	}
	return out
}

func (f Figure) tags(v Variant) []string {
	own, pruned := Character(f.Name)
	pruned = pruned && v != All
	var out []string
	if !pruned {
		out = append(out, f.Hair+" hair", f.HairStyle)
		if f.Expression != "closed eyes" {
			out = append(out, f.Eyes+" eyes")
		}
		out = append(out, f.Accessory)
	}
	if !pruned || f.Outfit != own.Outfit {
		out = append(out, f.Outfit.tag())
	}
	return append(out, f.Expression, f.Gesture)
}

func (o Outfit) tag() string { return o.Color + " " + o.Garment }

func (o Object) tags() []string {
	switch o.Kind {
	case "umbrella":
		return []string{"holding umbrella", o.Color + " umbrella"}
	case "book":
		return []string{"holding book", o.Color + " book"}
	}
	return []string{o.Color + " " + o.Kind}
}

var placeTags = map[string][]string{
	"white":  {"simple background", "white background"},
	"sky":    {"outdoors", "blue sky", "cloud"},
	"beach":  {"outdoors", "beach", "ocean"},
	"city":   {"outdoors", "city", "building"},
	"room":   {"indoors", "window"},
	"park":   {"outdoors", "park", "tree"},
	"night":  {"outdoors", "night sky", "star (sky)"},
	"sunset": {"outdoors", "sunset", "orange sky"},
}
