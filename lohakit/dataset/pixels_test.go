package dataset

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// Scaling and colour augmentation give the pixels of PIL and OpenCV: see testdata/record_pixels.py. PIL rounds its weights to 22 bits, and
// OpenCV keeps hues in steps of two degrees, each up to 8 levels wide, so that it is up to half a step off.
func TestPixelsAreTheTrainers(t *testing.T) {
	data, err := os.ReadFile("testdata/pixels.json")
	if err != nil {
		t.Fatal(err)
	}
	type picture struct {
		Size   [2]int
		Pixels [][3]int
		By     float64
		Name   string
	}
	var f struct {
		picture
		Lanczos, Area, Named, Hue, Gamma []picture
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	load := func(p picture) pixels {
		out := pixels{Size{p.Size[0], p.Size[1]}, nil}
		for _, c := range p.Pixels {
			out.data = append(out.data, uint8(c[0]), uint8(c[1]), uint8(c[2]), 255)
		}
		return out
	}
	source := load(f.picture)
	resized := func(p pixels, want picture) pixels { return p.resize(Size{want.Size[0], want.Size[1]}, want.Name) }
	for _, c := range []struct {
		name      string
		cases     []picture
		make      func(p pixels, want picture) pixels
		tolerance float64
	}{
		{"lanczos", f.Lanczos, resized, 1},
		{"area", f.Area, resized, 1},
		{"by name", f.Named, resized, 1},
		{"hue", f.Hue, func(p pixels, want picture) pixels { p.turnHue(2 * want.By); return p }, 4},
		{"gamma", f.Gamma, func(p pixels, want picture) pixels { p.bendGamma(want.By); return p }, 0},
	} {
		if len(c.cases) < 3 {
			t.Fatalf("%s: %d cases", c.name, len(c.cases))
		}
		for _, want := range c.cases {
			got := c.make(pixels{source.size, slices.Clone(source.data)}, want)
			worst := 0.0
			for i, w := range load(want).data {
				worst = max(worst, math.Abs(float64(got.data[i])-float64(w)))
			}
			t.Logf("%s %s %v %v: %g levels off", c.name, want.Name, want.Size, want.By, worst)
			if worst > c.tolerance {
				t.Errorf("%s %s %v %v: %g levels off, allowed %g", c.name, want.Name, want.Size, want.By, worst, c.tolerance)
			}
		}
	}
}

func TestBucketSizes(t *testing.T) {
	// The list that kohya's trainer prints for 512 with its default limits.
	want := []Size{{256, 832}, {256, 896}, {256, 960}, {256, 1024}, {320, 704}, {320, 768}, {384, 640}, {448, 576}, {512, 512},
		{576, 448}, {640, 384}, {704, 320}, {768, 320}, {832, 256}, {896, 256}, {960, 256}, {1024, 256}}
	if got := BucketSizes(Square(512), 256, 1024, 64); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := BucketSizes(Square(512), 320, 960, 64); !slices.Equal(got, want[4:13]) {
		t.Errorf("the experiments' limits: %v", got)
	}
}

func TestFit(t *testing.T) {
	choose := fitAspect(BucketSizes(Square(512), 256, 1024, 64))
	for _, c := range []struct{ image, bucket, resized Size }{
		{Size{448, 576}, Size{448, 576}, Size{448, 576}},   // exactly a bucket
		{Size{1000, 1000}, Square(512), Square(512)},       //
		{Size{1920, 1080}, Size{640, 384}, Size{683, 384}}, // wider than its bucket: heights meet
		{Size{600, 800}, Size{448, 576}, Size{448, 597}},   // taller: widths meet
		{Size{100, 90}, Square(512), Size{569, 512}},       // enlarged; 1.11 is nearer to 1 than to 1.29
	} {
		if bucket, resized := choose(c.image); bucket != c.bucket || resized != c.resized {
			t.Errorf("%s: bucket %s of %s, want %s of %s", c.image, bucket, resized, c.bucket, c.resized)
		}
	}
	choose = fitNoUpscale(Square(512), 64)
	for _, c := range []struct{ image, bucket, resized Size }{
		{Size{300, 200}, Size{256, 192}, Size{300, 200}},
		{Size{1920, 1080}, Size{640, 384}, Size{683, 384}},
		{Size{1024, 1024}, Square(512), Square(512)},
	} {
		if bucket, resized := choose(c.image); bucket != c.bucket || resized != c.resized {
			t.Errorf("no upscale, %s: bucket %s of %s, want %s of %s", c.image, bucket, resized, c.bucket, c.resized)
		}
	}
}

// A mirrored draw is the mirror image, and the same draw is always the same.
func TestPixelsAreDeterministic(t *testing.T) {
	set, err := Load(fill(t), Options{Resolution: Square(64), BatchSize: 2, Seed: 5, Subset: Subset{RandomCrop: true, Color: true}})
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := set.Pixels(Sample{Item: 2, Number: 4, Epoch: 2})
	if err != nil {
		t.Fatal(err)
	}
	b, _, _ := set.Pixels(Sample{Item: 2, Number: 4, Epoch: 2})
	if !slices.Equal(a, b) {
		t.Error("two readings of one draw differ")
	}
	m, _, _ := set.Pixels(Sample{Item: 0})
	n, _, _ := set.Pixels(Sample{Item: 0, Flip: true})
	for x := range 64 {
		if m[x] != n[63-x] {
			t.Fatalf("column %d: %g and %g", x, m[x], n[63-x])
		}
	}
}
