package assist

import "strings"

// plain returns a cell with the magics that it begins with blanked, so that offsets stay, and where its Go begins. Of %time the
// statement is Go. The whole of a cell like %%bash is blank.
func plain(code string) (text string, from int) {
	for at := 0; at < len(code); {
		line, _, _ := strings.Cut(code[at:], "\n")
		trimmed := strings.TrimSpace(line)
		word, _, _ := strings.Cut(trimmed, " ")
		next := min(at+len(line)+1, len(code))
		switch {
		case word == "":
		case word == "%time" && trimmed != word:
			from = at + strings.Index(line, word) + len(word)
			return blank(code, from), from
		case strings.HasPrefix(word, "%%") && word != "%%time":
			return blank(code, len(code)), len(code)
		case strings.HasPrefix(word, "%") || strings.HasPrefix(word, "!"):
			from = next
		default:
			return blank(code, from), from
		}
		at = next
	}
	return blank(code, from), from
}

// blank returns text with spaces for everything up to an offset but the ends of lines.
func blank(text string, to int) string {
	b := []byte(text)
	for i := range b[:to] {
		if b[i] != '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}
