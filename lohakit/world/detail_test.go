package world_test

import (
	"image"
	"image/color"
	"math"
	"testing"

	"github.com/lohakit/notebook/lohakit/world"
)

func TestDetail(t *testing.T) {
	of := func(place string, size int) float64 {
		sum := 0.0
		for seed := range uint64(8) {
			sum += world.Detail(world.Scene{Background: place, Style: "anime", Seed: seed}.Render(size)) / 8
		}
		return sum
	}
	if d := of("white", 64); d != 0 {
		t.Errorf("a white background has %.2f", d)
	}
	if sky, city := of("sky", 64), of("city", 64); sky <= 0 || city < 2*sky {
		t.Errorf("sky %.2f, city %.2f", sky, city)
	}
	for _, place := range []string{"city", "park", "night", "beach"} {
		if small, large := of(place, 64), of(place, 256); large < 1.1*small {
			t.Errorf("%s has no more at 256 px (%.2f) than at 64 px (%.2f)", place, large, small)
		}
	}
	for _, size := range []int{50, 100, 200} { // an edge in the middle of the left fifth, half the region: 2.5
		img := image.NewGray(image.Rect(0, 0, size, size))
		for y := range size {
			for x := range size / 10 {
				img.SetGray(x, y, color.Gray{255})
			}
		}
		if d := world.Detail(img); math.Abs(d-2.5) > 0.01 {
			t.Errorf("one edge at %d px has %.3f", size, d)
		}
	}
	if d := world.Detail(image.NewGray(image.Rect(0, 0, 1, 1))); d != 0 {
		t.Errorf("one pixel has %v", d)
	}
}
