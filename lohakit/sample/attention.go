package sample

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Run is a stretch of prompt text with one attention weight.
type Run struct {
	Text   string
	Weight float64 // the states of its tokens are multiplied by it
	Break  bool    // BREAK: no text, the next run begins a new chunk of 75 tokens
}

// attentionStep is what one pair of brackets multiplies by; square ones divide.
const attentionStep = 1.1

// closing is a weight that ends a round bracket.
var closing = regexp.MustCompile(`^:\s*([+-]?[.\d]+)\s*\)`)

// Attention divides the text of one step into runs: (a) weighs 1.1, (a:1.3) weighs 1.3, [a] weighs 1/1.1, nested weights multiply, a
// backslash takes the next character as it is, and a bracket left open holds to the end; brackets inside 64 others weigh nothing. Neighbours
// of equal weight are one run. There is always at least one.
func Attention(text string) []Run {
	var runs []Run
	var round, square []int // where the open brackets began
	add := func(s string) { runs = append(runs, Run{Text: s, Weight: 1}) }
	// end closes the last of the open brackets
	end := func(open *[]int, by float64) {
		from := (*open)[len(*open)-1]
		if *open = (*open)[:len(*open)-1]; len(*open) >= maxNesting {
			return
		}
		for i := from; i < len(runs); i++ {
			if !runs[i].Break {
				runs[i].Weight *= by
			}
		}
	}
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && strings.IndexByte(`()[]\`, text[i+1]) >= 0:
			add(text[i+1 : i+2])
			i += 2
			continue
		case c == '\\':
			// before any other character it vanishes, as in the web UIs
			add("")
		case c == '(':
			round = append(round, len(runs))
		case c == '[':
			square = append(square, len(runs))
		case c == ':' && len(round) > 0:
			if m := closing.FindStringSubmatch(text[i:]); m != nil {
				if v, err := strconv.ParseFloat(m[1], 64); err == nil && !math.IsInf(v, 0) {
					end(&round, v)
					i += len(m[0])
					continue
				}
			}
			add(":")
		case c == ')' && len(round) > 0:
			end(&round, attentionStep)
		case c == ']' && len(square) > 0:
			end(&square, 1/attentionStep)
		case strings.IndexByte(`():[]`, c) >= 0:
			add(text[i : i+1])
		default:
			size := strings.IndexAny(text[i:], `\()[]:`)
			if size < 0 {
				size = len(text) - i
			}
			for j, at := range splitWord(text[i:i+size], "BREAK") {
				s := text[i+at[0] : i+at[1]]
				if j > 0 {
					last := &runs[len(runs)-1]
					last.Text = strings.TrimRightFunc(last.Text, unicode.IsSpace)
					runs = append(runs, Run{Break: true})
					s = strings.TrimLeftFunc(s, unicode.IsSpace)
				}
				add(s)
			}
			i += size
			continue
		}
		i++
	}
	for len(round) > 0 {
		end(&round, attentionStep)
	}
	for len(square) > 0 {
		end(&square, 1/attentionStep)
	}
	return meltRuns(runs)
}

// meltRuns joins neighbours of equal weight.
func meltRuns(runs []Run) []Run {
	if len(runs) == 0 {
		return []Run{{Weight: 1}}
	}
	out := runs[:0]
	for i := 0; i < len(runs); {
		r := runs[i]
		var text strings.Builder
		text.WriteString(r.Text)
		for i++; i < len(runs) && !r.Break && !runs[i].Break && runs[i].Weight == r.Weight; i++ {
			text.WriteString(runs[i].Text)
		}
		r.Text = text.String()
		out = append(out, r)
	}
	return out
}

// attentionSlips reports brackets without a partner and weights that are no numbers.
func attentionSlips(src source) []Warning {
	var slips []Warning
	text := src.text
	var open []int
	warn := func(at int, format string, args ...any) {
		slips = append(slips, Warning{src.origin(at), fmt.Sprintf(format, args...)})
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\\':
			i++
		case '(', '[':
			open = append(open, i)
		case ')', ']':
			partner := byte('(')
			if c == ']' {
				partner = '['
			}
			if len(open) == 0 {
				warn(i, "nothing was opened for this %c: taken as text", c)
			} else if at := open[len(open)-1]; text[at] != partner {
				warn(i, "this %c meets a %c", c, text[at])
			} else {
				open = open[:len(open)-1]
			}
		case ':':
			if m := closing.FindStringSubmatch(text[i:]); m != nil {
				if _, err := strconv.ParseFloat(m[1], 64); err != nil {
					warn(i, "%q is not a number: taken as text", m[1])
				}
			}
		}
	}
	for _, at := range open {
		warn(at, "this %c is not closed: it holds to the end", text[at])
	}
	return slips
}
