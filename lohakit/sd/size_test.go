package sd

import "testing"

// The sizes of Stable Diffusion 1.x's three networks are published.
func TestPublishedSizes(t *testing.T) {
	for _, model := range []struct {
		name             string
		shapes           []Shape
		params, nTensors int
	}{
		{"text encoder", SD1Text().Shapes(), 123_060_480, 196},
		{"autoencoder", SD1VAE().Shapes(), 83_653_863, 248},
	} {
		n := 0
		for _, s := range model.shapes {
			n += size(s.Dims)
		}
		if n != model.params || len(model.shapes) != model.nTensors {
			t.Errorf("%s: %d parameters in %d tensors, want %d in %d", model.name, n, len(model.shapes), model.params, model.nTensors)
		}
	}
}
