package spectrum

import (
	"fmt"
	"math"
	"runtime"
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

// TestInspectKeepsLittle describes 64 MB of values, one tensor after another: what is kept of them is their pictures.
func TestInspectKeepsLittle(t *testing.T) {
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := held()
	var all []Tensor
	for range 16 {
		values := make([]float32, 1<<20)
		values[1<<19] = 4
		all = append(all, Inspect("x", "F32", values, 1<<10, 1<<10))
	}
	if kept := held() - before; kept > 16<<20 {
		t.Errorf("it keeps %d MB", kept>>20)
	}
	if x := all[0]; x.cells[128][0] != 0.25 || x.cells[0][0] != 0 || x.Zero != 1<<20-1 { // 4 in a square of 16
		t.Errorf("the picture is %v", x.cells[128][:4])
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
	if err != nil || len(diff) == 0 || diff[0].Zero == diff[0].Shape[0]*diff[0].Shape[1] {
		t.Errorf("%v, %v", diff, err)
	}
}
