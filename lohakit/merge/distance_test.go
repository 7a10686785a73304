package merge

import (
	"context"
	"math"
	"path/filepath"
	"testing"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/fault"
)

// TestDistances checks figures, families and map of four models that lie on a line: two pairs far from each other.
func TestDistances(t *testing.T) {
	folder := t.TempDir()
	names := []string{"far-b", "near-a", "far-a", "near-b"}
	var paths []string
	for i, v := range []float32{3.1, 0, 3, 0.2} {
		write(t, folder, names[i], 10, v)
		paths = append(paths, filepath.Join(folder, names[i]+".safetensors"))
	}
	d, err := Measure(context.Background(), names, paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := 3 / math.Sqrt(10*math.Sqrt(109)) // between (10, 0) and (10, 3)
	if got := d.Of[1][2]; math.Abs(got-want) > 1e-6 || d.Of[2][1] != got || d.Of[0][0] != 0 || d.Blocks["M00"][1][2] != got {
		t.Errorf("the distance is %v, want %v; %v", got, want, d.Of)
	}
	tree := d.Tree()
	if tree[0].A != 0 || tree[0].B != 2 || tree[1].A != 1 || tree[1].B != 3 || tree[2].A != 4 || tree[2].B != 5 {
		t.Errorf("the families are %v", tree)
	}
	x, y := d.Map()
	for i := range x {
		for j := range x {
			if got := math.Hypot(x[i]-x[j], y[i]-y[j]); math.Abs(got-d.Of[i][j]) > 0.02 {
				t.Errorf("on the map %s and %s are %v apart, want %v", names[i], names[j], got, d.Of[i][j])
			}
		}
	}
	for name, draw := range map[string]func() error{
		"tree":   func() error { _, err := d.PlotTree(chart.Look{}); return err },
		"map":    func() error { _, err := d.PlotMap(chart.Look{}); return err },
		"blocks": func() error { _, err := d.PlotBlocks(chart.Look{}, 1); return err },
	} {
		if err := draw(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.PlotBlocks(chart.Look{}, 4); !fault.Is(err, fault.Invalid) {
		t.Errorf("blocks of no model: %v", err)
	}
	if _, err := Measure(context.Background(), names[:1], paths[:1], nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("one model: %v", err)
	}
	write(t, folder, "other", 1, 2, 3)
	if _, err := Measure(context.Background(), names[:2], []string{paths[0], filepath.Join(folder, "other.safetensors")}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("another size: %v", err)
	}
}
