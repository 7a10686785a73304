// Package merge makes models of models: it reads merge recipes, says what share of each source a result holds before anything is
// computed, and runs them one tensor at a time with the rounding of the original tool; it weights by block, and measures how far
// models are from each other.
package merge

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Recipe is a parsed merge recipe in the syntax of sdweb-merge-board: lines "OUT = A + B, M" for the weighted sum (1−M)·A + M·B, and
// "OUT = A + B + C, M" for A + M·(B − C), each followed by flags; __O3__ is the output of the third recipe line, other __NAMES__ are
// variables, described by lines "__NAME__, hint"; # begins a comment.
type Recipe struct {
	Lines     []Line
	Variables []Variable // those that appear in a line, in order
}

// Line is one merge.
type Line struct {
	Number    int    // in the text, from 1
	Out       string // name of the result
	A, B      string // names of models, of earlier results, or variables
	C         string // subtracted from B; "" makes a weighted sum
	M         float64
	Half      bool   // "fp16": float32 tensors of the result are stored as float16
	Container string // "safetensors" or "ckpt", as written; "" if not. Results are stored as safetensors in every case
}

// Variable is a name to be chosen when the recipe is run.
type Variable struct {
	Name string // with its underscores: "__SD15__"
	Hint string // what the recipe says about it; ""
}

// maxWeight bounds M of an add difference, and maxLines the lines of a recipe; the original stops after 10.
const (
	maxWeight = 10
	maxLines  = 1000
)

// outputOf is a reference to a line's result.
var outputOf = regexp.MustCompile(`^__O(\d+)__$`)

// variable is any name in double underscores.
var variable = regexp.MustCompile(`^__.+__$`)

// Parse reads a whole recipe. Every error is reported, each with its line and column: see fault.Error.Path. Refused are lines that are
// no merge, decimal commas, names used twice for results, references to this or a later line, and weights outside their meaning: 0 to 1
// for the sum, −10 to 10 for the difference.
func Parse(text string) (*Recipe, error) {
	p := parser{recipe: &Recipe{}, outputs: map[string]int{}, hints: map[string]string{}}
	for i, line := range strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n") {
		p.line(i+1, strings.TrimSuffix(line, "\r"))
	}
	if len(p.recipe.Lines) == 0 && len(p.slips) == 0 {
		p.slip(1, "", "", "there is no line like OUT = A + B, 0.5")
	}
	if len(p.slips) > 0 {
		return nil, errors.Join(p.slips...)
	}
	p.variables()
	return p.recipe, nil
}

type parser struct {
	recipe  *Recipe
	merges  int               // lines that are one, sound or not
	outputs map[string]int    // name of a result to its line number
	hints   map[string]string // of variables
	slips   []error
}

// slip reports an error at the place of part, a piece of line.
func (p *parser) slip(number int, line, part, format string, args ...any) *fault.Error {
	column := 1
	if at := strings.Index(line, part); at >= 0 && part != "" {
		column = utf8.RuneCountInString(line[:at]) + 1
	}
	e := fault.New(fault.Invalid, "read recipe", fmt.Sprintf("line %d, column %d", number, column), format, args...)
	p.slips = append(p.slips, e)
	return e
}

func (p *parser) line(number int, line string) {
	plain, _, _ := strings.Cut(line, "#")
	switch plain = strings.TrimSpace(plain); {
	case plain == "" || len(p.slips) >= maxLines:
	case strings.HasPrefix(plain, "_"):
		name, hint, ok := strings.Cut(plain, ",")
		if name = strings.TrimSpace(name); !variable.MatchString(name) {
			p.slip(number, line, name, "%q is no variable: write __NAME__, what it stands for", name)
		} else if ok {
			p.hints[name] = strings.TrimSpace(hint)
		}
	case len(p.recipe.Lines) >= maxLines:
		p.slip(number, line, plain, "more than %d merges", maxLines)
	default:
		if l, ok := p.merge(number, line, plain); ok {
			p.outputs[l.Out] = number
			p.recipe.Lines = append(p.recipe.Lines, l)
		}
		p.merges++
	}
}

// merge reads one recipe line.
func (p *parser) merge(number int, line, plain string) (Line, bool) {
	l := Line{Number: number}
	before := len(p.slips)
	out, right, ok := strings.Cut(plain, "=")
	if !ok {
		p.slip(number, line, plain, "there is no = : write OUT = A + B, 0.5")
		return l, false
	}
	if strings.Contains(right, "=") {
		p.slip(number, line, right[strings.Index(right, "="):], "a second = : names cannot hold one")
		return l, false
	}
	fields := strings.Split(right, ",")
	names := splitPlus(fields[0])
	if len(names) < 2 || len(names) > 3 {
		p.slip(number, line, strings.TrimSpace(fields[0]), "a merge has two models (sum) or three (difference), not %d", len(names))
		return l, false
	}
	for _, name := range names {
		if name == "" {
			p.slip(number, line, "+", "a model's name is missing")
			return l, false
		}
		p.reference(number, line, name)
	}
	l.A, l.B = names[0], names[1]
	if len(names) == 3 {
		l.C = names[2]
	}
	l.Out = fileName(strings.TrimSpace(out))
	if len(fields) < 2 {
		p.slip(number, line, plain, "the weight is missing: write , 0.5 after the models")
		return l, false
	}
	weight := strings.TrimSpace(fields[1])
	m, err := strconv.ParseFloat(weight, 64)
	switch {
	case err != nil || math.IsNaN(m) || math.IsInf(m, 0):
		p.slip(number, line, weight, "the weight %q is not a number", weight)
	case l.C == "" && (m < 0 || m > 1):
		p.slip(number, line, weight, "the weight %g of a sum is outside 0 … 1", m)
	case math.Abs(m) > maxWeight:
		p.slip(number, line, weight, "the weight %g of a difference is outside −%d … %d", m, maxWeight, maxWeight)
	}
	l.M = m
	if l.Out == "" {
		l.Out = fileName(defaultName(l))
	}
	if first, twice := p.outputs[l.Out]; twice {
		p.slip(number, line, strings.TrimSpace(out), "%q is already the result of line %d", l.Out, first)
	}
	for _, flag := range fields[2:] {
		switch flag = strings.TrimSpace(flag); flag {
		case "fp16":
			l.Half = true
		case "safetensors", "ckpt":
			l.Container = flag
		default: // others may be of newer programs; a number is what a decimal comma leaves
			if _, err := strconv.ParseFloat(flag, 64); err == nil {
				p.slip(number, line, weight+",", "after the weight %s comes the number %s: write decimals with a point", weight, flag)
			}
		}
	}
	return l, len(p.slips) == before
}

// splitPlus divides at " + " if that gives two or three names, so that names may hold a plus, else at every plus.
func splitPlus(s string) []string {
	names := strings.Split(strings.TrimSpace(s), " + ")
	if len(names) != 2 && len(names) != 3 {
		names = strings.Split(s, "+")
	}
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// reference checks a name that stands for another line's result.
func (p *parser) reference(number int, line, name string) {
	m := outputOf.FindStringSubmatch(name)
	if m == nil {
		return
	}
	if k, err := strconv.Atoi(m[1]); err != nil || k < 1 || k > p.merges {
		p.slip(number, line, name, "%s is not the output of an earlier line: there are %d before this one", name, p.merges)
	}
}

// fileName replaces what file names may not hold, as the original does.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(`\/:?"<>|*`, r) {
			return '-'
		}
		return r
	}, s)
}

// defaultName is what the original calls a result without a name.
func defaultName(l Line) string {
	method := "Weighted_sum"
	if l.C != "" {
		method = "Add_difference"
	}
	return fmt.Sprintf("%s_%s-%s_%s-%s-merged", l.A, number(1-l.M), l.B, number(l.M), method)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// names lists the line's operands.
func (l Line) names() []string {
	if l.C == "" {
		return []string{l.A, l.B}
	}
	return []string{l.A, l.B, l.C}
}

// variables gathers those in use.
func (p *parser) variables() {
	seen := map[string]bool{}
	for _, l := range p.recipe.Lines {
		for _, name := range l.names() {
			if variable.MatchString(name) && outputOf.FindString(name) == "" && !seen[name] {
				seen[name] = true
				p.recipe.Variables = append(p.recipe.Variables, Variable{name, p.hints[name]})
			}
		}
	}
}

// String prints the line as a recipe has it.
func (l Line) String() string {
	s := " = " + strings.Join(l.names(), " + ") + ", " + number(l.M)
	if l.Out != fileName(defaultName(l)) {
		s = l.Out + s // a default name may begin with an underscore, which a line may not
	}
	if l.Half {
		s += ", fp16"
	}
	if l.Container != "" {
		s += ", " + l.Container
	}
	return strings.TrimSpace(s)
}

// String prints the recipe without its comments; parsing it gives the same recipe but for line numbers.
func (r *Recipe) String() string {
	var b strings.Builder
	for _, v := range r.Variables {
		if v.Hint != "" {
			fmt.Fprintf(&b, "%s, %s\n", v.Name, v.Hint)
		}
	}
	for _, l := range r.Lines {
		b.WriteString(l.String() + "\n")
	}
	return b.String()
}
