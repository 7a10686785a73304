package sample

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// node is a piece of a prompt whose text may depend on the step.
type node interface{}

type (
	// literal is text as typed, escapes and attention included.
	literal string
	// enclosed is (…), […] or (…:…) of which something inside depends on the step.
	enclosed struct {
		open, close string
		inner       []node
	}
	// scheduled is [before:after:when].
	scheduled struct {
		before, after []node
		when          string
	}
	// alternating is [a|b|c].
	alternating [][]node
)

// number is the time of a schedule: an integer is a step, a number with a point a share of all steps.
var number = regexp.MustCompile(`^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*$`)

// maxNesting bounds brackets within brackets; deeper ones are text.
const maxNesting = 64

// planner parses the brackets of one part. Every position is tried once: done remembers the outcome.
type planner struct {
	src   source
	done  map[int]outcome
	slips []Warning
}

type outcome struct {
	n   node // nil: the same text at every step
	end int  // 0: not a bracket expression
}

// syntax is the characters that mean something in a part; all others stand for themselves.
const syntax = `()[]:|\`

// parsePlan divides a part into nodes. A bar outside brackets, or a backslash at the very end, makes all of it text, as in the web UIs.
func parsePlan(src source) ([]node, []Warning) {
	p := &planner{src: src, done: map[int]outcome{}}
	text := src.text
	var out []node
	from := 0 // of the text since the last node
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '|':
			p.slip(i, "a | outside [ ] makes the whole prompt plain text: write \\| for a bar, or [this|that]")
			return []node{literal(text)}, p.slips
		case '\\':
			if i+1 == len(text) {
				p.slip(i, "a \\ at the end escapes nothing and makes the whole prompt plain text: write \\\\")
				return []node{literal(text)}, p.slips
			}
			i += escaped(text[i:])
		case '[', '(':
			o := p.bracket(i, 0)
			switch {
			case o.end == 0:
				i++
			case o.n == nil:
				i = o.end
			default:
				out = append(withText(out, text[from:i]), o.n)
				i, from = o.end, o.end
			}
		default:
			i += plain(text[i:])
		}
	}
	return withText(out, text[from:]), p.slips
}

// escaped is the length of a backslash and the character after it.
func escaped(text string) int {
	_, n := utf8.DecodeRuneInString(text[1:])
	return 1 + n
}

// plain is the length of the first character and what follows it without syntax.
func plain(text string) int {
	if n := strings.IndexAny(text[1:], syntax); n >= 0 {
		return 1 + n
	}
	return len(text)
}

// withText appends a literal, unless it is empty.
func withText(out []node, text string) []node {
	if text == "" {
		return out
	}
	return append(out, literal(text))
}

func (p *planner) slip(at int, message string) {
	p.slips = append(p.slips, Warning{p.src.origin(at), message})
}

// bracket parses the bracket expression that opens at i.
func (p *planner) bracket(i, depth int) outcome {
	if o, ok := p.done[i]; ok {
		return o
	}
	o := outcome{}
	if depth < maxNesting {
		if p.src.text[i] == '(' {
			o = p.round(i, depth)
		} else {
			o = p.square(i, depth)
		}
	}
	p.done[i] = o
	return o
}

// round parses (…) or (…:…).
func (p *planner) round(i, depth int) outcome {
	text := p.src.text
	inner, at := p.sequence(i+1, depth)
	if at < len(text) && text[at] == ':' {
		var second []node
		second, at = p.sequence(at+1, depth)
		inner = append(append(inner, literal(":")), second...)
	}
	if at >= len(text) || text[at] != ')' {
		return outcome{}
	}
	return outcome{enclose("(", ")", inner), at + 1}
}

// square parses […], [a|b…], [to:when] or [from:to:when].
func (p *planner) square(i, depth int) outcome {
	text := p.src.text
	first, at := p.sequence(i+1, depth)
	if at >= len(text) {
		return outcome{}
	}
	fields, starts, separator := [][]node{first}, []int{i + 1}, text[at]
	for at < len(text) && text[at] == separator && (separator == '|' || separator == ':') {
		starts = append(starts, at+1)
		var next []node
		next, at = p.sequence(at+1, depth)
		fields = append(fields, next)
	}
	if at >= len(text) || text[at] != ']' {
		return outcome{}
	}
	switch {
	case len(fields) == 1:
		return outcome{enclose("[", "]", first), at + 1}
	case separator == '|':
		return outcome{alternating(fields), at + 1}
	}
	when := number.FindStringSubmatch(text[starts[len(starts)-1]:at])
	if when == nil || len(fields) > 3 {
		p.slip(i, "this is neither [to:when] nor [from:to:when] with a number as when: taken as text")
		return outcome{}
	}
	s := scheduled{after: fields[len(fields)-2], when: when[1]}
	if len(fields) == 3 {
		s.before = fields[0]
	}
	return outcome{s, at + 1}
}

// sequence parses text and brackets up to a ), ], : or |, and returns where that is; len(text) if a bracket inside fails.
func (p *planner) sequence(i, depth int) ([]node, int) {
	text := p.src.text
	var out []node
	from := i // of the text since the last node
	for i < len(text) {
		switch c := text[i]; c {
		case ')', ']', ':', '|':
			return withText(out, text[from:i]), i
		case '(', '[':
			o := p.bracket(i, depth+1)
			if o.end == 0 {
				return nil, len(text)
			}
			if o.n != nil {
				out, from = append(withText(out, text[from:i]), o.n), o.end
			}
			i = o.end
		case '\\':
			if i+1 == len(text) {
				return nil, len(text)
			}
			i += escaped(text[i:])
		default:
			i += plain(text[i:])
		}
	}
	return nil, len(text)
}

// enclose is nil where nothing inside depends on the step.
func enclose(open, close string, inner []node) node {
	if !slices.ContainsFunc(inner, func(n node) bool { _, text := n.(literal); return !text }) {
		return nil
	}
	return enclosed{open, close, inner}
}

// switchStep is the last step of before: share of the steps if when has a point, else a step.
func switchStep(when string, steps int) int {
	v, err := strconv.ParseFloat(when, 64)
	if err != nil {
		return steps // out of range for a float
	}
	if strings.Contains(when, ".") {
		v *= float64(steps)
	}
	if v >= float64(steps) {
		return steps
	}
	return int(v)
}

func render(b *strings.Builder, nodes []node, step, steps int) {
	for _, n := range nodes {
		switch n := n.(type) {
		case literal:
			b.WriteString(string(n))
		case enclosed:
			b.WriteString(n.open)
			render(b, n.inner, step, steps)
			b.WriteString(n.close)
		case scheduled:
			if step <= switchStep(n.when, steps) {
				render(b, n.before, step, steps)
			} else {
				render(b, n.after, step, steps)
			}
		case alternating:
			render(b, n[(max(step, 1)-1)%len(n)], step, steps)
		}
	}
}

func write(b *strings.Builder, nodes []node) {
	for _, n := range nodes {
		switch n := n.(type) {
		case literal:
			b.WriteString(string(n))
		case enclosed:
			b.WriteString(n.open)
			write(b, n.inner)
			b.WriteString(n.close)
		case scheduled:
			b.WriteByte('[')
			if n.before != nil {
				write(b, n.before)
				b.WriteByte(':')
			}
			write(b, n.after)
			b.WriteString(":" + n.when + "]")
		case alternating:
			for i, choice := range n {
				b.WriteString("[|"[min(i, 1) : min(i, 1)+1])
				write(b, choice)
			}
			b.WriteByte(']')
		}
	}
}
