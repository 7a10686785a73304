package merge

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/checkpoint"
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

// TestDistancesOfBrokenModels checks that weights that are no numbers have no distances, wherever they are, and that no tree is waited for.
func TestDistancesOfBrokenModels(t *testing.T) {
	folder := t.TempDir()
	names := []string{"a", "b", "broken"}
	var paths []string
	for _, name := range names {
		write(t, folder, name, 1, 2)
		paths = append(paths, filepath.Join(folder, name+".safetensors"))
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0} {
		write(t, folder, "broken", float32(v), float32(v))
		for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}} {
			var list []string
			for _, i := range order {
				list = append(list, paths[i])
			}
			_, err := Measure(context.Background(), names, list, nil)
			if !fault.Is(err, fault.Numeric) || !strings.Contains(err.Error(), "broken.safetensors") || v != 0 && !strings.Contains(err.Error(), weight) {
				t.Errorf("weights of %v: %v", v, err)
			}
		}
	}
	nan := math.NaN()
	d := &Distances{Names: names, Of: [][]float64{{0, nan, nan}, {nan, 0, nan}, {nan, nan, 0}}}
	if tree := d.Tree(); len(tree) != 2 {
		t.Errorf("the tree of what is nowhere is %v", tree)
	}
}

// TestDistancesOfZeroBlocks checks that a block of zeros is at no distance from another, rather than at none.
func TestDistancesOfZeroBlocks(t *testing.T) {
	folder := t.TempDir()
	var paths []string
	for i, v := range []float32{0, 0, 3} {
		mid, err := checkpoint.FromFloats(weight, checkpoint.F32, []int{1}, []float32{v})
		if err != nil {
			t.Fatal(err)
		}
		out, err := checkpoint.FromFloats("model.diffusion_model.output_blocks.0.0.weight", checkpoint.F32, []int{1}, []float32{1})
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, filepath.Join(folder, fmt.Sprint(i, ".safetensors")))
		if err := checkpoint.Write(paths[i], []checkpoint.Tensor{mid, out}, nil); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Measure(context.Background(), []string{"zero", "nil", "three"}, paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	if m := d.Blocks["M00"]; m[0][1] != 0 || !math.IsNaN(m[0][2]) || !math.IsNaN(m[2][1]) || m[2][2] != 0 {
		t.Errorf("distances of the block: %v", m)
	}
	if _, err := d.PlotBlocks(chart.Look{}, 0); err != nil {
		t.Error(err)
	}
}
