package dataset

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
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

// Limits of buckets that make no sense are nothing where there are no buckets.
func TestLoadWithoutBuckets(t *testing.T) {
	set, err := Load(fill(t), Options{Resolution: Square(64), NoBuckets: true, BucketStep: 64, MinBucket: 32, MaxBucket: 16})
	if err != nil || set.Items[1].Bucket != Square(64) {
		t.Errorf("%+v, %v", set, err)
	}
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

// One report names every file of every folder that cannot be used, whatever is wrong with it, and the set holds the others.
func TestBadFilesAreNamed(t *testing.T) {
	dir := fill(t)
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	whole, err := os.ReadFile(at("3_Euphyllia", "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	bomb := slices.Clone(whole) // says that it is 65,535 pixels wide and high
	binary.BigEndian.PutUint32(bomb[16:], 1<<16-1)
	binary.BigEndian.PutUint32(bomb[20:], 1<<16-1)
	binary.BigEndian.PutUint32(bomb[29:], crc32.ChecksumIEEE(bomb[12:29]))
	writeText(t, at("3_Euphyllia", "text.png"), "not an image")
	writeText(t, at("3_Euphyllia", "none.webp"), "")
	writeText(t, at("3_Euphyllia", "b.txt"), " \n")
	writeText(t, at("2_Tilty", "bomb.png"), string(bomb))
	writeText(t, at("2_Tilty", "cut.png"), string(whole[:len(whole)/2]))
	writeImage(t, at("2_Tilty", "latin.png"), 64, 64)
	writeText(t, at("2_Tilty", "latin.txt"), "caf\xe9")
	writeImage(t, at("2_Tilty", "narrow.png"), 2, 8192)
	set, err := Load(dir, Options{})
	bad := []string{"text.png", "none.webp", "b.txt", "bomb.png", "latin.txt", "narrow.png"}
	for _, name := range bad {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	if !fault.Is(err, fault.Corrupt) || len(set.Items) != 3 {
		t.Errorf("left are %d images; %v", len(set.Items), err)
	}
	err = set.Check(context.Background(), nil)
	for _, name := range append(bad, "cut.png") {
		if n := strings.Count(err.Error(), name+":"); n != 1 {
			t.Errorf("%s is named %d times: %v", name, n, err)
		}
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

// Masks are checked with the images.
func TestBadMasksAreNamed(t *testing.T) {
	dir, masks := fill(t), t.TempDir()
	writeImage(t, filepath.Join(masks, "a.png"), 64, 64)
	writeImage(t, filepath.Join(masks, "b.png"), 64, 64) // its image is 96 × 48
	set, err := Load(dir, Options{Resolution: Square(64), Subset: Subset{MaskDir: masks}})
	if err != nil {
		t.Fatal(err)
	}
	err = set.Check(context.Background(), nil)
	if err == nil || !strings.Contains(err.Error(), "b.png: is 64×64 but its image is 96×48") || !strings.Contains(err.Error(), "c.png: has no mask") {
		t.Errorf("masks: %v", err)
	}
}

// A tenth is held out of every folder, rounded down, the same images each time; regularization images are not. They are drawn in no
// epoch and make the validation batches.
func TestValidationSplit(t *testing.T) {
	dir, reg := t.TempDir(), t.TempDir()
	for i := range 25 {
		writeImage(t, filepath.Join(dir, "2_a", fmt.Sprintf("%d.png", i)), 64, 64)
	}
	for i := range 9 {
		writeImage(t, filepath.Join(dir, "1_b", fmt.Sprintf("%d.png", i)), 96, 48)
		writeImage(t, filepath.Join(reg, "1_girl", fmt.Sprintf("%d.png", i)), 64, 64)
	}
	load := func(o Options) *Set {
		o.Resolution, o.BatchSize, o.Regularization = Square(64), 2, reg
		set, err := Load(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	held := func(s *Set) (list []int) {
		for _, b := range s.ValidationBatches() {
			list = append(list, b.Items...)
		}
		return list
	}
	set := load(Options{Validation: 0.1, Seed: 3})
	if got := held(set); len(got) != 2 || set.count(false) != 2*23+9 || set.count(true) != 2*23+9 {
		t.Errorf("held out %v; %d training and %d regularization draws", got, set.count(false), set.count(true))
	}
	if p := set.Plan(10, 0, 1); p.Held != 2 || !strings.Contains(p.String(), "2 images held out for validation") {
		t.Errorf("plan:\n%s", p)
	}
	for _, b := range set.Epoch(1) {
		for _, i := range b.Items {
			if set.Items[i].Held {
				t.Errorf("%s is held out and drawn", set.Items[i].Path)
			}
		}
	}
	if a, b := held(set), held(load(Options{Validation: 0.1, Seed: 3})); !slices.Equal(a, b) {
		t.Errorf("the same options hold out %v and %v", a, b)
	}
	if a, b := held(set), held(load(Options{Validation: 0.1, Seed: 9, ValidationSeed: 3})); !slices.Equal(a, b) {
		t.Errorf("ValidationSeed holds out %v, want %v", b, a)
	}
	half, err := set.With(Options{Resolution: Square(64), BatchSize: 4, Validation: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	if got := held(half); len(got) != 12+4 || len(half.ValidationBatches()) != 4 || half.count(true) != half.count(false) {
		t.Errorf("half: %v in %d batches", got, len(half.ValidationBatches()))
	}
	for i, a := range held(half) {
		if b := held(half)[max(0, i-1)]; half.Subsets[half.Items[a].Subset].Regularization || i > 0 && a == b {
			t.Errorf("item %d is held out", a)
		}
	}
	if none, err := half.With(Options{Resolution: Square(64)}); err != nil || len(held(none)) != 0 || none.count(false) != 59 {
		t.Errorf("without a split: %v, %v", none, err)
	}
	if _, err := Load(dir, Options{Validation: 1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("everything held out: %v", err)
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
