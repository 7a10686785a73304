package assist

import "strings"

// plain returns a cell with the magics that it begins with blanked, so that offsets stay, and where its Go begins: one past the end where
// none can follow. Of %time and %%time the statement is Go. The whole of a cell like %%bash is blank.
func plain(code string) (text string, from int) {
	for at := 0; at < len(code); {
		line, _, _ := strings.Cut(code[at:], "\n")
		trimmed := strings.TrimSpace(line)
		word, _, _ := strings.Cut(trimmed, " ")
		next := at + len(line) + 1 // past the end where the line is not ended
		switch {
		case word == "":
		case (word == "%time" || word == "%%time") && strings.TrimLeft(line, " \t") != word:
			from = at + strings.Index(line, word) + len(word)
			return blank(code, from), from
		case strings.HasPrefix(word, "%%") && word != "%%time":
			return blank(code, len(code)), len(code) + 1
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
	for i := range b[:min(to, len(b))] {
		if b[i] != '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}
