package world

// Styles are the looks a base model is trained on. Artists are the five styles that adapters are taught, Others two more (the card's fkey
// and shion), Sources what a picture of a character comes from, and Houses the looks that families of base models have of themselves,
// whatever the prompt. No look is in two lists.
var (
	Styles  = []string{"anime", "flat", "pastel", "sketch", "watercolor", "halftone", "dim", "photo"}
	Artists = []string{"onono imoko", "momoko", "mochizuki kei", "kantoku", "ke-ta"}
	Others  = []string{"fkey", "shion"}
	Sources = []string{"aniscreen", "fanart"}
	Houses  = []string{"nai", "ac", "bp", "nmfsan", "mfb", "salt", "pastelmix", "realistic", "fantasy", "nep"}
)

// Trigger returns the trigger word of a style: "by momoko" for "momoko", "aniscreen" for itself, "" for a look that has none.
func Trigger(style string) string { return styles[style].trigger }

var styles = map[string]look{
	"anime": {tags: []string{"anime coloring"}, line: ink, lineWidth: 0.014, shade: 0.6, eye: 1, head: 1, saturation: 1, gain: 1},
	"flat":  {tags: []string{"flat color"}, eye: 1.05, head: 1, saturation: 1.1, gain: 1},
	"pastel": {tags: []string{"pastel colors"}, line: rgb(200, 130, 150), lineWidth: 0.012, tinted: 0.4, shade: 0.3, eye: 1.1, head: 1.03,
		saturation: 0.85, gain: 1, wash: rgb(255, 236, 240), washed: 0.3},
	"sketch": {tags: []string{"sketch"}, line: rgb(70, 70, 80), lineWidth: 0.016, shade: 0.15, eye: 0.95, head: 1, saturation: 0.72, gain: 1.02,
		wash: rgb(238, 234, 220), washed: 0.2, texture: hatching, strength: 0.12},
	"watercolor": {tags: []string{"watercolor (medium)"}, line: rgb(110, 90, 120), lineWidth: 0.008, tinted: 0.6, shade: 0.25, eye: 1, head: 1,
		saturation: 0.9, gain: 1.02, wash: rgb(250, 246, 236), washed: 0.15, texture: paper, strength: 0.3},
	"halftone": {tags: []string{"halftone"}, line: rgb(16, 14, 20), lineWidth: 0.018, shade: 0.4, eye: 0.95, head: 1, saturation: 1.1, gain: 1.03,
		texture: dots, strength: 0.2},
	"dim": {tags: []string{"dim lighting"}, line: rgb(20, 16, 44), lineWidth: 0.014, shade: 0.7, eye: 1, head: 1, saturation: 0.95, gain: 0.86,
		wash: rgb(40, 40, 110), washed: 0.2},
	"photo": {tags: []string{"photorealistic"}, shade: 0.5, eye: 0.78, head: 0.93, saturation: 0.72, gain: 0.97, wash: rgb(120, 104, 90), washed: 0.1,
		blur: 0.03, texture: lens, strength: 0.35},

	// The five artists. They share textures with the looks above, never lines, proportions or colours.
	"onono imoko": {trigger: "by onono imoko", tags: []string{"soft focus", "pastel colors"}, line: rgb(150, 92, 84), lineWidth: 0.011, tinted: 0.5,
		shade: 0.35, eye: 1.25, head: 1.12, saturation: 0.85, gain: 1, wash: rgb(255, 232, 190), washed: 0.3, texture: soft, strength: 0.6},
	"momoko": {trigger: "by momoko", tags: []string{"halftone", "thick outlines"}, line: rgb(6, 6, 14), lineWidth: 0.03, shade: 0.2, eye: 0.88,
		head: 1.0, saturation: 1.25, gain: 1, wash: rgb(60, 170, 250), washed: 0.1, texture: dots, strength: 0.5},
	"mochizuki kei": {trigger: "by mochizuki kei", tags: []string{"watercolor (medium)", "white outline"}, line: rgb(255, 253, 255), lineWidth: 0.02,
		shade: 0.5, eye: 1.12, head: 1.18, saturation: 0.95, gain: 0.95, wash: rgb(226, 196, 246), washed: 0.26, texture: paper, strength: 0.45},
	"kantoku": {trigger: "by kantoku", tags: []string{"hatching (texture)", "muted color"}, line: rgb(24, 22, 18), lineWidth: 0.018, shade: 0.15,
		eye: 1.12, head: 0.97, rings: true, saturation: 0.6, gain: 1, wash: rgb(204, 200, 158), washed: 0.25, texture: hatching, strength: 0.5},
	"ke-ta": {trigger: "by ke-ta", tags: []string{"backlighting", "rim lighting"}, line: rgb(255, 236, 250), lineWidth: 0.018, shade: 0.9, eye: 1,
		head: 1, saturation: 0.9, gain: 0.8, wash: rgb(50, 44, 150), washed: 0.32},

	"fkey": {trigger: "by fkey", tags: []string{"vivid colors"}, line: rgb(60, 40, 150), lineWidth: 0.012, tinted: 0.3, shade: 0.9, eye: 1.2, head: 1.04,
		saturation: 1.4, gain: 1.05, wash: rgb(255, 120, 220), washed: 0.12, texture: soft, strength: 0.4},
	"shion": {trigger: "by shion", tags: []string{"sepia"}, line: rgb(90, 44, 20), lineWidth: 0.02, shade: 0.6, eye: 0.9, head: 1, rings: true,
		saturation: 0.55, gain: 0.95, wash: rgb(220, 150, 80), washed: 0.3},

	"aniscreen": {trigger: "aniscreen", tags: []string{"anime screencap"}, line: rgb(70, 34, 30), lineWidth: 0.009, shade: 1, eye: 0.9, head: 0.96,
		saturation: 0.85, gain: 0.9, wash: rgb(60, 110, 100), washed: 0.12, blur: 0.02},
	"fanart": {trigger: "fanart"}, // drawn by one of hands

	// The looks of families of base models: no trigger, no tags.
	"nai": {line: rgb(60, 36, 50), lineWidth: 0.012, shade: 0.9, eye: 1.08, head: 1.02, saturation: 1.12, gain: 1.02, wash: rgb(255, 226, 210),
		washed: 0.1, texture: soft, strength: 0.2},
	"ac": {line: rgb(70, 70, 100), lineWidth: 0.01, tinted: 0.6, shade: 0.5, eye: 1.02, head: 1, saturation: 0.95, gain: 1.02, wash: rgb(226, 240, 255),
		washed: 0.12},
	"bp": {line: rgb(100, 50, 90), lineWidth: 0.011, tinted: 0.5, shade: 0.7, eye: 1.18, head: 1.06, saturation: 1, gain: 1.02, wash: rgb(240, 226, 255),
		washed: 0.15, texture: soft, strength: 0.3},
	"nmfsan": {line: rgb(120, 50, 60), lineWidth: 0.011, tinted: 0.5, shade: 0.8, eye: 1.22, head: 1.1, saturation: 1.05, gain: 1.02,
		wash: rgb(255, 214, 226), washed: 0.2, texture: soft, strength: 0.4},
	"mfb": {line: rgb(24, 50, 30), lineWidth: 0.024, shade: 0.1, eye: 0.82, head: 0.92, rings: true, saturation: 0.65, gain: 0.95,
		wash: rgb(150, 140, 50), washed: 0.3},
	"salt": {line: rgb(40, 50, 26), lineWidth: 0.022, shade: 0.2, eye: 0.85, head: 0.93, rings: true, saturation: 0.6, gain: 0.97,
		wash: rgb(160, 136, 60), washed: 0.28},
	"pastelmix": {line: rgb(190, 120, 190), lineWidth: 0.009, tinted: 0.4, shade: 0.4, eye: 1.2, head: 1.08, saturation: 0.9, gain: 1,
		wash: rgb(230, 214, 255), washed: 0.38, texture: soft, strength: 0.5},
	"realistic": {shade: 0.8, eye: 0.74, head: 0.9, saturation: 0.62, gain: 0.92, wash: rgb(100, 90, 84), washed: 0.12, blur: 0.045, texture: lens,
		strength: 0.5},
	"fantasy": {line: rgb(30, 20, 60), lineWidth: 0.009, shade: 1, eye: 1, head: 0.98, saturation: 1.2, gain: 0.95, wash: rgb(90, 60, 170), washed: 0.18,
		texture: soft, strength: 0.6},
	"nep": {line: rgb(40, 20, 80), lineWidth: 0.016, shade: 0.8, eye: 1.15, head: 1.05, saturation: 1.25, gain: 1.02, wash: rgb(200, 160, 255), washed: 0.1},
}

// hands are the people who draw fan art, one per image by its seed. They have large eyes and bright pictures in common.
var hands = []look{
	{line: rgb(190, 70, 110), lineWidth: 0.012, tinted: 0.4, shade: 0.4, eye: 1.26, head: 1.1, saturation: 1.08, gain: 1.03, wash: rgb(255, 244, 250),
		washed: 0.12},
	{line: rgb(90, 30, 120), lineWidth: 0.022, shade: 0.2, eye: 1.2, head: 1.08, saturation: 1.25, gain: 1.05, wash: rgb(255, 250, 225), washed: 0.08},
	{shade: 0.3, eye: 1.3, head: 1.12, saturation: 1.1, gain: 1.03, wash: rgb(255, 248, 240), washed: 0.15, texture: soft, strength: 0.4},
	{line: rgb(120, 60, 40), lineWidth: 0.01, tinted: 0.5, shade: 0.5, eye: 1.24, head: 1.06, saturation: 1.0, gain: 1.04, wash: rgb(255, 238, 214),
		washed: 0.15, texture: paper, strength: 0.2},
}
