package chart

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/cmpimg"
	"gonum.org/v1/plot/plotter"

	"github.com/lohakit/notebook/lohakit/fault"
)

// golden compares img with testdata/name_golden.png in gonum/plot's manner; -regen rewrites it.
func golden(t *testing.T, name string, img image.Image, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got, err := PNG(img)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+"_golden.png")
	if *cmpimg.GenerateTestData {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := cmpimg.EqualApprox("png", got, want, 0.1); err != nil || !ok {
		t.Errorf("%s differs from its golden picture (%v); look at it, then run go test -regen", name, err)
	}
}

func decay(n int, tau float64) []float64 {
	y := make([]float64, n)
	for i := range y {
		y[i] = math.Exp(-float64(i) / tau)
	}
	return y
}

func TestLineGolden(t *testing.T) {
	y := decay(40, 9)
	y[20] = math.NaN()
	img, err := Line(Look{Title: "Two rates", X: "epoch", Y: "share"}, Series{Name: "slow, with a gap", Y: y}, Series{Name: "fast", Y: decay(40, 4)})
	golden(t, "line", img, err)
}

func TestLossGolden(t *testing.T) {
	y := decay(600, 200)
	for i := range y {
		y[i] = 0.1 + 0.1*y[i] + 0.04*math.Sin(float64(i*i))
	}
	img, err := Loss(Look{Title: "Loss"}, 0, Series{Name: "8/4", Y: y})
	golden(t, "loss", img, err)
}

// TestLossKeepsMeasurements draws a validation of three values beside a loss: the line reaches the one that a mean would hide.
func TestLossKeepsMeasurements(t *testing.T) {
	flat := Series{Y: make([]float64, 40)}
	highest := func(measured bool) int {
		img, err := Loss(Look{}, 0, flat, Series{X: []float64{0, 20, 40}, Y: []float64{0, 0, 1}, Measured: measured})
		if err != nil {
			t.Fatal(err)
		}
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				if img.At(x, y) == colour(1, 2) {
					return y
				}
			}
		}
		t.Fatal("nothing is drawn in its colour")
		return 0
	}
	if as, mean := highest(true), highest(false); as > 50 || mean < 100 {
		t.Errorf("the highest pixel is %d from the top, that of a mean %d", as, mean)
	}
}

func TestSpectrumGolden(t *testing.T) {
	img, err := Spectrum(Look{Title: "ΔW of mid_block.attentions.0"}, Series{Name: "LoHa 8", Y: decay(64, 6)}, Series{Name: "one", Y: []float64{0.1}})
	golden(t, "spectrum", img, err)
}

func TestHeatGolden(t *testing.T) {
	z := make([][]float64, 6)
	for i := range z {
		z[i] = make([]float64, 9)
		for j := range z[i] {
			z[i][j] = float64(i-2) * float64(j-3)
		}
	}
	z[1][1] = math.NaN()
	img, err := Heat(Look{Title: "Both signs", X: "rank", Y: "layer"}, []string{"a", "b", "c", "d", "e", "f"}, nil, z)
	golden(t, "heat", img, err)
}

func TestBarsGolden(t *testing.T) {
	img, err := Bars(Look{Title: "Accuracy", Y: "share"}, []string{"Anisphia", "Euphyllia", "Tilty"},
		Series{Name: "before", Y: []float64{0.1, 0.2, 0.05}}, Series{Name: "after", Y: []float64{0.8, 0.9, math.NaN()}})
	golden(t, "bars", img, err)
}

// Labels that have no room side by side stand aslant.
func TestBarsWithLongLabelsGolden(t *testing.T) {
	img, err := Bars(Look{Title: "tag frequency", Y: "images"}, []string{"1girl", "holding umbrella", "looking at viewer", "star (sky)", "upper body",
		"aniscreen", "outdoors", "blue sky", "night sky", "cowboy shot"}, Series{Y: []float64{16, 10, 8, 4, 2, 1, 1, 1, 1, 1}})
	golden(t, "bars_aslant", img, err)
}

func TestPointsGolden(t *testing.T) {
	img, err := Points(Look{Title: "Families", Height: 300}, []string{"NAI", "AC", "MFB"}, []float64{0, 1, 4}, []float64{0, 0.5, -2})
	golden(t, "points", img, err)
}

// Labels of dots that lie close keep out of each other's way.
func TestPointsCrowdedGolden(t *testing.T) {
	img, err := Points(Look{Title: "Crowded", Width: 480, Height: 300}, []string{"AC", "BP", "NMFSAN", "VBP2.2", "Pastel-Mix"},
		[]float64{0, 0.2, 0.25, 3, 2.9}, []float64{0, 0.1, 0.12, 1, 1.02})
	golden(t, "crowded", img, err)
}

func TestCurveGolden(t *testing.T) {
	img, err := Curve(Look{Title: "Compression", X: "size (MB)", Y: "relative error", LogX: true, Height: 300},
		[]string{"rank 4", "rank 8", "rank 16", "rank 32", "rank 64"}, []float64{4.7, 9.4, 18.9, 37.7, 75.5}, []float64{0.6, 0.42, 0.25, 0.1, 0.02})
	golden(t, "curve", img, err)
}

func TestHistogramGolden(t *testing.T) {
	counts := make([]int, 24)
	for i := range counts {
		counts[i] = int(500 * math.Exp(-math.Pow(float64(i)-10, 2)/20))
	}
	img, err := Histogram(Look{Title: "to_q.weight", X: "value", Y: "elements", Height: 280}, -0.2, 0.3, counts)
	golden(t, "histogram", img, err)
}

// More series than colours are shades in their order.
func TestManyGolden(t *testing.T) {
	var many []Series
	for i := range 16 {
		many = append(many, Series{Name: fmt.Sprintf("layer %d", i), Y: decay(64, 3+float64(i))})
	}
	img, err := Spectrum(Look{Title: "Sixteen layers"}, many...)
	golden(t, "many", img, err)
}

func TestTreeGolden(t *testing.T) {
	img, err := Tree(Look{Title: "Families", X: "distance", Height: 300}, []string{"NAI", "MFB", "AC", "Anything", "Salt Mix"}, []Join{{0, 3, 0.2}, {5, 2, 0.5}, {1, 4, 0.6}, {7, 6, 1}})
	golden(t, "tree", img, err)
}

func TestWrongInput(t *testing.T) {
	nan := math.NaN()
	for name, draw := range map[string]func() (image.Image, error){
		"no series":      func() (image.Image, error) { return Line(Look{}) },
		"only NaN":       func() (image.Image, error) { return Line(Look{}, Series{Y: []float64{nan, nan}}) },
		"only zero, log": func() (image.Image, error) { return Spectrum(Look{}, Series{Y: []float64{0, 0}}) },
		"lengths":        func() (image.Image, error) { return Line(Look{}, Series{X: []float64{1}, Y: []float64{1, 2}}) },
		"huge":           func() (image.Image, error) { return Line(Look{Width: 1 << 30}, Series{Y: []float64{1}}) },
		"negative":       func() (image.Image, error) { return Heat(Look{Height: -5}, nil, nil, [][]float64{{1}}) },
		"ragged":         func() (image.Image, error) { return Heat(Look{}, nil, nil, [][]float64{{1, 2}, {3}}) },
		"labels":         func() (image.Image, error) { return Heat(Look{}, []string{"a", "b"}, nil, [][]float64{{1}}) },
		"all NaN":        func() (image.Image, error) { return Heat(Look{}, nil, nil, [][]float64{{nan}}) },
		"bars per label": func() (image.Image, error) { return Bars(Look{}, []string{"a"}, Series{Y: []float64{1, 2}}) },
		"smoothing of 1": func() (image.Image, error) { return Loss(Look{}, 1, Series{Y: []float64{1}}) },
		"smoothing NaN":  func() (image.Image, error) { return Loss(Look{}, nan, Series{Y: []float64{1}}) },
		"bars on log":    func() (image.Image, error) { return Bars(Look{LogY: true}, []string{"a"}, Series{Y: []float64{1}}) },
		"no bins":        func() (image.Image, error) { return Histogram(Look{}, 0, 1, nil) },
		"bins of NaN":    func() (image.Image, error) { return Histogram(Look{}, nan, 1, []int{1}) },
		"negative bin":   func() (image.Image, error) { return Histogram(Look{}, 0, 1, []int{-1}) },
		"points":         func() (image.Image, error) { return Points(Look{}, nil, []float64{1}, nil) },
		"tree, joins":    func() (image.Image, error) { return Tree(Look{}, []string{"a", "b"}, nil) },
		"tree, twice": func() (image.Image, error) {
			return Tree(Look{}, []string{"a", "b", "c"}, []Join{{0, 1, 1}, {0, 2, 2}})
		},
		"histogram, log x": func() (image.Image, error) { return Histogram(Look{LogX: true}, 0, 1, []int{1}) },
		"histogram, log y": func() (image.Image, error) { return Histogram(Look{LogY: true}, 0, 1, []int{0, 1}) },
		"tree, log x":      func() (image.Image, error) { return Tree(Look{LogX: true}, []string{"a", "b"}, []Join{{0, 1, 1}}) },
		"tree, log y":      func() (image.Image, error) { return Tree(Look{LogY: true}, []string{"a", "b"}, []Join{{0, 1, 1}}) },
		"tree, NaN":        func() (image.Image, error) { return Tree(Look{}, []string{"a", "b"}, []Join{{0, 1, nan}}) },
		"tree, infinite":   func() (image.Image, error) { return Tree(Look{}, []string{"a", "b"}, []Join{{0, 1, math.Inf(1)}}) },
		"bars of nothing":  func() (image.Image, error) { return Bars(Look{}, nil) },
	} {
		if img, err := draw(); img != nil || !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: picture %v, error %v; want a fault of kind Invalid", name, img != nil, err)
		} else if f := (*fault.Error)(nil); errors.As(err, &f) && f.Hint == "" {
			t.Errorf("%s: %v names no remedy", name, err)
		}
	}
}

// TestSmallest draws every kind of chart at the smallest size, with text that leaves no room for data.
func TestSmallest(t *testing.T) {
	long := strings.Repeat("long\n", 40)
	l := Look{Width: 64, Height: 64, Title: long, X: long, Y: long}
	for name, draw := range map[string]func() (image.Image, error){
		"line": func() (image.Image, error) { return Line(l, Series{Name: long, Y: []float64{1, 2}}) },
		"bars": func() (image.Image, error) {
			return Bars(l, []string{long, "b"}, Series{Name: long, Y: []float64{1, 2}})
		},
		"heat":      func() (image.Image, error) { return Heat(l, []string{long}, []string{long}, [][]float64{{1}}) },
		"histogram": func() (image.Image, error) { return Histogram(l, 0, 1, []int{1, 2}) },
		"curve":     func() (image.Image, error) { return Curve(l, []string{long, "b"}, []float64{1, 2}, []float64{1, 2}) },
		"tree":      func() (image.Image, error) { return Tree(l, []string{long, "b"}, []Join{{0, 1, 1}}) },
	} {
		if img, err := draw(); err != nil || img.Bounds().Dx() != 64 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVeryManyPoints draws more than can be drawn as they are: a line through the extremes, bars and dots without a label each.
func TestVeryManyPoints(t *testing.T) {
	const n = 30_000
	x, y, labels := make([]float64, n), make([]float64, n), make([]string, n)
	points := make(plotter.XYs, n)
	for i := range n {
		x[i], y[i], labels[i] = float64(i), math.Sin(float64(i*i)), "label"
		points[i] = plotter.XY{X: x[i], Y: y[i]}
	}
	points[12_345].Y, points[n-1].Y = -7, 5
	line := thinned(points)
	if len(line) > 12_000 || line[0] != points[0] || line[len(line)-1] != points[n-1] || !slices.Contains(line, points[12_345]) {
		t.Errorf("%d points, from %v to %v", len(line), line[0], line[len(line)-1])
	}
	if !slices.IsSortedFunc(line, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) }) {
		t.Error("the points are out of order")
	}
	var joined plotter.XYs
	for i, piece := range pieces(line) {
		if i > 0 { // the corner between two pieces needs a stretch in both
			if !slices.Equal(joined[len(joined)-2:], piece[:2]) {
				t.Fatalf("piece %d begins with %v after %v", i, piece[:2], joined[len(joined)-2:])
			}
			piece = piece[2:]
		}
		joined = append(joined, piece...)
	}
	if !slices.Equal(joined, line) {
		t.Error("the pieces together are not the line")
	}
	for name, draw := range map[string]func() (image.Image, error){
		"line":  func() (image.Image, error) { return Line(Look{}, Series{Y: y}) },
		"bars":  func() (image.Image, error) { return Bars(Look{}, labels[:5000], Series{Y: y[:5000]}) },
		"curve": func() (image.Image, error) { return Curve(Look{}, labels[:5000], x[:5000], x[:5000]) },
	} {
		if _, err := draw(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzLine draws whatever numbers come; it must not panic or hang.
func FuzzLine(f *testing.F) {
	f.Add(1.0, 2.0, 3.0, true)
	f.Add(0.0, math.Inf(1), -1e308, false)
	f.Add(1e308, -1e308, 5e-324, true)
	f.Fuzz(func(t *testing.T, a, b, c float64, log bool) {
		l := Look{LogY: log, Width: 100, Height: 80}
		_, _ = Line(l, Series{Y: []float64{a, b, c}}, Series{X: []float64{c, a}, Y: []float64{b, b}})
		_, _ = Heat(l, nil, nil, [][]float64{{a, b}, {c, a}})
		if !log {
			_, _ = Bars(l, []string{"x", "y", "z"}, Series{Y: []float64{a, b, c}})
		}
	})
}
