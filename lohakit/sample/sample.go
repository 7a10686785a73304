// Package sample draws images with a Stable Diffusion model: the prompt language and infotext of the web UIs, their samplers and
// noise schedules, classifier-free guidance with negative prompts, adapters at any weight, and labelled grids over any parameter.
// Everything is a function of its options: the same model, adapters and Options give the same image on every run. Which images
// are drawn together makes no difference but for the rounding of evaluations of different sizes; small images by small models have one.
package sample

import (
	"image"
	"math"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Options is what one image is drawn from. The zero value of each field is its default.
type Options struct {
	Prompt   string  // in the web UIs' language: see Prompt
	Negative string  // what guidance leads away from; ""
	Seed     int64   // of the noise; 0 is a seed like any other
	Steps    int     // sampler steps, 1 to 999; 20
	CFG      float64 // guidance scale, above 0 to 100: 1 is the prompt alone, without the negative one; 7
	Sampler  string  // a name of Samplers; "DDIM", which adds no noise on the way, so that small changes of a model show as such
	Width    int     // pixels, a multiple of the autoencoder's factor (8 in SD 1.x); the size the model was trained at
	Height   int     // pixels, likewise
	ClipSkip int     // layer of the text encoder counted from its end, 1 to its number of layers; 1
	Eta      float64 // noise added on the way, 0 to 1; the sampler's own default. −1 is none
	Noise    string  // "go", or "philox", the noise of web UIs on NVIDIA GPUs; "go"

	Init     image.Image // img2img: the image to start from, scaled to the size; nil starts from noise
	Strength float64     // img2img: share of the steps taken, above 0 to 1; 0.75
}

// Bounds of the options, for their error messages.
const (
	maxSteps = 999 // DDIM's timesteps must differ
	maxSide  = 4096
	maxCFG   = 100
)

// defaultSide is the training size of SD 1.x in latent pixels; 512 image pixels.
const defaultSide = 64

// resolve fills in the defaults for model m and checks every field.
func (o Options) resolve(m *sd.Model) (Options, Sampler, error) {
	bad := func(field, format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "sample", field, format, args...)
	}
	if o.Sampler == "" {
		o.Sampler = "DDIM"
	}
	s, err := SamplerNamed(o.Sampler)
	if err != nil {
		return o, s, err
	}
	o.Sampler = s.Name
	factor := m.Config.VAE.Factor()
	w, h := trainedSize(m)
	o.Width, o.Height = or(o.Width, w), or(o.Height, h)
	o.Steps, o.CFG, o.ClipSkip = or(o.Steps, 20), or(o.CFG, 7), or(o.ClipSkip, 1)
	o.Eta, o.Noise, o.Strength = or(o.Eta, s.Eta), or(o.Noise, "go"), or(o.Strength, 0.75)
	if o.Eta == -1 {
		o.Eta = 0
	}
	switch {
	case o.Steps < 1 || o.Steps > maxSteps:
		return o, s, bad("Steps", "%d is outside 1 … %d", o.Steps, maxSteps).Fix("use 20 (the default)")
	case !(o.CFG > 0 && o.CFG <= maxCFG):
		return o, s, bad("CFG", "%g is not above 0 and at most %d", o.CFG, maxCFG).Fix("use 7 (the default)")
	case o.Width < factor || o.Width > maxSide || o.Width%factor != 0:
		return o, s, bad("Width", "%d is not a multiple of %d up to %d", o.Width, factor, maxSide).Fix("use %d", w)
	case o.Height < factor || o.Height > maxSide || o.Height%factor != 0:
		return o, s, bad("Height", "%d is not a multiple of %d up to %d", o.Height, factor, maxSide).Fix("use %d", h)
	case o.ClipSkip < 1 || o.ClipSkip > m.Config.Text.Layers:
		return o, s, bad("ClipSkip", "%d is outside 1 … %d, the layers of this text encoder", o.ClipSkip, m.Config.Text.Layers)
	case !(o.Eta >= 0 && o.Eta <= 1):
		return o, s, bad("Eta", "%g is outside 0 … 1", o.Eta).Fix("use 0 for the sampler's default, -1 for none")
	case o.Noise != "go" && o.Noise != "philox":
		return o, s, bad("Noise", "%q is unknown", o.Noise).Fix(`use "go" or "philox"`)
	case !(o.Strength > 0 && o.Strength <= 1):
		return o, s, bad("Strength", "%g is not above 0 and at most 1", o.Strength).Fix("use 0.75 (the default)")
	case o.Init != nil && o.Init.Bounds().Empty():
		return o, s, bad("Init", "the image has no pixels")
	}
	return o, s, nil
}

// or is v, or the default if v is zero.
func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// trainedSize is the size m was trained at: modelspec.resolution of its metadata, or 64 latent pixels a side.
func trainedSize(m *sd.Model) (w, h int) {
	factor := m.Config.VAE.Factor()
	left, right, _ := strings.Cut(m.Metadata["modelspec.resolution"], "x")
	w, errW := strconv.Atoi(left)
	h, errH := strconv.Atoi(right)
	if errW != nil || errH != nil || w < factor || h < factor || w%factor != 0 || h%factor != 0 || max(w, h) > maxSide {
		return defaultSide * factor, defaultSide * factor
	}
	return w, h
}

// levels is the falling noise levels of the image: all of them, or for img2img the last Strength of the steps.
func (o Options) levels(s Sampler) []float64 {
	all := s.Schedule(o.Steps)
	if o.Init == nil {
		return all
	}
	taken := max(1, int(math.Min(float64(o.Steps)*o.Strength, float64(o.Steps))))
	return all[o.Steps-taken:]
}
