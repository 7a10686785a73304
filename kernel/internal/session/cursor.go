package session

import "unicode/utf8"

// byteOffset turns a position in Unicode characters, as Jupyter counts, into a byte offset within code.
func byteOffset(code string, characters int) int {
	for i := range code {
		if characters <= 0 {
			return i
		}
		characters--
	}
	return len(code)
}

// characters is the number of Unicode characters before a byte offset.
func characters(code string, offset int) int {
	return utf8.RuneCountInString(code[:max(0, min(offset, len(code)))])
}
