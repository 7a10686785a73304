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
	start := max(at-40, 0)
	start += strings.LastIndexByte(text[start:at], '\n') + 1
	for start < at && !utf8.RuneStart(text[start]) {
		start++
	}
	line := text[start:min(start+81, len(text))]
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
	src := stripComments(newSource(text))
	if positive {
		var slips []Warning
		src, p.Networks, slips = stripNetworks(src)
		p.Warnings = append(p.Warnings, slips...)
		src = stripComments(src) // a # that now begins its line
	}
	pieces := []source{src}
	if positive {
		pieces = nil
		for _, at := range splitWord(src.text, "AND") {
			pieces = append(pieces, src.slice(at[0], at[1]))
		}
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
	at   []int // of each byte, and of the end
}

func newSource(text string) source {
	s := source{text, make([]int, len(text)+1)}
	for i := range s.at {
		s.at[i] = i
	}
	return s
}

func (s source) origin(i int) int { return s.at[i] }

func (s source) slice(from, to int) source { return source{s.text[from:to], s.at[from : to+1]} }

// without returns s less the given parts, each from … to, in order.
func (s source) without(parts [][2]int) source {
	var text strings.Builder
	var at []int
	from := 0
	for _, p := range parts {
		text.WriteString(s.text[from:p[0]])
		at = append(at, s.at[from:p[0]]...)
		from = p[1]
	}
	text.WriteString(s.text[from:])
	return source{text.String(), append(at, s.at[from:]...)}
}

func (s source) trim() source {
	from := len(s.text) - len(strings.TrimLeftFunc(s.text, unicode.IsSpace))
	to := len(strings.TrimRightFunc(s.text, unicode.IsSpace))
	return s.slice(min(from, to), to)
}

// splitWord is the parts of the text, each from … to, between the places where the word stands alone: not inside a longer run of letters,
// digits and underscores. There is at least one.
func splitWord(text, word string) [][2]int {
	var out [][2]int
	start := 0
	for i := 0; i+len(word) <= len(text); {
		at := strings.Index(text[i:], word)
		if at < 0 {
			break
		}
		at += i
		i = at + len(word)
		if standsAlone(text, at, i) {
			out = append(out, [2]int{start, at})
			start = i
		}
	}
	return append(out, [2]int{start, len(text)})
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
	var comments [][2]int
	for i := 0; i < len(s.text); {
		end := len(s.text)
		if n := strings.IndexByte(s.text[i:], '\n'); n >= 0 {
			end = i + n + 1
		}
		if s.text[i] == '#' {
			comments = append(comments, [2]int{i, end})
		}
		i = end
	}
	return s.without(comments)
}
