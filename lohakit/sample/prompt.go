package sample

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Prompt is a prompt in the web UIs' language, parsed: (attention), [de-emphasis], BREAK, AND, [from:to:when], [this|that], \escapes,
// <lora:name:text:unet> and lines beginning with #, which are comments. Nothing typed is an error: what is not quite syntax is text,
// as in the web UIs, and Warnings says where that happened.
type Prompt struct {
	Text     string    // as typed
	Networks []Network // adapters asked for, in order; they are no part of the text the encoder sees
	Parts    []Part    // the prompts between the ANDs, at least one
	Warnings []Warning // in the order of their places
}

// Part is one of the prompts joined by AND; their guidance is added up.
type Part struct {
	Weight float64 // of this part's guidance: the number after its last colon, 1 without
	plan   []node
}

// Warning is a slip: something that looks like syntax and is taken as text.
type Warning struct {
	At      int // byte offset in Prompt.Text
	Message string
}

// Where shows the text around the slip on one line, and a caret below it.
func (w Warning) Where(text string) string {
	at := min(max(w.At, 0), len(text))
	start := max(strings.LastIndexByte(text[:at], '\n')+1, at-40)
	for start < at && !utf8.RuneStart(text[start]) {
		start++
	}
	line := text[start:]
	if end := strings.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	if len(line) > 80 {
		line = strings.ToValidUTF8(line[:80], "")
	}
	return line + "\n" + strings.Repeat(" ", utf8.RuneCountInString(text[start:at])) + "^ " + w.Message
}

// ParsePrompt parses a positive prompt.
func ParsePrompt(text string) *Prompt { return parse(text, true) }

// ParseNegative parses a negative prompt, in which AND and <lora:…> are plain text, as in the web UIs.
func ParseNegative(text string) *Prompt { return parse(text, false) }

// maxPrompt is far more than any text encoder reads, and keeps parsing quick whatever is pasted.
const maxPrompt = 1 << 16

var partWeight = regexp.MustCompile(`(?s)^(.*?)(?:\s*:\s*([-+]?(?:\d+\.?\d*|\.\d+)))?\s*$`)

func parse(text string, positive bool) *Prompt {
	p := &Prompt{Text: text}
	if len(text) > maxPrompt {
		p.Warnings = append(p.Warnings, Warning{maxPrompt, "the prompt is longer than 65,536 bytes: the rest is left out"})
		text = strings.ToValidUTF8(text[:maxPrompt], "")
	}
	src := stripComments(source{text: text})
	if positive {
		var slips []Warning
		src, p.Networks, slips = stripNetworks(src)
		p.Warnings = append(p.Warnings, slips...)
		src = stripComments(src) // a # that now begins its line
	}
	pieces := []source{src}
	if positive {
		pieces = src.splitWord("AND")
	}
	for _, piece := range pieces {
		part := Part{Weight: 1}
		if positive {
			m := partWeight.FindStringSubmatchIndex(piece.text)
			if m[4] >= 0 {
				if v, err := strconv.ParseFloat(piece.text[m[4]:m[5]], 64); err == nil && !math.IsInf(v, 0) {
					part.Weight, piece = v, piece.slice(m[2], m[3])
				}
			}
			piece = piece.trim()
		}
		var slips []Warning
		part.plan, slips = parsePlan(piece)
		p.Warnings = append(append(p.Warnings, slips...), attentionSlips(piece)...)
		p.Parts = append(p.Parts, part)
	}
	sortWarnings(p.Warnings)
	return p
}

// At returns the text of each part in force at a step, 1 to steps. Attention is still in it: see Attention.
func (p *Prompt) At(step, steps int) []string {
	out := make([]string, len(p.Parts))
	for i, part := range p.Parts {
		var b strings.Builder
		render(&b, part.plan, step, steps)
		out[i] = b.String()
	}
	return out
}

// String prints the prompt so that parsing it again gives the same: networks first with both weights written out, then the parts.
// Comments and spaces around AND are not kept.
func (p *Prompt) String() string {
	var b strings.Builder
	for _, n := range p.Networks {
		b.WriteString(n.String())
	}
	for i, part := range p.Parts {
		if i > 0 {
			b.WriteString(" AND ")
		} else if first, ok := firstLiteral(part.plan); ok && strings.HasPrefix(first, "#") {
			b.WriteByte(' ') // not a comment
		}
		at := b.Len()
		write(&b, part.plan)
		m := partWeight.FindStringSubmatch(b.String()[at:])
		if part.Weight != 1 || m[2] != "" {
			b.WriteString(":" + strconv.FormatFloat(part.Weight, 'f', -1, 64))
		}
	}
	return b.String()
}

func firstLiteral(plan []node) (string, bool) {
	if len(plan) == 0 {
		return "", false
	}
	l, ok := plan[0].(literal)
	return string(l), ok
}

// source is text of which parts were cut out, remembering where each byte was in the prompt as typed.
type source struct {
	text string
	cuts []cut // in order
	base int   // offset of the first byte, before cuts
}

// cut says that from byte at on, bytes are n further on in the original.
type cut struct{ at, n int }

func (s source) origin(i int) int {
	o := s.base + i
	for _, c := range s.cuts {
		if i >= c.at {
			o += c.n
		}
	}
	return o
}

func (s source) slice(from, to int) source {
	out := source{text: s.text[from:to], base: s.origin(from)}
	for _, c := range s.cuts {
		if c.at > from && c.at < to {
			out.cuts = append(out.cuts, cut{c.at - from, c.n})
		}
	}
	return out
}

// without returns s less the bytes from … to.
func (s source) without(from, to int) source {
	out := source{text: s.text[:from] + s.text[to:], base: s.base}
	added := false
	gap := to - from
	for _, c := range s.cuts {
		switch {
		case c.at <= from:
			out.cuts = append(out.cuts, c)
		case c.at <= to:
			gap += c.n
		default:
			if !added {
				out.cuts, added = append(out.cuts, cut{from, gap}), true
			}
			out.cuts = append(out.cuts, cut{c.at - (to - from), c.n})
		}
	}
	if !added {
		out.cuts = append(out.cuts, cut{from, gap})
	}
	return out
}

func (s source) trim() source {
	from := len(s.text) - len(strings.TrimLeftFunc(s.text, unicode.IsSpace))
	to := len(strings.TrimRightFunc(s.text, unicode.IsSpace))
	return s.slice(min(from, to), to)
}

// splitWord splits at every word that stands alone: not inside a longer run of letters, digits and underscores.
func (s source) splitWord(word string) []source {
	var out []source
	start := 0
	for i := 0; i+len(word) <= len(s.text); {
		at := strings.Index(s.text[i:], word)
		if at < 0 {
			break
		}
		at += i
		i = at + len(word)
		if standsAlone(s.text, at, i) {
			out = append(out, s.slice(start, at))
			start = i
		}
	}
	return append(out, s.slice(start, len(s.text)))
}

func standsAlone(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	return !wordRune(before) && !wordRune(after)
}

func wordRune(r rune) bool {
	return r == '_' || (r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsNumber(r)))
}

// stripComments takes out the lines that begin with #.
func stripComments(s source) source {
	for i := 0; i < len(s.text); {
		end := strings.IndexByte(s.text[i:], '\n')
		if end < 0 {
			end = len(s.text)
		} else {
			end += i + 1
		}
		if s.text[i] == '#' {
			s = s.without(i, end)
		} else {
			i = end
		}
	}
	return s
}
