package chart

import (
	"math"
	"strconv"
	"strings"
)

// shortNumber prints v for a tick in at most about six characters: 0.002, −40, 1e−5.
func shortNumber(v float64) string {
	a := math.Abs(v)
	if a == 0 {
		return "0" // and not "−0"
	}
	if a >= 1e-3 && a < 1e5 {
		return strings.Replace(strconv.FormatFloat(math.Round(v*1e6)/1e6, 'g', 5, 64), "-", "−", 1)
	}
	m, e, _ := strings.Cut(strconv.FormatFloat(v, 'e', -1, 64), "e")
	if len(m) > 4 {
		m, e, _ = strings.Cut(strconv.FormatFloat(v, 'e', 1, 64), "e")
	}
	n, _ := strconv.Atoi(e)
	return strings.ReplaceAll(m+"e"+strconv.Itoa(n), "-", "−") // the font has no raised digits
}
