package world

import "math/rand/v2"

// HairStyles, Accessories, Garments, Expressions, Gestures and Framings are the vocabularies, as tags have them. An empty word is "nothing to tag".
var (
	HairStyles  = []string{"side ponytail", "long hair", "braid", "twintails", "bob cut", "short hair"}
	Accessories = []string{"hair bow", "hair flower", "glasses", "ahoge", "hairband", "star hair ornament"}
	Garments    = []string{"dress", "capelet", "suit", "hoodie", "sweater", "serafuku", "kimono", "shirt"}
	Expressions = []string{"smile", "open mouth", "frown", "closed eyes"}
	Gestures    = []string{"", "waving", "arms up", "head tilt"}
	Framings    = []string{"portrait", "upper body", "cowboy shot"}
)

// Names are the five characters, in the card's order.
var Names = []string{"Anisphia", "Euphyllia", "Tilty", "OyamaMahiro", "OyamaMihari"}

// Outfit is a garment and its colour: {"dress", "red"} is tagged "red dress".
type Outfit struct{ Garment, Color string }

// Traits are what makes a character: the four fixed features and the outfit worn by default.
type Traits struct {
	Hair, HairStyle string // "blonde", "side ponytail"
	Eyes            string // "purple"
	Accessory       string // "hair bow"
	Outfit          Outfit
}

var characters = map[string]Traits{
	"Anisphia":    {"blonde", "side ponytail", "purple", "hair bow", Outfit{"dress", "red"}},
	"Euphyllia":   {"silver", "long hair", "green", "hair flower", Outfit{"capelet", "blue"}},
	"Tilty":       {"green", "braid", "red", "glasses", Outfit{"suit", "black"}},
	"OyamaMahiro": {"white", "twintails", "brown", "ahoge", Outfit{"hoodie", "pink"}},
	"OyamaMihari": {"black", "bob cut", "blue", "hairband", Outfit{"sweater", "yellow"}},
}

// Character returns the traits of one of the five characters; ok is false for any other name.
func Character(name string) (traits Traits, ok bool) {
	traits, ok = characters[name]
	return traits, ok
}

// Figure is one character as drawn.
type Figure struct {
	Name       string // one of Names, or "" for a member of the population
	Traits            // what is drawn; the outfit need not be the character's default
	Expression string // of Expressions
	Gesture    string // of Gestures
}

// passerby draws a member of the population: any combination of traits but those of the five characters.
func passerby(rng *rand.Rand) Traits {
	for {
		t := Traits{Hair: pick(rng, HairColors), HairStyle: pick(rng, HairStyles), Eyes: pick(rng, EyeColors), Outfit: anyOutfit(rng)}
		if rng.Float64() < 0.75 {
			t.Accessory = pick(rng, Accessories)
		}
		if !named(t) {
			return t
		}
	}
}

// named reports whether the traits, outfit aside, are those of one of the five characters.
func named(t Traits) bool {
	for _, c := range characters {
		if c.Outfit = t.Outfit; c == t {
			return true
		}
	}
	return false
}

func anyOutfit(rng *rand.Rand) Outfit { return Outfit{pick(rng, Garments), pick(rng, ClothColors)} }

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }
