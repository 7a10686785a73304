package world

import "slices"

// Question is something the judge is asked about an image.
type Question int

// The questions. Those from AskHair to AskCharacter are asked of each figure, the others of the image.
const (
	AskPeople     Question = iota // how many figures: "nobody", "one", "two"
	AskPlace                      // of Backgrounds
	AskThing                      // of Objects, or "nothing"
	AskStyle                      // every style by its key: "momoko", "anime", "aniscreen" …
	AskSource                     // "screenshot", "fan art", "photo", or "art"
	AskFraming                    // of Framings
	AskExpression                 // of Expressions, the left figure's
	AskGesture                    // of Gestures, "none" for none, the left figure's
	AskDrawn                      // "drawn", or "ruined": noise, torn, blended, melted
	AskHair                       // of HairColors
	AskHairStyle                  // of HairStyles
	AskEyes                       // of EyeColors
	AskAccessory                  // of Accessories, or "none"
	AskGarment                    // of Garments
	AskCloth                      // of ClothColors
	AskCharacter                  // of Names, or "other"
	questions
)

var questionNames = [questions]string{"people", "place", "thing", "style", "source", "framing", "expression", "gesture", "drawn", "hair", "hair style",
	"eyes", "accessory", "garment", "cloth", "character"}

// String returns the question in a word or two.
func (q Question) String() string { return questionNames[q] }

// Words returns the possible answers.
func (q Question) Words() []string { return words[q] }

// Questions returns all of them.
func Questions() []Question {
	all := make([]Question, questions)
	for i := range all {
		all[i] = Question(i)
	}
	return all
}

var words = [questions][]string{
	AskPeople:     {"nobody", "one", "two"},
	AskPlace:      Backgrounds,
	AskThing:      slices.Concat(Objects, []string{"nothing"}),
	AskStyle:      slices.Concat(Styles, Artists, Others, Sources, Houses),
	AskSource:     {"art", "photo", "screenshot", "fan art"},
	AskFraming:    Framings,
	AskExpression: Expressions,
	AskGesture:    slices.Concat([]string{"none"}, Gestures[1:]),
	AskDrawn:      {"ruined", "drawn"},
	AskHair:       HairColors,
	AskHairStyle:  HairStyles,
	AskEyes:       EyeColors,
	AskAccessory:  slices.Concat(Accessories, []string{"none"}),
	AskGarment:    Garments,
	AskCloth:      ClothColors,
	AskCharacter:  slices.Concat(Names, []string{"other"}),
}

// Truth is the right answer for a scene; figure counts from 0, the left one. It is "" where the question has no answer: the hair of
// nobody, the eyes of someone who closes them.
func (s Scene) Truth(q Question, figure int) string {
	switch q {
	case AskPeople:
		return words[AskPeople][min(len(s.Figures), 2)]
	case AskPlace:
		return s.Background
	case AskThing:
		if len(s.Objects) > 0 {
			return s.Objects[0].Kind
		}
		return "nothing"
	case AskStyle:
		return s.Style
	case AskSource:
		switch s.Style {
		case "photo", "realistic":
			return "photo"
		case "aniscreen":
			return "screenshot"
		case "fanart":
			return "fan art"
		}
		return "art"
	case AskDrawn:
		return "drawn"
	}
	if figure >= len(s.Figures) {
		return ""
	}
	f := s.Figures[figure]
	switch q {
	case AskFraming:
		return s.Framing
	case AskExpression:
		return f.Expression
	case AskGesture:
		return orWord(f.Gesture, "none")
	case AskHair:
		return f.Hair
	case AskHairStyle:
		return f.HairStyle
	case AskEyes:
		if f.Expression == "closed eyes" {
			return ""
		}
		return f.Eyes
	case AskAccessory:
		return orWord(f.Accessory, "none")
	case AskGarment:
		return f.Outfit.Garment
	case AskCloth:
		return f.Outfit.Color
	}
	return orWord(f.Name, "other")
}

func orWord(word, instead string) string {
	if word == "" {
		return instead
	}
	return word
}

// head is a question asked of one figure; span is where its answers lie in the judge's outputs.
type head struct {
	question Question
	figure   int
	from, to int
}

// heads are all outputs of the judge: every question once, then those about a figure again for the right one.
var heads = func() []head {
	var out []head
	at := 0
	add := func(q Question, figure int) {
		out = append(out, head{q, figure, at, at + len(words[q])})
		at += len(words[q])
	}
	for q := range questions {
		add(q, 0)
	}
	for q := AskHair; q < questions; q++ {
		add(q, 1)
	}
	return out
}()

var outputs = heads[len(heads)-1].to
