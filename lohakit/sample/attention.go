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
// backslash takes the next character as it is, and a bracket left open holds to the end. Neighbours of equal weight are one run.
// There is always at least one.
func Attention(text string) []Run {
	var runs []Run
	var round, square []int // where the open brackets began
	scale := func(from int, by float64) {
		for i := from; i < len(runs); i++ {
			if !runs[i].Break {
				runs[i].Weight *= by
			}
		}
	}
	add := func(s string) { runs = append(runs, Run{Text: s, Weight: 1}) }
	pop := func(stack *[]int) int {
		at := (*stack)[len(*stack)-1]
		*stack = (*stack)[:len(*stack)-1]
		return at
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
					scale(pop(&round), v)
					i += len(m[0])
					continue
				}
			}
			add(":")
		case c == ')' && len(round) > 0:
			scale(pop(&round), attentionStep)
		case c == ']' && len(square) > 0:
			scale(pop(&square), 1/attentionStep)
		case strings.IndexByte(`():[]`, c) >= 0:
			add(text[i : i+1])
		default:
			end := strings.IndexAny(text[i:], `\()[]:`)
			if end < 0 {
				end = len(text) - i
			}
			for j, piece := range (source{text: text[i : i+end]}).splitWord("BREAK") {
				s := piece.text
				if j > 0 {
					last := &runs[len(runs)-1]
					last.Text = strings.TrimRightFunc(last.Text, unicode.IsSpace)
					runs = append(runs, Run{Break: true})
					s = strings.TrimLeftFunc(s, unicode.IsSpace)
				}
				add(s)
			}
			i += end
			continue
		}
		i++
	}
	for _, from := range round {
		scale(from, attentionStep)
	}
	for _, from := range square {
		scale(from, 1/attentionStep)
	}
	return meltRuns(runs)
}

// meltRuns joins neighbours of equal weight.
func meltRuns(runs []Run) []Run {
	if len(runs) == 0 {
		return []Run{{Weight: 1}}
	}
	out := runs[:1]
	for _, r := range runs[1:] {
		if last := &out[len(out)-1]; !r.Break && !last.Break && r.Weight == last.Weight {
			last.Text += r.Text
		} else {
			out = append(out, r)
		}
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
