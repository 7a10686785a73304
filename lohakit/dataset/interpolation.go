package dataset

import "math"

// Interpolations are the names that ResizeInterpolation may have: those of kohya's trainer. Nothing stands for "area" where both sides shrink and
// "lanczos" elsewhere.
var Interpolations = []string{"", "lanczos", "nearest", "bilinear", "linear", "bicubic", "cubic", "area", "box"}

// nearby are OpenCV's methods; area is the one it falls back to where a side grows.
var nearby = map[string]func(from, to int) []taps{"nearest": nearest, "bilinear": linear, "linear": linear, "bicubic": cubic, "cubic": cubic,
	"area": areaLinear}

// nearest takes the pixel under the centre.
func nearest(from, to int) []taps {
	return around(from, to, func(at, _ float64) (int, []float64) { return int(math.Floor(at + 0.5)), []float64{1} })
}

// linear weighs the two pixels beside the centre.
func linear(from, to int) []taps {
	return around(from, to, func(at, _ float64) (int, []float64) {
		first := math.Floor(at)
		return int(first), []float64{1 - (at - first), at - first}
	})
}

// cubic weighs the four pixels beside the centre by Keys' function with a = -0.75.
func cubic(from, to int) []taps {
	const a = -0.75
	near := func(x float64) float64 { return ((a+2)*x-(a+3))*x*x + 1 }
	far := func(x float64) float64 { return ((a*x-5*a)*x+8*a)*x - 4*a }
	return around(from, to, func(at, _ float64) (int, []float64) {
		x := at - math.Floor(at)
		return int(math.Floor(at)) - 1, []float64{far(x + 1), near(x), near(1 - x), far(2 - x)}
	})
}

// areaLinear weighs two pixels as if each output pixel showed the part of them that it covers.
func areaLinear(from, to int) []taps {
	return around(from, to, func(at, scale float64) (int, []float64) {
		left := at + 0.5 - scale/2 // of the output pixel
		first := math.Floor(left + 1e-9)
		share := (left + scale - (first + 1)) / scale
		if share = max(share, 0); share > 0 {
			share -= math.Floor(share)
		}
		return int(first), []float64{1 - share, share}
	})
}

// around makes taps of the pixels that weigh lists for every centre, in source pixels from the first one's; those beyond a border are the border's.
func around(from, to int, weigh func(at, scale float64) (first int, weights []float64)) []taps {
	scale := float64(from) / float64(to)
	all := make([]taps, to)
	for i := range all {
		first, weights := weigh((float64(i)+0.5)*scale-0.5, scale)
		lo, hi := min(max(first, 0), from-1), min(max(first+len(weights)-1, 0), from-1)
		t := taps{first: lo, weights: make([]float64, hi-lo+1)}
		for k, w := range weights {
			t.weights[min(max(first+k, 0), from-1)-lo] += w
		}
		all[i] = t
	}
	return all
}
