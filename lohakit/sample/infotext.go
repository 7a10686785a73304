package sample

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Info is the parameters of an image as web UIs write them beside it.
type Info struct {
	Prompt, Negative string
	Steps            int
	Sampler          string // with the schedule type; see Samplers for those that this kit has
	CFG              float64
	Seed             int64
	Width, Height    int
	Model            string  // name; "" if not known
	ClipSkip         int     // 1 is not written
	Strength         float64 // img2img; 0 for other images
	Eta              float64 // written where it is not the sampler's default: negative means that
	Noise            string  // "philox" is written as the web UI's "RNG: NV"
	Adapters         []Field // name and weight
	Embeddings       []Field // name and hash of those from files that the prompts use
	Script           []Field // of grids
	Rest             []Field // keys this kit does not know, kept in order
}

// Field is one key and value of an infotext.
type Field struct{ Key, Value string }

// info is the parameters of the job.
func (j *job) info() Info {
	o := j.options
	i := Info{Prompt: o.Prompt, Negative: o.Negative, Steps: o.Steps, Sampler: o.Sampler, CFG: o.CFG, Seed: o.Seed, Width: o.Width,
		Height: o.Height, Model: j.model.Metadata["modelspec.title"], ClipSkip: o.ClipSkip, Eta: -1, Noise: o.Noise}
	if o.Eta != j.sampler.Eta && j.sampler.etaKey != "" {
		i.Eta = o.Eta
	}
	if o.Init != nil {
		i.Strength = o.Strength
	}
	for _, a := range j.adapters {
		weight := strconv.FormatFloat(a.UNet, 'g', -1, 64)
		if a.Text != a.UNet {
			weight = strconv.FormatFloat(a.Text, 'g', -1, 64) + ":" + weight
		}
		i.Adapters = append(i.Adapters, Field{or(listed.Replace(a.Adapter.Metadata["ss_output_name"]), "adapter"), weight})
	}
	for _, e := range j.used() {
		if e.Hash != "" {
			i.Embeddings = append(i.Embeddings, Field{listed.Replace(e.Name), e.Hash[:min(shortHash, len(e.Hash))]})
		}
	}
	return i
}

// listed takes out of a name what separates the names of a list, as web UIs do.
var listed = strings.NewReplacer(":", "", ",", "")

// shortHash is how many digits of a hash the web UIs write.
const shortHash = 12

// String prints the infotext: the prompt, the negative prompt, and one line of parameters.
func (i Info) String() string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	fields := []Field{{"Steps", strconv.Itoa(i.Steps)}, {"Sampler", i.Sampler}, {"CFG scale", number(i.CFG)},
		{"Seed", strconv.FormatInt(i.Seed, 10)}, {"Size", fmt.Sprintf("%dx%d", i.Width, i.Height)}}
	add := func(key, value string, when bool) {
		if when {
			fields = append(fields, Field{key, value})
		}
	}
	add("Model", i.Model, i.Model != "")
	add("Denoising strength", number(i.Strength), i.Strength > 0)
	add("Clip skip", strconv.Itoa(i.ClipSkip), i.ClipSkip > 1)
	add(i.etaKey(), number(i.Eta), i.Eta >= 0)
	add("RNG", "NV", i.Noise == "philox")
	add("Lora weights", joinFields(i.Adapters), len(i.Adapters) > 0)
	add("TI hashes", joinFields(i.Embeddings), len(i.Embeddings) > 0)
	fields = append(append(fields, i.Script...), i.Rest...)
	var b strings.Builder
	b.WriteString(i.Prompt + "\n")
	if i.Negative != "" {
		b.WriteString("Negative prompt: " + i.Negative + "\n")
	}
	for k, f := range fields {
		if k > 0 {
			b.WriteString(", ")
		}
		b.WriteString(f.Key + ": " + quote(f.Value))
	}
	return b.String()
}

func joinFields(fields []Field) string {
	var parts []string
	for _, f := range fields {
		parts = append(parts, f.Key+": "+f.Value)
	}
	return strings.Join(parts, ", ")
}

func splitFields(text string) (fields []Field, ok bool) {
	for _, part := range strings.Split(text, ", ") {
		key, value, ok := strings.Cut(part, ": ")
		if !ok {
			return nil, false
		}
		fields = append(fields, Field{key, value})
	}
	return fields, true
}

// quote puts a value that the line of parameters could not be divided by into JSON quotes, as web UIs do.
func quote(s string) string {
	if !strings.ContainsAny(s, ",\n:\"") && s == strings.TrimSpace(s) && s != "" {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return strconv.Quote(s) // strings always encode; the two agree on plain text
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func unquote(s string) string {
	var out string
	if strings.HasPrefix(s, `"`) && json.Unmarshal([]byte(s), &out) == nil {
		return out
	}
	return s
}

// parameter is one key: value of the last line.
var parameter = regexp.MustCompile(`\s*([\w /-]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)`)

// minParameters is how many pairs make a line the parameters and not prompt.
const minParameters = 3

// ParseInfo reads an infotext written by this kit or a web UI. Text without a line of parameters is all prompt; a known key whose value
// does not fit is kept in Rest. Text of more than a mebibyte is a fault of kind Invalid.
func ParseInfo(text string) (Info, error) {
	i := Info{ClipSkip: 1, Eta: -1, Noise: "go"}
	if len(text) > 1<<20 {
		return i, fault.New(fault.Invalid, "read infotext", "", "%d bytes are too many", len(text))
	}
	body, last := "", strings.TrimRight(text, "\n")
	if at := strings.LastIndexByte(last, '\n'); at >= 0 {
		body, last = last[:at], last[at+1:]
	}
	pairs := parameter.FindAllStringSubmatch(last, -1)
	if len(pairs) < minParameters {
		body, pairs = text, nil
	}
	i.Prompt = body
	if before, negative, ok := strings.Cut("\n"+body, "\nNegative prompt:"); ok {
		i.Prompt, i.Negative = strings.TrimPrefix(before, "\n"), strings.TrimSpace(negative)
	}
	for _, p := range pairs {
		key, value := strings.TrimSpace(p[1]), unquote(strings.TrimSpace(p[2]))
		if !i.set(key, value) {
			i.Rest = append(i.Rest, Field{key, value})
		}
	}
	i.byWebUI()
	return i, nil
}

// byWebUI reads what web UIs since 2023 leave out or write apart: no RNG means the GPU's, and the schedule is a parameter of its own.
// Only they write a model's hash or a version.
func (i *Info) byWebUI() {
	told := func(key string) string {
		for _, f := range i.Rest {
			if f.Key == key {
				return f.Value
			}
		}
		return ""
	}
	if told("RNG") == "" && (told("Model hash") != "" || told("Version") != "") {
		i.Noise = "philox"
	}
	if schedule := told("Schedule type"); schedule != "" {
		i.Sampler = withSchedule(i.Sampler, schedule)
		i.drop("Schedule type")
	}
	// an image drawn in two passes may have the Eta of both samplers; the first web UIs had one key for all
	for _, key := range []string{i.etaKey(), "Eta"} {
		if v, err := strconv.ParseFloat(told(key), 64); err == nil && finite(v) && v >= 0 {
			i.Eta = v
			i.drop(key)
			break
		}
	}
}

// drop takes the key out of Rest.
func (i *Info) drop(key string) {
	if i.Rest = slices.DeleteFunc(i.Rest, func(f Field) bool { return f.Key == key }); len(i.Rest) == 0 {
		i.Rest = nil
	}
}

// etaKey is what web UIs call the Eta of the sampler.
func (i Info) etaKey() string {
	if s, err := SamplerNamed(i.Sampler); err == nil {
		return or(s.etaKey, "Eta")
	}
	return "Eta"
}

// set reads one known parameter.
func (i *Info) set(key, value string) bool {
	integer := func(to *int) bool {
		v, err := strconv.Atoi(value)
		if err == nil {
			*to = v
		}
		return err == nil
	}
	float := func(to *float64) bool {
		v, err := strconv.ParseFloat(value, 64)
		if err == nil && finite(v) {
			*to = v
		}
		return err == nil && finite(v)
	}
	switch key {
	case "Steps":
		return integer(&i.Steps)
	case "Sampler":
		i.Sampler = value
	case "CFG scale":
		return float(&i.CFG)
	case "Seed":
		v, err := strconv.ParseInt(value, 10, 64)
		if err == nil {
			i.Seed = v
		}
		return err == nil
	case "Size":
		w, h, _ := strings.Cut(value, "x")
		width, err1 := strconv.Atoi(w)
		height, err2 := strconv.Atoi(h)
		if err1 != nil || err2 != nil {
			return false
		}
		i.Width, i.Height = width, height
	case "Model":
		i.Model = value
	case "Denoising strength":
		return float(&i.Strength)
	case "Clip skip":
		return integer(&i.ClipSkip)
	case "RNG":
		if value != "NV" {
			return false
		}
		i.Noise = "philox"
	case "Lora weights":
		fields, ok := splitFields(value)
		i.Adapters = append(i.Adapters, fields...)
		return ok
	case "TI hashes":
		fields, ok := splitFields(value)
		i.Embeddings = append(i.Embeddings, fields...)
		return ok
	default:
		return false
	}
	return true
}

// Options returns the options that draw the image again, on the same model with the same adapters.
func (i Info) Options() Options {
	return Options{Prompt: i.Prompt, Negative: i.Negative, Seed: i.Seed, Steps: i.Steps, CFG: i.CFG, Sampler: i.Sampler, Width: i.Width,
		Height: i.Height, ClipSkip: i.ClipSkip, Noise: i.Noise, Strength: i.Strength, Eta: i.eta()}
}

// eta is Options' form of Eta: 0 is the sampler's default and −1 none.
func (i Info) eta() float64 {
	switch {
	case i.Eta < 0:
		return 0
	case i.Eta == 0:
		return -1
	}
	return i.Eta
}
