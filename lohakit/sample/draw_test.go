package sample

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// tiny is an untrained model of the smallest size that has every kind of block.
func tiny(t testing.TB, kind sd.Prediction) *sd.Model {
	t.Helper()
	m, err := sd.New(sd.Config{
		UNet: sd.UNetConfig{In: 4, Out: 4, Channels: []int{16, 32}, Layers: 1, Attention: []bool{true, true}, CrossDim: 16, Heads: 2},
		Text: sd.TextConfig{Rows: 64, Width: 16, Layers: 2, Heads: 2, MLP: 32, Positions: sd.Window, TokenIDs: []int32{320, 1237, 2368}},
		VAE:  sd.VAEConfig{Latent: 4, Patch: 2, Scale: 1},

		Prediction: kind,
	}, 3)
	if err != nil {
		t.Fatal(err)
	}
	m.Metadata = map[string]string{"modelspec.resolution": "16x16"}
	return m
}

func pix(img image.Image) []byte { return img.(*image.NRGBA).Pix }

// TestImageDoesNotDependOnCompany draws requests together and alone. XLA adds up in another order in an evaluation of another size,
// which an untrained model magnifies to a few of the 255 levels.
func TestImageDoesNotDependOnCompany(t *testing.T) {
	ctx := context.Background()
	m := tiny(t, sd.V)
	opts := []Options{
		{Prompt: "a cat", Seed: 1, Steps: 4},
		{Prompt: "a (cat:1.4) AND dog :0.3", Negative: "bad", Seed: 2, Steps: 4},
		{Prompt: "[a|b] BREAK cat", Seed: 3, Steps: 4, CFG: 2},
		{Prompt: "a cat", Seed: 1, Steps: 4, Sampler: "Euler a", Noise: "philox"},
		{Prompt: "a cat", Seed: 7, Steps: 4, Sampler: "DPM++ SDE Karras"},
		{Prompt: "a cat", Seed: 8, Steps: 4, Sampler: "DPM++ SDE Karras", Eta: -1},
		{Prompt: "a cat", Seed: 4, Steps: 4, CFG: 1},
	}
	together, err := Images(ctx, m, nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range opts {
		alone, err := Images(ctx, m, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		a, b := pix(alone[0]), pix(together[i])
		for k := range a {
			if d := int(a[k]) - int(b[k]); d < -4 || d > 4 {
				t.Errorf("%+v: alone a pixel is %d, with others %d", o, a[k], b[k])
				break
			}
		}
		if i > 0 && bytes.Equal(b, pix(together[0])) {
			t.Errorf("%+v draws the same image as %+v", o, opts[0])
		}
	}
}

// TestWideImagesDoNotDependOnCompany draws images of a size that is evaluated by ones and twos.
func TestWideImagesDoNotDependOnCompany(t *testing.T) {
	m := tiny(t, sd.V)
	m.Config.UNet.Channels, m.Config.UNet.Attention = []int{8}, []bool{false}
	m.UNet = sd.InitUNet(m.Config.UNet, 1)
	opts := []Options{{Prompt: "a dog AND a cat", Seed: 1}, {Prompt: "a cat", CFG: 1, Seed: 2}, {Prompt: "a dog", CFG: 1, Seed: 3}}
	for i := range opts {
		opts[i].Steps, opts[i].Width, opts[i].Height = 1, 66, 64
	}
	together, err := Images(context.Background(), m, nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range opts {
		alone, err := Images(context.Background(), m, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		a, b := pix(alone[0]), pix(together[i])
		for k := range a {
			if d := int(a[k]) - int(b[k]); d < -4 || d > 4 {
				t.Errorf("%s: alone pixel %d is %d, with others %d", o.Prompt, k, a[k], b[k])
				break
			}
		}
	}
}

// TestEvaluationsHoldLittlePadding adds up what is evaluated for n rows: never more than one row of padding but where a small model
// draws small images, and never more pixels at once than there may be.
func TestEvaluationsHoldLittlePadding(t *testing.T) {
	for _, parameters := range []int{1_000_000, 860_000_000} {
		for _, side := range []int{16, 32, 48, 64, 96, 128, 512} {
			pixels := side * side
			for n := 1; n <= 20; n++ {
				work := 0
				for left := n; left > 0; {
					size := evaluationRows(parameters, pixels, left)
					if done := min(size, left); evaluationRows(parameters, pixels, done) != size {
						t.Fatalf("%d parameters, side %d: the size of %d rows is %d, that of the %d it begins with another", parameters, side, left, size, done)
					}
					if size > 1 && size*pixels > maxBatchPixels {
						t.Errorf("%d parameters, side %d: %d rows at once", parameters, side, size)
					}
					left, work = left-size, work+size
				}
				if parameters < smallModel && side <= 32 {
					if work >= n+smallRows {
						t.Errorf("%d rows of a small image take the work of %d", n, work)
					}
				} else if work > n+1 {
					t.Errorf("%d parameters, side %d: %d rows take the work of %d", parameters, side, n, work)
				}
			}
		}
	}
}

// TestImageToImage keeps more of the given image the fewer steps are taken.
func TestImageToImage(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	from, err := Images(context.Background(), m, nil, Options{Seed: 5, Steps: 3})
	if err != nil {
		t.Fatal(err)
	}
	off := func(strength float64) (d int) {
		out, err := Images(context.Background(), m, nil, Options{Seed: 6, Steps: 20, Init: from[0], Strength: strength, Sampler: "Euler"})
		if err != nil {
			t.Fatal(err)
		}
		a, b := pix(out[0]), pix(from[0])
		for i := range a {
			d += max(int(a[i])-int(b[i]), int(b[i])-int(a[i]))
		}
		return d
	}
	if little, much := off(0.05), off(0.9); little*2 > much {
		t.Errorf("a strength of 0.05 changes %d, 0.9 changes %d", little, much)
	}
}

// What is transparent in the image to start from is white.
func TestTransparentIsWhite(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	of := func(c color.NRGBA) []float32 {
		img := image.NewNRGBA(image.Rect(0, 0, 8, 8))
		draw.Draw(img, img.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
		z, err := encode(m, img, 4, 4)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	for _, c := range [][2]color.NRGBA{{{0, 0, 0, 0}, {255, 255, 255, 255}}, {{255, 0, 0, 102}, {255, 153, 153, 255}}} {
		got, want := of(c[0]), of(c[1])
		for i := range got {
			if math.Abs(float64(got[i]-want[i])) > 0.02 {
				t.Fatalf("%v is encoded as %v, %v as %v", c[0], got, c[1], want)
			}
		}
	}
	if slices.Equal(of(color.NRGBA{0, 0, 0, 255}), of(color.NRGBA{255, 255, 255, 255})) {
		t.Error("black is encoded as white is")
	}
}

// TestLargeImagesAreDecodedInTiles decodes latents of a tile's side whole and wider ones in tiles, which an autoencoder with group norms
// shows: the tiles have statistics of their own.
func TestLargeImagesAreDecodedInTiles(t *testing.T) {
	c := sd.VAEConfig{Latent: 4, Channels: []int{8, 8}, Layers: 1, Groups: 4, Scale: 1}
	m := &sd.Model{Config: sd.Config{VAE: c}, VAE: sd.InitVAE(c, 1)}
	for _, width := range []int{sd.DefaultTile, sd.DefaultTile + 2} {
		shape := [3]int{4, 2, width}
		x := make([]float32, 4*2*width)
		for i := range x {
			x[i] = float32(i%width)/float32(width) + float32(i%7)
		}
		images, err := decode(m, x, shape)
		if err != nil {
			t.Fatal(err)
		}
		flat := tensors.FromFlatDataAndDimensions(x, 1, 4, 2, width)
		whole, err := m.Decode(flat)
		if err != nil {
			t.Fatal(err)
		}
		same := bytes.Equal(pix(images[0]), pix(pixels(tensors.MustCopyFlatData[float32](whole), 2*width, 4)))
		if tiled := width > sd.DefaultTile; same == tiled {
			t.Errorf("latents %d wide: as if decoded whole: %v", width, same)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	for field, o := range map[string]Options{
		"Steps": {Steps: -1}, "CFG": {CFG: -3}, "Width": {Width: 17}, "Height": {Height: 1 << 20}, "ClipSkip": {ClipSkip: 3},
		"Eta": {Eta: 2}, "Noise": {Noise: "dice"}, "Strength": {Strength: 1.5}, "Init": {Init: image.NewGray(image.Rectangle{})},
	} {
		if _, err := Images(context.Background(), m, nil, o); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := Images(context.Background(), m, nil, Options{Prompt: "<lora:gone:1>"}); !fault.Is(err, fault.NotExist) {
		t.Errorf("unknown adapter: %v", err)
	}
	if _, err := Images(context.Background(), nil, nil, Options{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no model: %v", err)
	}
}

// TestDrawStops checks that cancelling ends a drawing at the next evaluation and keeps what was handed over.
func TestDrawStops(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	ctx, cancel := context.WithCancel(context.Background())
	g := Grid{Base: Request{Model: m, Options: Options{Steps: 2}}, X: CFGs(1, 2, 3), Y: StepCounts(2, 3)}
	s, err := g.Draw(ctx, func(s *Sheet) {
		if s.Done() == 3 {
			cancel()
		}
	})
	if !fault.Is(err, fault.Canceled) || s.Done() != 3 {
		t.Errorf("%v, %d cells are done", err, s.Done())
	}
}
