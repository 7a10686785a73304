package dataset

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// Enlarging gives PIL's pixels, to one level of 255 (PIL rounds its weights to 22 bits).
func TestLanczosIsPILs(t *testing.T) {
	data, err := os.ReadFile("testdata/resize.json")
	if err != nil {
		t.Fatal(err)
	}
	type picture struct {
		Size   [2]int
		Pixels [][3]int
	}
	var f struct {
		picture
		Lanczos []picture
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
	for _, want := range f.Lanczos {
		w := load(want)
		got := source.resize(w.size)
		worst := 0.0
		for i := range w.data {
			worst = max(worst, math.Abs(float64(got.data[i])-float64(w.data[i])))
		}
		if worst > 1 {
			t.Errorf("%s: %g levels off", w.size, worst)
		}
	}
}

// Shrinking weighs every source pixel by the area it covers.
func TestAreaAverage(t *testing.T) {
	row := pixels{Size{3, 1}, []uint8{0, 0, 0, 255, 90, 90, 90, 255, 240, 240, 240, 255}}
	got := row.resize(Size{2, 1})
	if got.data[0] != 30 || got.data[4] != 190 { // (0 + 90/2) / 1.5, (90/2 + 240) / 1.5
		t.Errorf("got %d and %d", got.data[0], got.data[4])
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
	set.Subsets[0].RandomCrop, set.Subsets[0].Color = false, false
	m, _, _ = set.Pixels(Sample{Item: 0})
	n, _, _ = set.Pixels(Sample{Item: 0, Flip: true})
	for x := range 64 {
		if m[x] != n[63-x] {
			t.Fatalf("column %d: %g and %g", x, m[x], n[63-x])
		}
	}
}
