package sd

import (
	"html"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// clean brings text to the form that CLIP's vocabulary was made from, as ftfy's fix_text followed by whitespace collapsing and
// lower-casing does: entities read, ligatures and full-width forms spelled out, quotes straight, control characters gone, NFC.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	var fixed strings.Builder
	entities := true
	for line := range strings.SplitAfterSeq(text, "\n") {
		entities = entities && !strings.Contains(line, "<") // from the first tag on, the text is taken for HTML source
		fixed.WriteString(fixLine(line, entities))
	}
	return lower(strings.Join(strings.FieldsFunc(fixed.String(), isSpace), " "))
}

// fixLine repeats the repairs until nothing changes: one can uncover work for another ("&amp;lt;").
func fixLine(line string, entities bool) string {
	for {
		before := line
		if entities {
			line = entity.ReplaceAllStringFunc(line, unescape)
		}
		line = repair(line)
		line = norm.NFC.String(line)
		if line == before {
			return line
		}
	}
}

var (
	entity         = regexp.MustCompile(`&#?[0-9A-Za-z]{1,24};`)
	terminalEscape = regexp.MustCompile("\x1b\\[[0-9;]*[a-zA-Z]")
)

// unescape reads one entity, whole or not at all; names in capitals that HTML does not have mean the capital: "&EACUTE;".
func unescape(entity string) string {
	if entity == "&semi;" {
		return ";"
	}
	if text := html.UnescapeString(entity); !strings.Contains(text, ";") {
		return text
	}
	if entity == strings.ToUpper(entity) {
		if text := html.UnescapeString(strings.ToLower(entity)); !strings.Contains(text, ";") {
			return strings.ToUpper(text)
		}
	}
	return entity
}

// repair makes the replacements that look at one character at a time.
func repair(line string) string {
	line = strings.Map(func(r rune) rune {
		if 0x80 <= r && r <= 0x9F {
			return windows1252[r-0x80]
		}
		return r
	}, line)
	line = spelled.Replace(line)
	if strings.ContainsFunc(line, isWide) {
		var b strings.Builder
		for _, r := range line {
			if isWide(r) {
				b.WriteString(norm.NFKC.String(string(r)))
			} else {
				b.WriteRune(r)
			}
		}
		line = b.String()
	}
	line = quotes.Replace(line)
	line = breaks.Replace(line)
	line = terminalEscape.ReplaceAllLiteralString(line, "")
	return strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, line)
}

// windows1252 is what the C1 control characters were meant to be; the five bytes that code page leaves open stay.
var windows1252 = [32]rune{
	'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8D, 'Ž', 0x8F,
	0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9D, 'ž', 'Ÿ',
}

var (
	spelled = strings.NewReplacer("Ĳ", "IJ", "ĳ", "ij", "ŉ", "ʼn", "Ǆ", "DŽ", "ǅ", "Dž", "ǆ", "dž", "Ǉ", "LJ", "ǈ", "Lj", "ǉ", "lj",
		"Ǌ", "NJ", "ǋ", "Nj", "ǌ", "nj", "Ǳ", "DZ", "ǲ", "Dz", "ǳ", "dz",
		"ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "ſt", "ﬆ", "st")
	quotes = strings.NewReplacer("‘", "'", "’", "'", "‚", "'", "‛", "'", "ʼ", "'", "“", `"`, "”", `"`, "„", `"`, "‟", `"`)
	breaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n")
)

func isWide(r rune) bool { return 0xFF01 <= r && r <= 0xFFEF || r == 0x3000 }

// isControl reports characters with no place in text: C0 controls but tab, line feed, form feed and carriage return,
// deprecated format characters, interlinear annotations, and the byte-order mark.
func isControl(r rune) bool {
	switch {
	case r < 0x20:
		return r != '\t' && r != '\n' && r != '\f' && r != '\r'
	case r == 0x7F, 0x206A <= r && r <= 0x206F, 0xFFF9 <= r && r <= 0xFFFC, r == 0xFEFF:
		return true
	}
	return false
}

// isSpace is Python's notion, which adds the four information separators.
func isSpace(r rune) bool { return unicode.IsSpace(r) || 0x1C <= r && r <= 0x1F }

// lower is full lower-casing: beyond one letter for one, İ keeps its dot as a combining mark, and a Σ that ends a word is ς.
func lower(text string) string {
	if !strings.ContainsAny(text, "İΣ") {
		return strings.ToLower(text)
	}
	runes := []rune(text)
	var b strings.Builder
	for i, r := range runes {
		switch {
		case r == 'İ':
			b.WriteString("i\u0307")
		case r == 'Σ' && casedBefore(runes[:i]) && !casedAfter(runes[i+1:]):
			b.WriteRune('ς')
		default:
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return b.String()
}

func casedBefore(runes []rune) bool {
	for i := len(runes) - 1; i >= 0; i-- {
		if !caseIgnorable(runes[i]) {
			return cased(runes[i])
		}
	}
	return false
}

func casedAfter(runes []rune) bool {
	for _, r := range runes {
		if !caseIgnorable(r) {
			return cased(r)
		}
	}
	return false
}

func cased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) || strings.ContainsRune("'.:·’․﹒﹕＇．：‘", r)
}
