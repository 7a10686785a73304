package dataset

import (
	"context"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
)

// writeImage writes a PNG whose red grows to the right and green downwards.
func writeImage(t testing.TB, path string, w, h int) {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, color.NRGBA{uint8(255 * x / w), uint8(255 * y / h), 40, 255})
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func writeText(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fill makes a dataset of two folders: 3 × 2 images with captions and 1 × 1 without.
func fill(t testing.TB) string {
	dir := t.TempDir()
	writeImage(t, filepath.Join(dir, "3_Euphyllia", "a.png"), 64, 64)
	writeText(t, filepath.Join(dir, "3_Euphyllia", "a.txt"), "Euphyllia, dress, smile\nsecond line")
	writeImage(t, filepath.Join(dir, "3_Euphyllia", "b.png"), 96, 48)
	writeText(t, filepath.Join(dir, "3_Euphyllia", "b.txt"), "Euphyllia, hat")
	writeImage(t, filepath.Join(dir, "1_by kantoku", "c.png"), 64, 64)
	return dir
}

func TestLoad(t *testing.T) {
	dir := fill(t)
	writeText(t, filepath.Join(dir, "3_Euphyllia", "._a.png"), "junk")
	writeText(t, filepath.Join(dir, "__MACOSX", "3_x", "a.png"), "junk")
	writeImage(t, filepath.Join(dir, "notes", "d.png"), 8, 8)
	set, err := Load(dir, Options{Resolution: Square(64), BatchSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := set.String(), "3 images in 2 folders, 7 samples per epoch, 2 buckets"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := set.Items[0].Caption; got != "by kantoku" {
		t.Errorf("class tokens: %q", got)
	}
	if len(set.Warnings) != 1 || !strings.Contains(set.Warnings[0], "notes") {
		t.Errorf("warnings %q", set.Warnings)
	}
	if got := set.StepsPerEpoch(); got != 4 { // 64×64: 4 samples; 96×48: 3 samples
		t.Errorf("%d steps per epoch", got)
	}
	if err := set.Check(context.Background(), nil); err != nil {
		t.Error(err)
	}
	pixels, err := set.Image(1)
	if err != nil {
		t.Fatal(err)
	}
	if len(pixels) != 3*64*64 || pixels[0] != -1 || pixels[63] < 0.9 || pixels[64*64*2-1] < 0.9 {
		t.Errorf("%d values, first %g", len(pixels), pixels[0])
	}
}

// Order depends on seed and epoch only, and every draw of the epoch appears once.
func TestEpoch(t *testing.T) {
	set, err := Load(fill(t), Options{Resolution: Square(64), BatchSize: 2, Seed: 23})
	if err != nil {
		t.Fatal(err)
	}
	var numbers []int
	for _, b := range set.Epoch(3) {
		numbers = append(numbers, b.Numbers...)
		for _, i := range b.Items {
			if set.Items[i].Bucket != b.Size {
				t.Errorf("item %d of bucket %s in a batch of %s", i, set.Items[i].Bucket, b.Size)
			}
		}
	}
	slices.Sort(numbers)
	if !slices.Equal(numbers, []int{0, 1, 2, 3, 4, 5, 6}) {
		t.Errorf("draws %v", numbers)
	}
	same := func(a, b []Batch) bool {
		return slices.EqualFunc(a, b, func(x, y Batch) bool { return slices.Equal(x.Numbers, y.Numbers) })
	}
	if !same(set.Epoch(3), set.Epoch(3)) || same(set.Epoch(3), set.Epoch(4)) && same(set.Epoch(3), set.Epoch(5)) {
		t.Error("order is not a function of the epoch")
	}
}

func TestBadFilesAreNamed(t *testing.T) {
	dir := fill(t)
	whole, _ := os.ReadFile(filepath.Join(dir, "3_Euphyllia", "a.png"))
	writeText(t, filepath.Join(dir, "3_Euphyllia", "bad.png"), "not an image")
	writeText(t, filepath.Join(dir, "3_Euphyllia", "b.txt"), " \n")
	_, err := Load(dir, Options{})
	if err == nil || !strings.Contains(err.Error(), "bad.png") || !strings.Contains(err.Error(), "b.txt") {
		t.Errorf("both files should be named: %v", err)
	}
	os.Remove(filepath.Join(dir, "3_Euphyllia", "bad.png"))
	writeText(t, filepath.Join(dir, "3_Euphyllia", "b.txt"), "hat")
	writeText(t, filepath.Join(dir, "3_Euphyllia", "cut.png"), string(whole[:len(whole)/2]))
	set, err := Load(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Check(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "cut.png") {
		t.Errorf("cut.png should be named: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none"), Options{}); !fault.Is(err, fault.NotExist) {
		t.Errorf("missing folder: %v", err)
	}
	if _, err := Load(t.TempDir(), Options{}); !fault.Is(err, fault.NotExist) {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := (Limits{}.complete()).Header(dir); err == nil {
		t.Error("a folder is not an image")
	}
}

func TestRegularizationIsEvenedOut(t *testing.T) {
	dir, reg := fill(t), t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		writeImage(t, filepath.Join(reg, "1_girl", name+".png"), 64, 64)
	}
	set, err := Load(dir, Options{Resolution: Square(64), Regularization: reg})
	if err != nil {
		t.Fatal(err)
	}
	var repeats []int
	for _, item := range set.Items[3:] {
		repeats = append(repeats, item.Repeats)
	}
	if set.count(true) != 7 || !slices.Equal(repeats, []int{3, 2, 2}) {
		t.Errorf("repeats %v", repeats)
	}
	set, err = Load(reg, Options{Resolution: Square(64), Regularization: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Items[5].Repeats; set.count(true) != 4 || got != 0 || len(set.Warnings) == 0 {
		t.Errorf("surplus regularization: %d, last %d, %q", set.count(true), got, set.Warnings)
	}
}
