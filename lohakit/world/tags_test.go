package world_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/world"
)

var anisphia = world.Scene{
	Figures: []world.Figure{{Name: "Anisphia", Traits: traits("Anisphia"), Expression: "smile", Gesture: "waving"}},
	Framing: "upper body", Background: "beach", Objects: []world.Object{{Kind: "umbrella", Color: "blue"}}, Style: "aniscreen", Seed: 3,
}

func TestCaptions(t *testing.T) {
	changed := anisphia
	changed.Figures = slices.Clone(anisphia.Figures)
	changed.Figures[0].Outfit = world.Outfit{Garment: "kimono", Color: "green"}
	drawn := anisphia
	drawn.Style = "fanart"
	two := anisphia
	two.Objects = nil
	two.Figures = append(slices.Clone(anisphia.Figures), world.Figure{Name: "Tilty", Traits: traits("Tilty"), Expression: "closed eyes"})
	stranger := anisphia
	stranger.Figures = []world.Figure{{Traits: traits("Tilty"), Expression: "frown"}}
	stranger.Objects, stranger.Style = nil, "kantoku"
	for _, c := range []struct {
		name    string
		scene   world.Scene
		variant world.Variant
		want    string
	}{
		{"all", anisphia, world.All, "1girl, solo, Anisphia, blonde hair, side ponytail, purple eyes, hair bow, red dress, smile, waving, upper body, " +
			"outdoors, beach, ocean, holding umbrella, blue umbrella, anime screencap, aniscreen"},
		{"pruned: traits, default outfit and the style's tags go", anisphia, world.Pruned,
			"1girl, solo, Anisphia, smile, waving, upper body, outdoors, beach, ocean, holding umbrella, blue umbrella, aniscreen"},
		{"pruned: another outfit stays", changed, world.Pruned,
			"1girl, solo, Anisphia, green kimono, smile, waving, upper body, outdoors, beach, ocean, holding umbrella, blue umbrella, aniscreen"},
		{"none", anisphia, world.NoTags, ""},
		{"fan art", drawn, world.Pruned, "1girl, solo, Anisphia, smile, waving, upper body, outdoors, beach, ocean, holding umbrella, blue umbrella, fanart"},
		{"fan art mistaken for a screenshot", drawn, world.AllAniscreen,
			"1girl, solo, Anisphia, smile, waving, upper body, outdoors, beach, ocean, holding umbrella, blue umbrella, aniscreen"},
		{"two; eyes that are closed have no colour", two, world.All, "2girls, Anisphia, Tilty, blonde hair, side ponytail, purple eyes, hair bow, red dress, " +
			"smile, waving, green hair, braid, glasses, black suit, closed eyes, upper body, outdoors, beach, ocean, anime screencap, aniscreen"},
		{"a passer-by keeps her traits, the artist's own tags go", stranger, world.Pruned,
			"1girl, solo, green hair, braid, red eyes, glasses, black suit, frown, upper body, outdoors, beach, ocean, by kantoku"},
		{"nobody", world.Scene{Background: "night", Style: "anime"}, world.All, "no humans, scenery, outdoors, night sky, star (sky), anime coloring"},
	} {
		if got := c.scene.Caption(c.variant); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Whatever is drawn, no tag is given twice, pruned tags are among all tags in the same order, and no trigger word is ever lost.
func TestTagsOfManyScenes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		style := world.StyleNames()[rng.IntN(len(world.StyleNames()))]
		s := world.NewScene(rng, style, world.Names[rng.IntN(5)], world.Names[rng.IntN(5)])
		if rng.IntN(2) == 0 {
			s = world.Population(rng)
		}
		all := s.Tags()
		sorted := slices.Sorted(slices.Values(all))
		if len(slices.Compact(sorted)) != len(all) {
			t.Fatalf("a tag twice: %q", all)
		}
		at := 0
		for _, tag := range strings.Split(s.Caption(world.Pruned), ", ") {
			i := slices.Index(all[at:], tag)
			if i < 0 {
				t.Fatalf("%q is not in order in %q", tag, all)
			}
			if len(s.Figures) < 2 { // what two people share is tagged once, at the first of them
				at += i
			}
		}
		if trigger := world.Trigger(s.Style); trigger != "" && !strings.HasSuffix(s.Caption(world.Pruned), trigger) {
			t.Fatalf("%q lost %q", s.Caption(world.Pruned), trigger)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := anisphia.Check(); err != nil {
		t.Error(err)
	}
	s := anisphia
	s.Style = "anine"
	if err := s.Check(); err == nil || !strings.Contains(err.Error(), "anime") {
		t.Errorf("a misspelt style gave %v", err)
	}
}
