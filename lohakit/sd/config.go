package sd

import (
	"maps"
	"strconv"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Prediction is what a UNet was trained to predict.
type Prediction string

// The two predictions of SD 1.x models: the noise, and v = √ᾱ·noise − √(1−ᾱ)·latents.
const (
	Epsilon Prediction = "epsilon"
	V       Prediction = "v"
)

// Config is the size and kind of a model.
type Config struct {
	UNet       UNetConfig
	Text       TextConfig
	VAE        VAEConfig
	Prediction Prediction // Epsilon unless the file says otherwise
}

// SD1Config is Stable Diffusion 1.x.
func SD1Config() Config {
	return Config{UNet: SD1(), Text: SD1Text(), VAE: SD1VAE(), Prediction: Epsilon}
}

// Check returns a fault that names the first field whose value makes no model, or the first two networks that do not fit.
func (c Config) Check() error {
	for _, part := range []interface{ Check() error }{c.UNet, c.Text, c.VAE} {
		if err := part.Check(); err != nil {
			return err
		}
	}
	switch {
	case c.Prediction != Epsilon && c.Prediction != V:
		return fault.New(fault.Invalid, "size model", "Prediction", "%q is unknown", c.Prediction).Fix("use %q or %q", Epsilon, V)
	case c.UNet.CrossDim != c.Text.Width:
		return fault.New(fault.Unsupported, "size model", "CrossDim", "the UNet takes text states %d wide, the text encoder gives %d",
			c.UNet.CrossDim, c.Text.Width)
	case c.UNet.In != c.UNet.Out:
		return fault.New(fault.Unsupported, "size model", "In", "the UNet takes %d channels and predicts %d, as models for inpainting do",
			c.UNet.In, c.UNet.Out).Fix("choose the model it was made from")
	case c.UNet.Out != c.VAE.Latent:
		return fault.New(fault.Unsupported, "size model", "Latent", "the UNet predicts %d latent channels, the autoencoder has %d",
			c.UNet.Out, c.VAE.Latent)
	}
	return nil
}

// Metadata keys for what shapes cannot tell. A file without them is SD 1.x in these respects.
const (
	keyHeads      = "lohakit.heads"      // attention heads of the UNet; 8
	keyTextHeads  = "lohakit.text_heads" // attention heads of the text encoder; one for every 64 channels
	keyGroups     = "lohakit.groups"     // groups of the UNet's and the autoencoder's group norms; gcd(32, channels)
	keyScale      = "lohakit.latent_scale"
	keyPrediction = "modelspec.prediction_type" // "epsilon" or "v", as the model metadata standard spells them
)

const defaultHeads = 8

// told is what a file's metadata says about its model.
type told struct {
	heads, textHeads, groups int
	scale                    float64
	prediction               Prediction
}

func readTold(path string, metadata map[string]string) (told, error) {
	var err error
	number := func(key string, missing int) int {
		text, ok := metadata[key]
		if !ok || err != nil {
			return missing
		}
		n, bad := strconv.Atoi(text)
		if bad != nil || n < 1 || n > 1<<16 {
			err = fault.New(fault.Corrupt, "open model", path, "its metadata says %s = %q, not a positive number", key, text)
		}
		return n
	}
	t := told{number(keyHeads, defaultHeads), number(keyTextHeads, 0), number(keyGroups, 0), LatentScale, Epsilon}
	if err != nil {
		return t, err
	}
	if text, ok := metadata[keyScale]; ok {
		if t.scale, err = strconv.ParseFloat(text, 64); err != nil {
			return t, fault.New(fault.Corrupt, "open model", path, "its metadata says %s = %q, not a number", keyScale, text)
		}
	}
	switch text := metadata[keyPrediction]; text {
	case "", string(Epsilon):
	case string(V), "v_prediction":
		t.prediction = V
	default:
		return t, fault.New(fault.Unsupported, "open model", path, "its metadata says %s = %q", keyPrediction, text).
			Fix("only epsilon and v can be used here")
	}
	return t, nil
}

// metadata returns base with the keys that c needs, and without those that say what is so anyway.
func (c Config) metadata(base map[string]string) map[string]string {
	m := maps.Clone(base)
	if m == nil {
		m = map[string]string{}
	}
	for _, k := range []struct {
		key, value string
		needed     bool
	}{
		{keyHeads, strconv.Itoa(c.UNet.Heads), c.UNet.Heads != defaultHeads},
		{keyTextHeads, strconv.Itoa(c.Text.Heads), c.Text.Heads != max(1, c.Text.Width/64)},
		{keyGroups, strconv.Itoa(c.UNet.Groups), c.UNet.Groups != 0},
		{keyScale, strconv.FormatFloat(c.VAE.Scale, 'g', -1, 64), c.VAE.Scale != LatentScale},
		{keyPrediction, string(c.Prediction), c.Prediction != Epsilon},
	} {
		delete(m, k.key)
		if k.needed {
			m[k.key] = k.value
		}
	}
	return m
}
