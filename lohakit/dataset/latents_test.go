package dataset

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

func tiny(t *testing.T, seed uint64) *sd.Model {
	t.Helper()
	m, err := sd.New(sd.Config{
		UNet:       sd.UNetConfig{In: 4, Out: 4, Channels: []int{8}, Layers: 1, Attention: []bool{true}, CrossDim: 8, Heads: 2},
		Text:       sd.TextConfig{Rows: 12, Width: 8, Layers: 1, Heads: 2, MLP: 16, Positions: 77, TokenIDs: []int32{320, 49406, 49407}},
		VAE:        sd.VAEConfig{Patch: 4, Latent: 4, Scale: 0.18215},
		Prediction: sd.Epsilon,
	}, seed)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func encode(t *testing.T, m *sd.Model, s *Set, o LatentOptions) *Latents {
	t.Helper()
	e, err := NewEncoder(m, o)
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	l, err := e.Encode(context.Background(), s, func(done, total int) { last = total - done })
	if err != nil || last != 0 {
		t.Fatalf("%d left: %v", last, err)
	}
	return l
}

func entries(t *testing.T, cache string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(cache, "*.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The cache gives the same latents without decoding, knows an image by its content wherever it lies, tells scalings, mirror images and
// autoencoders apart, and makes damaged entries again.
func TestLatentsCache(t *testing.T) {
	dir, cache := fill(t), t.TempDir()
	load := func(dir string, resolution int) *Set {
		s, err := Load(dir, Options{Resolution: Square(resolution), Subset: Subset{Flip: true}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	set, m := load(dir, 64), tiny(t, 1)
	plain := encode(t, m, set, LatentOptions{})
	if first := encode(t, m, set, LatentOptions{Cache: cache}); !equalLatents(plain, first) {
		t.Error("caching changes the latents")
	}
	// a.png and c.png have the same pixels: two images, each with its mirror image.
	if n := len(entries(t, cache)); n != 4 {
		t.Errorf("%d entries, want 4", n)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(m, LatentOptions{Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	set = load(moved, 64)
	for i := range set.Items {
		if r := e.read(set, latentKey{i, false}); r.image != nil || r.mean == nil || r.err != nil {
			t.Errorf("%s is decoded again", set.Items[i].Path)
		}
	}
	if again := encode(t, m, set, LatentOptions{Cache: cache}); !equalLatents(plain, again) {
		t.Error("cached latents differ")
	}
	for _, path := range entries(t, cache) {
		if err := os.WriteFile(path, []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if again := encode(t, m, set, LatentOptions{Cache: cache}); !equalLatents(plain, again) {
		t.Error("damaged entries change the latents")
	}
	encode(t, tiny(t, 2), set, LatentOptions{Cache: cache})
	encode(t, m, load(moved, 48), LatentOptions{Cache: cache})
	if n := len(entries(t, cache)); n != 12 {
		t.Errorf("%d entries after another autoencoder and another size, want 12", n)
	}
}

// Where colours and crops are random, the latents kept in memory and in the cache are those of the image as it is, which later runs may want.
func TestVariedImagesAreCachedAsTheyAre(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	for i := range 4 { // of recolourings two thirds leave an image alone
		writeImage(t, filepath.Join(dir, "1_x", string(rune('a'+i))+".png"), 96-i, 64)
	}
	load := func(varied bool) *Set {
		s, err := Load(dir, Options{Resolution: Square(64), NoBuckets: true, Seed: 5, Subset: Subset{RandomCrop: varied, Color: varied}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	m := tiny(t, 1)
	plain := encode(t, m, load(false), LatentOptions{})
	if varied := encode(t, m, load(true), LatentOptions{Cache: cache}); !equalLatents(plain, varied) {
		t.Error("latents of varied images are not the images'")
	}
	if cached := encode(t, m, load(false), LatentOptions{Cache: cache}); !equalLatents(plain, cached) {
		t.Error("latents of varied images are cached as the images'")
	}
	set := load(true)
	image, err := set.Image(0)
	if want, _ := load(false).Image(0); err != nil || !slices.Equal(image, want) {
		t.Errorf("the image as it is is varied: %v", err)
	}
	if drawn, _, err := set.Pixels(set.Draw(0, 0, 1, 0, 1)); err != nil || slices.Equal(drawn, image) {
		t.Errorf("a draw is not varied: %v", err)
	}
}

func equalLatents(a, b *Latents) bool {
	for key, values := range a.values {
		if !slices.Equal(values, b.values[key]) {
			return false
		}
	}
	return len(a.values) == len(b.values) && len(a.values) > 0
}

// Latents are one draw from the encoder's distribution, another for the mirror image, or its mean, times the scale.
func TestLatentsAreDraws(t *testing.T) {
	set, err := Load(fill(t), Options{Resolution: Square(256), Subset: Subset{Flip: true}})
	if err != nil {
		t.Fatal(err)
	}
	m := tiny(t, 1)
	drawn, mean := encode(t, m, set, LatentOptions{}), encode(t, m, set, LatentOptions{Mean: true})
	e, err := NewEncoder(m, LatentOptions{})
	if err != nil {
		t.Fatal(err)
	}
	image, err := set.Image(0)
	if err != nil {
		t.Fatal(err)
	}
	means, logvars, err := e.moments(image, set.Items[0].Bucket)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := drawn.Get(0, false)
	y, _ := mean.Get(0, false)
	flipped, _ := drawn.Get(0, true)
	width := set.Items[0].Bucket.W / drawn.Factor
	var sum, square, cross float64
	for i := range x {
		if math.Abs(float64(y[i])-0.18215*float64(means[i])) > 1e-6 {
			t.Fatalf("mean %d: %v, want %v", i, y[i], 0.18215*means[i])
		}
		deviation := 0.18215 * math.Exp(float64(logvars[i])/2)
		z := float64(x[i]-y[i]) / deviation
		mirror := i/width*width + width - 1 - i%width
		other, _ := mean.Get(0, true)
		zf := float64(flipped[mirror]-other[mirror]) / deviation
		sum, square, cross = sum+z, square+z*z, cross+z*zf
	}
	n := float64(len(x)) // 16,384: standard errors 0.008, 0.011, 0.008
	if math.Abs(sum/n) > 0.04 || math.Abs(square/n-1) > 0.06 || math.Abs(cross/n) > 0.04 {
		t.Errorf("standardised draws: mean %.3f, variance %.3f, correlation with the mirror image's %.3f", sum/n, square/n, cross/n)
	}
	set.Items[1].Repeats = 0 // surplus
	if rest := encode(t, m, set, LatentOptions{}); len(rest.values) != len(drawn.values)-2 {
		t.Errorf("%d latents, of %d with an image that is drawn", len(rest.values), len(drawn.values))
	}
}

func TestEncodeStops(t *testing.T) {
	set, err := Load(fill(t), Options{Resolution: Square(64)})
	if err != nil {
		t.Fatal(err)
	}
	m := tiny(t, 1)
	e, err := NewEncoder(m, LatentOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Encode(ctx, set, nil); !fault.Is(err, fault.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for i := range set.Items[1:] {
		set.Items[i+1].Path += "x"
	}
	_, err = e.Encode(context.Background(), set, nil)
	for _, item := range set.Items[1:] {
		if err == nil || !strings.Contains(err.Error(), item.Path) {
			t.Errorf("%s is not named: %v", item.Path, err)
		}
	}
	for _, name := range m.VAE.Names() {
		v := make([]float32, m.VAE.Get(name).Size())
		for i := range v {
			v[i] = float32(math.NaN())
		}
		m.VAE.Set(name, tensors.FromFlatDataAndDimensions(v, m.VAE.Shape(name)...))
	}
	if e, err = NewEncoder(m, LatentOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Encode(context.Background(), set, nil); !fault.Is(err, fault.Numeric) {
		t.Errorf("an autoencoder of NaN: %v", err)
	}
}
