package world_test

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/world"
	"github.com/lohakit/notebook/lohakit/xla"
)

func judge(t testing.TB) *world.Examiner {
	t.Helper()
	if _, err := xla.Backend(); fault.Is(err, fault.Missing) {
		t.Skipf("the judge runs on XLA: %v", err)
	}
	e, err := world.Judge()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The bounds are some two standard deviations of 640 images under the figures in assets/judge.md.
func TestJudgeOnFreshRenders(t *testing.T) {
	r, err := judge(t).Exam(640, 99, false)
	if err != nil {
		t.Fatal(err)
	}
	for q, least := range map[world.Question]float64{
		world.AskPeople: 0.98, world.AskHair: 0.98, world.AskCharacter: 0.98, world.AskStyle: 0.96, world.AskSource: 0.97, world.AskPlace: 0.98,
		world.AskGarment: 0.94, world.AskCloth: 0.98, world.AskDrawn: 0.98,
	} {
		if s := r.Accuracy(q); s.Rate() < least {
			t.Errorf("%s: %s, want %.2f\n%s", q, s, least, r.ConfusionTable(q))
		}
		if c := r.Calibration(q); c > 0.05 {
			t.Errorf("%s: calibration error %.3f", q, c)
		}
	}
	if low, _ := r.Sure.Interval(); low > 0.05 {
		t.Errorf("sure of noise: %s", r.Sure)
	}
}

func TestJudgeOnWornRenders(t *testing.T) {
	r, err := judge(t).Exam(640, 98, true)
	if err != nil {
		t.Fatal(err)
	}
	for q, least := range map[world.Question]float64{world.AskHair: 0.98, world.AskCharacter: 0.96, world.AskStyle: 0.88, world.AskPlace: 0.98,
		world.AskGarment: 0.89} {
		if s := r.Accuracy(q); s.Rate() < least {
			t.Errorf("%s: %s, want %.2f\n%s", q, s, least, r.ConfusionTable(q))
		}
	}
}

func pictures(seed uint64, n, size int, style string, names ...string) []image.Image {
	rng := rand.New(rand.NewPCG(seed, 1))
	images := make([]image.Image, n)
	for i := range images {
		images[i] = world.NewScene(rng, style, names...).Render(size)
	}
	return images
}

func TestScores(t *testing.T) {
	e := judge(t)
	look := func(images []image.Image) []world.Verdict {
		v, err := e.Look(images...)
		if err != nil {
			t.Fatal(err)
		}
		if len(v) != len(images) {
			t.Fatalf("%d verdicts on %d images", len(v), len(images))
		}
		return v
	}
	tilty := look(pictures(1, 70, 128, "anime", "Tilty")) // more than one run of the network, another size
	stranger := look(pictures(2, 70, 64, "momoko", ""))
	if s := world.Fidelity(tilty, "Tilty"); s.Rate() < 0.93 {
		t.Errorf("Tilty is Tilty: %s", s)
	}
	if s := world.Fidelity(stranger, "Tilty"); s.Rate() > 0.05 {
		t.Errorf("a stranger is Tilty: %s", s)
	}
	if s := world.StyleScore(stranger, "momoko"); s.Rate() < 0.95 {
		t.Errorf("momoko's style: %s", s)
	}
	if s := world.StyleScore(tilty, "momoko"); s.Rate() > 0.05 {
		t.Errorf("momoko's style where there is none: %s", s)
	}
	if got := stranger[0].Among(world.AskStyle, world.Artists...); got != "momoko" {
		t.Errorf("among the artists: %s", got)
	}
	pairs := look(pictures(3, 40, 64, "aniscreen", "OyamaMahiro", "OyamaMihari"))
	for _, name := range []string{"OyamaMahiro", "OyamaMihari"} {
		if s := world.Fidelity(pairs, name); s.Rate() < 0.85 {
			t.Errorf("%s of two: %s", name, s)
		}
	}

	distance := func(a, b []world.Verdict) float64 {
		d, err := world.Distance(a, b)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	again := look(pictures(4, 70, 64, "anime", "Tilty"))
	self, same, other := distance(tilty, tilty), distance(tilty, again), distance(tilty, stranger)
	if self > 0.01*same || same > 0.3*other {
		t.Errorf("distances: to itself %.3f, to the same kind %.3f, to another kind %.3f", self, same, other)
	}
	if back := distance(stranger, tilty); math.Abs(back-other) > 1e-3*other {
		t.Errorf("distance %.4f one way, %.4f the other", other, back)
	}
	if _, err := world.Distance(tilty[:1], again); !fault.Is(err, fault.Invalid) {
		t.Errorf("one image has a distance: %v", err)
	}
	if _, err := e.Look(image.NewRGBA(image.Rect(0, 0, 0, 5))); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty image gave %v", err)
	}
}

func TestWilson(t *testing.T) {
	// Newcombe 1998, table I: the score method without continuity correction.
	for _, c := range []struct {
		s         world.Share
		low, high float64
	}{
		{world.Share{Hits: 81, N: 263}, 0.2553, 0.3662},
		{world.Share{Hits: 15, N: 148}, 0.0624, 0.1605},
		{world.Share{Hits: 0, N: 20}, 0, 0.1611},
		{world.Share{Hits: 1, N: 29}, 0.0061, 0.1718},
	} {
		if low, high := c.s.Interval(); math.Abs(low-c.low) > 5e-5 || math.Abs(high-c.high) > 5e-5 {
			t.Errorf("%d of %d: %.4f–%.4f, want %.4f–%.4f", c.s.Hits, c.s.N, low, high, c.low, c.high)
		}
	}
	if low, high := (world.Share{}).Interval(); low != 0 || high != 1 {
		t.Errorf("of nothing: %v–%v", low, high)
	}
}

func TestJudgeFile(t *testing.T) {
	e := judge(t)
	path := filepath.Join(t.TempDir(), "judge.safetensors")
	if err := e.Save(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 2<<20 {
		t.Errorf("%v, %v", info.Size(), err)
	}
	again, err := world.OpenJudge(path)
	if err != nil {
		t.Fatal(err)
	}
	images := pictures(5, 3, 64, "kantoku", "Euphyllia")
	a, _ := e.Look(images...)
	b, err := again.Look(images...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if fmt.Sprint(a[i].Features) != fmt.Sprint(b[i].Features) {
			t.Errorf("image %d is judged otherwise after saving", i)
		}
	}
}

// FuzzJudgeFile opens damaged judges: an error or a judge, never a panic.
func FuzzJudgeFile(f *testing.F) {
	whole, err := os.ReadFile("assets/judge.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, byte(0), 100)
	f.Add(9, byte('x'), len(whole))
	f.Add(200, byte('9'), len(whole))
	path := filepath.Join(f.TempDir(), "judge.safetensors")
	f.Fuzz(func(t *testing.T, at int, b byte, length int) {
		damaged := append([]byte(nil), whole[:min(max(length, 0), len(whole))]...)
		if at >= 0 && at < len(damaged) {
			damaged[at] = b
		}
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		world.OpenJudge(path)
	})
}
