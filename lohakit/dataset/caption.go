package dataset

import (
	"math"
	"math/rand/v2"
	"regexp"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Captions is how a caption is processed at every draw, in the order of the fields from Prefix on. The zero value leaves the first line of
// the caption as it is.
type Captions struct {
	Extension string // of the caption files; default ".txt"
	Separator string // between tags; default ","

	Prefix              string      // put before the caption, with a space
	Suffix              string      // put after the caption, with a space
	Dropout             float64     // probability of an empty caption, 0…1
	DropoutEveryNEpochs int         // captions are empty in every n-th epoch; 0 never
	Wildcards           bool        // draw one line of the caption, and one of {a|b|c}; {{ and }} stand for braces
	KeepTokensSeparator string      // tags before it (and after a second one) are fixed, "|||"
	KeepTokens          int         // without such a separator: the first n tags are fixed
	TokenWarmupMin      int         // tags beyond the fixed ones that warm-up starts with; default 1
	TokenWarmupStep     float64     // warm-up adds tags until this optimizer step (below 1: share of all steps); 0 none
	Shuffle             bool        // tags that are not fixed come in random order
	TagDropout          float64     // probability that a tag that is not fixed is left out, 0…1
	SecondarySeparator  string      // replaced by Separator at the end: ";;;" holds tags together until then
	Replace             [][2]string // texts replaced last, in order; an empty left side replaces the whole caption
}

var wildcard = regexp.MustCompile(`\{([^}]+)\}`)

// complete fills in defaults.
func (c Captions) complete() (Captions, error) {
	if c.Extension == "" {
		c.Extension = "txt"
	}
	if !strings.HasPrefix(c.Extension, ".") {
		c.Extension = "." + c.Extension
	}
	if c.Separator == "" {
		c.Separator = ","
	}
	if c.TokenWarmupMin == 0 {
		c.TokenWarmupMin = 1
	}
	return c, c.Check()
}

// Check returns the first field whose value has no meaning, in one sentence with what to use instead.
func (c Captions) Check() error {
	bad := func(field string, value any, want string) error {
		return fault.New(fault.Invalid, "process captions", field, "%v has no meaning", value).Fix("use %s", want)
	}
	switch {
	case !(c.Dropout >= 0 && c.Dropout <= 1):
		return bad("Dropout", c.Dropout, "a probability from 0 to 1")
	case !(c.TagDropout >= 0 && c.TagDropout <= 1):
		return bad("TagDropout", c.TagDropout, "a probability from 0 to 1")
	case c.DropoutEveryNEpochs < 0:
		return bad("DropoutEveryNEpochs", c.DropoutEveryNEpochs, "0 (never) or a number of epochs")
	case c.KeepTokens < 0:
		return bad("KeepTokens", c.KeepTokens, "0 or a number of tags")
	case c.TokenWarmupMin < 0:
		return bad("TokenWarmupMin", c.TokenWarmupMin, "0 or a number of tags")
	case !(c.TokenWarmupStep >= 0) || math.IsInf(c.TokenWarmupStep, 0):
		return bad("TokenWarmupStep", c.TokenWarmupStep, "0 (none), a share of all steps below 1, or a step")
	case strings.ContainsAny(c.Extension, "/\\"):
		return bad("Extension", c.Extension, `".txt" or another file extension`)
	}
	return nil
}

// Varies reports whether two draws of one caption can differ, so that text embeddings must not be computed once for all.
func (c Captions) Varies() bool {
	return c.Dropout > 0 || c.DropoutEveryNEpochs > 0 || c.Wildcards || c.Shuffle || c.TagDropout > 0 || c.TokenWarmupStep > 0
}

// Draw processes a caption once. Epochs count from 1, steps from 0; r decides everything random.
func (c Captions) Draw(caption string, r *rand.Rand, epoch, step, steps int) string {
	if c.Prefix != "" {
		caption = c.Prefix + " " + caption
	}
	if c.Suffix != "" {
		caption += " " + c.Suffix
	}
	switch {
	case c.Dropout > 0 && r.Float64() < c.Dropout, c.DropoutEveryNEpochs > 0 && epoch%c.DropoutEveryNEpochs == 0:
		return ""
	}
	caption = c.choose(caption, r)
	if c.Shuffle || c.TokenWarmupStep > 0 || c.TagDropout > 0 {
		caption = c.arrange(caption, r, step, steps)
	}
	if c.SecondarySeparator != "" {
		caption = strings.ReplaceAll(caption, c.SecondarySeparator, c.Separator)
	}
	for _, pair := range c.Replace {
		if pair[0] == "" {
			caption = pair[1]
		} else {
			caption = strings.ReplaceAll(caption, pair[0], pair[1])
		}
	}
	return caption
}

// choose takes the first line, or with wildcards one line and one alternative of each {a|b}.
func (c Captions) choose(caption string, r *rand.Rand) string {
	lines := strings.Split(caption, "\n")
	if !c.Wildcards {
		return lines[0]
	}
	// Private-use characters stand in for escaped braces while alternatives are drawn.
	const open, closed = "\ue000", "\ue001"
	line := strings.NewReplacer("{{", open, "}}", closed).Replace(lines[r.IntN(len(lines))])
	line = wildcard.ReplaceAllStringFunc(line, func(group string) string {
		choices := strings.Split(group[1:len(group)-1], "|")
		return choices[r.IntN(len(choices))]
	})
	return strings.NewReplacer(open, "{", closed, "}").Replace(line)
}

// arrange splits into tags, keeps the fixed ones in place, and warms up, shuffles and drops the others.
func (c Captions) arrange(caption string, r *rand.Rand, step, steps int) string {
	var head, tags, tail []string
	if sep := c.KeepTokensSeparator; sep != "" && strings.Contains(caption, sep) {
		parts := strings.SplitN(caption, sep, 3)
		head, tags = c.filled(parts[0]), c.filled(parts[1])
		if len(parts) == 3 {
			tail = c.filled(parts[2])
		}
	} else {
		tags = strings.Split(strings.TrimSpace(caption), c.Separator)
		for i, t := range tags {
			tags[i] = strings.TrimSpace(t)
		}
		keep := min(c.KeepTokens, len(tags))
		head, tags = tags[:keep:keep], tags[keep:]
	}
	warm := c.TokenWarmupStep
	if warm < 1 {
		warm = math.Floor(warm * float64(steps))
	}
	if warm > 0 && float64(step) < warm {
		n := int(math.Floor(float64(step)*float64(len(tags)-c.TokenWarmupMin)/warm)) + c.TokenWarmupMin
		tags = tags[:min(max(n, 0), len(tags))]
	}
	if c.Shuffle {
		r.Shuffle(len(tags), func(i, j int) { tags[i], tags[j] = tags[j], tags[i] })
	}
	for _, t := range tags {
		if c.TagDropout == 0 || r.Float64() >= c.TagDropout {
			head = append(head, t)
		}
	}
	return strings.Join(append(head, tail...), ", ")
}

// filled splits at the separator and leaves out what is blank.
func (c Captions) filled(text string) (tags []string) {
	for _, t := range strings.Split(text, c.Separator) {
		if t = strings.TrimSpace(t); t != "" {
			tags = append(tags, t)
		}
	}
	return tags
}

// Plain is the caption without anything random: its first line between prefix and suffix.
func (c Captions) Plain(caption string) string {
	calm := c
	calm.Dropout, calm.DropoutEveryNEpochs, calm.Wildcards, calm.Shuffle, calm.TagDropout, calm.TokenWarmupStep = 0, 0, false, false, 0, 0
	return calm.Draw(caption, nil, 1, 0, 0)
}
