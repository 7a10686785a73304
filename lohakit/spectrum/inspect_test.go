package spectrum

import (
	"fmt"
	"math"
	"testing"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/fault"
)

// ExampleInspect counts what does not belong in a tensor.
func ExampleInspect() {
	fmt.Println(Inspect("mid_block.x", "F16", []float32{3, -4, 0, float32(math.NaN())}, 2, 2))
	// Output: mid_block.x F16[2 2] norm 5, mean -0.333, std 2.87, -4 … 3, 1 NaN, 1 zero
}

func TestInspectDraws(t *testing.T) {
	m := random(300, 20, 1)
	x := Inspect("x", "F32", m.values, 300, 20)
	n := 0
	for _, c := range x.Histogram {
		n += c
	}
	if n != len(m.values) {
		t.Errorf("the histogram holds %d of %d elements", n, len(m.values))
	}
	if _, err := x.PlotHistogram(chart.Look{}); err != nil {
		t.Error(err)
	}
	if _, err := x.Picture(chart.Look{}); err != nil {
		t.Error(err)
	}
	nan := float32(math.NaN())
	bad := Inspect("x", "F32", []float32{nan, nan}, 2)
	if _, err := bad.Picture(chart.Look{}); bad.NaN != 2 || !fault.Is(err, fault.Invalid) {
		t.Errorf("all NaN: %v, %v", bad, err)
	}
	if _, err := Inspect("x", "F32", nil, 0, 4).Picture(chart.Look{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("empty: %v", err)
	}
	if _, err := InspectTensor("x", nil); !fault.Is(err, fault.NotExist) {
		t.Errorf("missing: %v", err)
	}
}

// TestInspectByPattern describes weights of a model and what another differs by.
func TestInspectByPattern(t *testing.T) {
	a, b := tiny(t, 1), tiny(t, 2)
	all, err := InspectAll(a.UNet, "mid_block.*.proj_in.*")
	if err != nil || len(all) != 2 || all[0].Norm == 0 {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := InspectAll(a.UNet, "mid_block.nothing"); !fault.Is(err, fault.NotExist) {
		t.Errorf("an unknown tensor: %v", err)
	}
	diff, err := InspectDifferences(differences(t, b, a, "*.proj_in"), nil)
	if err != nil || len(diff) == 0 || diff[0].Zero == len(diff[0].values) {
		t.Errorf("%v, %v", diff, err)
	}
}
