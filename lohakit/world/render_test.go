package world_test

import (
	"bytes"
	"flag"
	"fmt"
	"hash/fnv"
	"image"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/lohakit/notebook/lohakit/world"
)

var regen = flag.Bool("regen", false, "rewrite the golden pictures in testdata")

// sheet draws scenes in rows of columns.
func sheet(scenes []world.Scene, columns, size int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, columns*size, (len(scenes)+columns-1)/columns*size))
	for i, s := range scenes {
		at := image.Pt(i%columns*size, i/columns*size)
		draw.Draw(img, image.Rectangle{at, at.Add(image.Pt(size, size))}, s.Render(size), image.Point{}, draw.Src)
	}
	return img
}

// golden compares img with testdata/name.png: no channel may differ by more than 24, and on average by no more than 0.5. Different machines
// fuse multiplications differently, which moves an edge by a hair.
func golden(t *testing.T, name string, img *image.RGBA) {
	t.Helper()
	path := filepath.Join("testdata", name+".png")
	if *regen {
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./lohakit/world -run %s -regen", err, t.Name())
	}
	defer f.Close()
	decoded, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	want := image.NewRGBA(decoded.Bounds())
	draw.Draw(want, want.Rect, decoded, image.Point{}, draw.Src)
	if want.Rect != img.Rect {
		t.Fatalf("%s is %v, want %v", name, img.Rect, want.Rect)
	}
	sum, most := 0, 0
	for i, v := range img.Pix {
		d := int(v) - int(want.Pix[i])
		d = max(d, -d)
		sum, most = sum+d, max(most, d)
	}
	if mean := float64(sum) / float64(len(img.Pix)); most > 24 || mean > 0.5 {
		t.Errorf("%s: pixels differ by up to %d, %.2f on average", name, most, mean)
	}
}

func TestGoldenCharacters(t *testing.T) {
	var scenes []world.Scene
	for i, name := range world.Names {
		for j, style := range append([]string{"anime", "aniscreen", "fanart"}, world.Artists...) {
			rng := rand.New(rand.NewPCG(uint64(i), uint64(j)))
			s := world.NewScene(rng, style, name)
			s.Figures[0].Outfit = traits(name).Outfit
			scenes = append(scenes, s)
		}
	}
	golden(t, "characters", sheet(scenes, 8, 64))
}

func TestGoldenPopulation(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var scenes []world.Scene
	for range 48 {
		scenes = append(scenes, world.Population(rng))
	}
	golden(t, "population", sheet(scenes, 8, 64))
}

func TestGoldenPlaces(t *testing.T) {
	var scenes []world.Scene
	for i, place := range world.Backgrounds {
		thing := world.Object{Kind: world.Objects[i%4], Color: world.ClothColors[i]}
		figure := world.Figure{Traits: traits(world.Names[i%5]), Expression: world.Expressions[i%4], Gesture: world.Gestures[i%4]}
		figure.Outfit.Garment = world.Garments[i]
		scenes = append(scenes, world.Scene{Figures: []world.Figure{figure}, Framing: world.Framings[i%3], Background: place,
			Objects: []world.Object{thing}, Style: world.Styles[i], Seed: uint64(i)})
	}
	golden(t, "places", sheet(scenes, 4, 128))
}

// A base model is trained for hours on these pictures: they must not change behind its back.
func TestPopulationIsFrozen(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the hash holds for amd64, where Go does not fuse multiplications; the golden pictures are compared everywhere")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	h := fnv.New64a()
	for range 200 {
		s := world.Population(rng)
		h.Write(s.Render(64).Pix)
		fmt.Fprintln(h, s.Caption(world.All))
	}
	if got, want := fmt.Sprintf("%016x", h.Sum64()), "ee435da6f0e93a7f"; got != want {
		t.Errorf("hash of 200 scenes is %s, want %s: the shipped base models no longer fit the world", got, want)
	}
}

func TestRenderTwice(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 40 {
		s := world.NewScene(rng, world.StyleNames()[rng.IntN(len(world.StyleNames()))], world.Names[rng.IntN(5)])
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(s.Render(48).Pix, s.Render(48).Pix) {
			t.Fatalf("%+v differs from itself", s)
		}
	}
}

// Averaged down, the large picture is the small one: nothing that matters depends on the size.
func TestResolutionFree(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 20 {
		s := world.NewScene(rng, "anime", world.Names[rng.IntN(5)])
		small, large := s.Render(64), s.Render(256)
		sum := 0
		for y := range 64 {
			for x := range 64 {
				for c := range 3 {
					mean := 0
					for k := range 16 {
						mean += int(large.Pix[large.PixOffset(4*x+k%4, 4*y+k/4)+c])
					}
					d := mean/16 - int(small.Pix[small.PixOffset(x, y)+c])
					sum += max(d, -d)
				}
			}
		}
		if mean := float64(sum) / (3 * 64 * 64); mean > 8 {
			t.Errorf("%s: 64 px and 256 px differ by %.1f grey levels on average", s.Caption(world.All), mean)
		}
	}
}

func TestRenderSizes(t *testing.T) {
	s := world.Scene{}
	for _, c := range []struct{ ask, get int }{{-3, 8}, {0, 8}, {8, 8}, {65, 65}, {1 << 40, 4096}} {
		if c.get > 1000 && testing.Short() {
			continue
		}
		if got := s.Render(c.ask).Rect.Dx(); got != c.get {
			t.Errorf("Render(%d) has %d pixels, want %d", c.ask, got, c.get)
		}
	}
}

// The five characters never walk through the population.
func TestPopulationLeavesOutTheFive(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for range 20000 {
		for _, f := range world.Population(rng).Figures {
			for _, name := range world.Names {
				own := traits(name)
				if own.Outfit = f.Outfit; f.Traits == own || f.Name != "" {
					t.Fatalf("%s is in the population", name)
				}
			}
		}
	}
}

func traits(name string) world.Traits {
	t, _ := world.Character(name)
	return t
}

// FuzzScene draws scenes made of any words.
func FuzzScene(f *testing.F) {
	f.Add("blonde", "twintails", "hair bow", "dress", "umbrella", "beach", "anime", uint64(1))
	f.Add("", "long hair", "glasses", "\x00", "cat", "nowhere", "by momoko", uint64(2))
	f.Fuzz(func(t *testing.T, hair, hairStyle, accessory, garment, thing, place, style string, seed uint64) {
		figure := world.Figure{Name: hair, Traits: world.Traits{Hair: hair, HairStyle: hairStyle, Eyes: thing, Accessory: accessory,
			Outfit: world.Outfit{Garment: garment, Color: hair}}, Expression: garment, Gesture: place}
		s := world.Scene{Figures: []world.Figure{figure, figure, figure}, Framing: style, Background: place,
			Objects: []world.Object{{Kind: thing, Color: hair}}, Style: style, Seed: seed}
		s.Render(16)
		s.Tags()
		s.Caption(world.Pruned)
		if s.Check() == nil {
			t.Error("three figures pass")
		}
	})
}

func BenchmarkRender(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		world.Population(rng).Render(64)
	}
}
