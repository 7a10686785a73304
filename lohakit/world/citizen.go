package world

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// citizenNames are the people a base model knows by name, as a real one knows the characters that many people drew. None of them is
// one of the five characters; they teach a model that an odd word can stand for a whole person.
var citizenNames = strings.Fields(`Aldenia Brissa Calvora Dorimel Elowynne Fenrika Galatia Hisorin Ilvanya Jorunna Kestrelle Lumirei Mavoka
	Norvelia Ophirael Pellanor Quorisse Rhovana Selkiya Tamsinel Ulvarine Vespera Wynolde Xanthora Yumekiri Zephrine Akitsuno Benimaru Chidorin
	Emberlyn Fuyutsuki Gwendrae Harukawa Inazumei Kirisame Lysandre Mizuchiya Nagisawa Orihanna Ryuzakura`)

// citizen returns the traits of the i-th name, the same ones always.
func citizen(i int) Traits {
	return passerby(rand.New(rand.NewPCG(0xc171, uint64(i))))
}

// Corpus draws one picture of the pre-training corpus and its caption: one of Population's, settled.
func Corpus(rng *rand.Rand) (Scene, string) { return settle(rng, Population(rng)) }

// settle makes two in five of those who are alone in a picture citizens, tagged by name, and then half the time by nothing else that
// belongs to them, and captions the picture. Three captions in ten have lost tags at random and one in ten is empty, so that every tag
// comes to mean something by itself and guidance has something to move away from.
func settle(rng *rand.Rand, s Scene) (Scene, string) {
	tags := s.Tags()
	if len(s.Figures) == 1 && rng.Float64() < 0.4 {
		i := rng.IntN(len(citizenNames))
		f := &s.Figures[0]
		traits := citizen(i)
		if rng.Float64() < 0.1 {
			traits.Outfit = f.Outfit
		}
		f.Traits = traits
		tags = s.Tags()
		if rng.Float64() < 0.5 {
			own := []string{f.Hair + " hair", f.HairStyle, f.Eyes + " eyes", f.Accessory, citizen(i).Outfit.tag()}
			tags = slices.DeleteFunc(tags, func(t string) bool { return slices.Contains(own, t) })
		}
		tags = slices.Insert(tags, 2, citizenNames[i])
	}
	switch u := rng.Float64(); {
	case u < 0.1:
		tags = nil
	case u < 0.4:
		tags = slices.DeleteFunc(tags, func(string) bool { return rng.Float64() < 0.4 })
	}
	return s, strings.Join(tags, ", ")
}
