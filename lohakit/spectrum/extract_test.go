package spectrum

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

func listOf(all ...Matrix) Differences {
	var out Differences
	for _, m := range all {
		if m.Shape == nil {
			m.Shape = []int{m.Rows, m.Cols}
		}
		out = append(out, Difference{Name: m.Name, Key: m.Key, Shape: m.Shape, read: func() (Matrix, error) { return m, nil }})
	}
	return out
}

// matrix is the only difference's.
func matrix(t testing.TB, d Differences, err error) Matrix {
	t.Helper()
	if err != nil || len(d) != 1 {
		t.Fatalf("%d differences, %v", len(d), err)
	}
	m, err := d[0].Matrix()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tensorOf is one of an adapter's.
func tensorOf(t testing.TB, a *adapter.Adapter, name string) []float32 {
	t.Helper()
	x := a.Params.Get(name)
	if x == nil {
		t.Fatalf("there is no %s among %v", name, a.Params.Names())
	}
	return tensors.MustCopyFlatData[float32](x)
}

// TestExtractsAsLyCORIS compares rank and product with recorded extractions in every mode.
func TestExtractsAsLyCORIS(t *testing.T) {
	raw, err := os.ReadFile("testdata/extract.json")
	if err != nil {
		t.Fatal(err)
	}
	type layer struct {
		Shape  []int
		Values []float32
	}
	var r struct {
		Linear, Conv layer
		Runs         []struct {
			Layer, Mode string
			Param       float64
			Rank        int
			Product     []float64
		}
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	for _, run := range r.Runs {
		l := r.Linear
		if run.Layer == "conv" {
			l = r.Conv
		}
		m, err := NewMatrix(run.Layer, l.Values, l.Shape...)
		if err != nil {
			t.Fatal(err)
		}
		m.Key = "lora_unet_x"
		rule := Rule{Mode: Mode(run.Mode), Value: run.Param}
		a, parts, err := Extract(listOf(m), Extraction{Linear: rule, Conv: rule, WholeAbove: true, DType: checkpoint.F32}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if parts[0].Rank != run.Rank {
			t.Errorf("%s %s %g: rank %d, LyCORIS has %d", run.Layer, run.Mode, run.Param, parts[0].Rank, run.Rank)
			continue
		}
		if run.Rank == 0 {
			continue
		}
		up, down := tensorOf(t, a, "lora_unet_x.lora_up.weight"), tensorOf(t, a, "lora_unet_x.lora_down.weight")
		for i, want := range run.Product {
			row, col := 17*i/m.Cols, 17*i%m.Cols
			got := 0.0
			for k := range run.Rank {
				got += float64(up[row*run.Rank+k]) * float64(down[k*m.Cols+col])
			}
			if math.Abs(got-want) > 2e-5 {
				t.Errorf("%s %s %g: product at %d is %v, LyCORIS has %v", run.Layer, run.Mode, run.Param, 17*i, got, want)
				break
			}
		}
	}
}

// TestResizesAsSDScripts compares with the recorded resizing of a LoRA and a LoCon, and extraction with clamped factors.
func TestResizesAsSDScripts(t *testing.T) {
	raw, err := os.ReadFile("testdata/resize.json")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Layers []struct {
			Shape    []int
			Dim      int
			Alpha    float64
			Up, Down []float32
			Runs     []struct {
				Method     string
				Parameter  float64
				Most, More int
				Rank       int
				Product    []float64
			}
		}
		Extractions []struct {
			Shape      []int
			Rank       int
			Difference []float32
			Values     []float64
			Product    []float64
		}
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	const key = "lora_unet_x"
	same := func(what string, a *adapter.Adapter, cols, rank int, step int, want []float64) {
		t.Helper()
		up, down := tensorOf(t, a, key+".lora_up.weight"), tensorOf(t, a, key+".lora_down.weight")
		for i, w := range want {
			row, col, got := step*i/cols, step*i%cols, 0.0
			for k := range rank {
				got += float64(up[row*rank+k]) * float64(down[k*cols+col])
			}
			if math.Abs(got-w) > 1e-5 {
				t.Errorf("%s: product at %d is %v, want %v", what, step*i, got, w)
				return
			}
		}
	}
	const step = 29
	for _, l := range r.Layers {
		list, err := Factors(key, l.Shape, l.Dim, l.Up, l.Down, checkpoint.F32)
		if err != nil {
			t.Fatal(err)
		}
		if list[2], err = checkpoint.FromFloats(key+".alpha", checkpoint.F32, nil, []float32{float32(l.Alpha)}); err != nil {
			t.Fatal(err)
		}
		a, err := adapter.FromTensors("x", list, nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := a.Product(key, l.Shape)
		if err != nil || p == nil {
			t.Fatalf("%v, %v", p, err)
		}
		m, err := ofProduct("x", p, l.Shape)
		if err != nil {
			t.Fatal(err)
		}
		m.Key = key
		for _, run := range l.Runs {
			rule := Rule{Mode: Mode(run.Method), Value: run.Parameter, Max: run.Most, More: run.More}
			if rule.Mode == Fixed {
				rule = Rule{Mode: Fixed, Value: float64(run.Most)}
			}
			got, parts, err := Extract(listOf(m), Extraction{Linear: rule, Conv: rule, DType: checkpoint.F32}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if parts[0].Rank != run.Rank {
				t.Errorf("%+v chooses rank %d, sd-scripts %d", rule, parts[0].Rank, run.Rank)
				continue
			}
			same(fmt.Sprintf("%+v", rule), got, m.Cols, run.Rank, step, run.Product)
		}
	}
	for _, x := range r.Extractions {
		m, err := NewMatrix("x", x.Difference, x.Shape...)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Of(m)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range x.Values {
			if want > 1e-4 && math.Abs(s.Values[i]-want) > 1e-5*want+1e-7 {
				t.Errorf("%v: value %d is %v, torch has %v", x.Shape, i, s.Values[i], want)
			}
		}
		m.Key = key
		rule := Rule{Mode: Fixed, Value: float64(x.Rank)}
		got, _, err := Extract(listOf(m), Extraction{Linear: rule, Conv: rule, Clamp: 0.99, DType: checkpoint.F32}, nil)
		if err != nil {
			t.Fatal(err)
		}
		same(fmt.Sprintf("clamped %v", x.Shape), got, m.Cols, x.Rank, step, x.Product)
	}
}

// TestResizingRules checks kohya's rules on singular values whose ranks are plain.
func TestResizingRules(t *testing.T) {
	s := &Spectrum{Rows: 4, Cols: 4, Values: []float64{8, 4, 2, 1}, Energy: 85}
	for _, c := range []struct {
		rule Rule
		want int
	}{
		{Rule{Mode: SVRatio, Value: 5}, 3}, {Rule{Mode: SVRatio, Value: 5, Max: 2}, 2},
		{Rule{Mode: SVCumulative, Value: 0.5}, 1}, {Rule{Mode: SVCumulative, Value: 0.7}, 2}, {Rule{Mode: SVCumulative, Value: 1}, 4},
		{Rule{Mode: SVFro, Value: 0.9}, 2}, {Rule{Mode: SVFro, Value: 0.9, More: 1}, 3}, {Rule{Mode: Energy, Value: 0.9}, 2}, {Rule{Mode: Energy, Value: 0.95}, 3}, {Rule{Mode: Fixed, Value: 9}, 4},
	} {
		if got := c.rule.Rank(s, 4); got != c.want {
			t.Errorf("%+v chooses %d of %v, want %d", c.rule, got, s.Values, c.want)
		}
	}
	if got := (Rule{Mode: SVFro, Value: 0.9}).Rank(&Spectrum{Values: []float64{1e-7, 0}}, 2); got != 1 {
		t.Errorf("of nothing %d ranks are kept", got)
	}
	for _, r := range []Rule{{Mode: "best"}, {Mode: Fixed, Value: 0.5}, {Mode: Ratio, Value: 2}, {Mode: SVRatio, Value: 1}, {Mode: Energy, Value: math.NaN()},
		{Mode: Threshold, Value: -1}, {Mode: Whole, Max: -1}, {Mode: Energy, More: -1}} {
		if err := r.Check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

// TestExtractedAdapterIsTheDifference extracts at full rank, saves, loads, and gets the difference of the two models back.
func TestExtractedAdapterIsTheDifference(t *testing.T) {
	source, tuned := tiny(t, 1), tiny(t, 2)
	full := Rule{Mode: Fixed, Value: 1000}
	d := differences(t, tuned, source, "mid_block.*")
	made, parts, err := Extract(d, Extraction{Linear: full, Conv: full, DType: checkpoint.F32}, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := made.Save(path, nil); err != nil {
		t.Fatal(err)
	}
	a, err := adapter.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	off, err := Sum([]float64{1, -1}, d, OfAdapter(a, source))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range off {
		m, err := l.Matrix()
		if err != nil {
			t.Fatal(err)
		}
		if m.spatial() { // the rank of a convolution is at most its number of channels
			continue
		}
		n++
		if most := m.largest(); most > 1e-5 {
			t.Errorf("%s: an element is off by %v", m.Name, most)
		}
	}
	if n == 0 || len(parts) < n {
		t.Errorf("%d layers, %d parts", n, len(parts))
	}
}

// TestClampIsTheSignedQuantile checks the interpolation against numbers worked by hand: of 0 … 10 the 0.95 quantile is 9.5.
func TestClampIsTheSignedQuantile(t *testing.T) {
	a, b := []float32{10, 0, 1, 2, 3}, []float32{4, 5, 6, 7, 8, 9}
	clamp(0.95, a, b)
	if a[0] != 9.5 || b[5] != 9 {
		t.Errorf("clamped to %v, %v", a, b)
	}
	c := []float32{-100, 1, 2}
	clamp(1, c)
	if c[0] != -2 {
		t.Errorf("the lower side is clamped to %v, want -2", c[0])
	}
}

// TestCurveFalls holds the curve against real extractions.
func TestCurveFalls(t *testing.T) {
	m := product(40, 30, 30, 0.8, 2)
	m.Shape, m.Key = []int{40, 30}, "lora_unet_x"
	curve, err := Curve(listOf(m), nil, 2, 8, 30)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range curve {
		a, parts, err := Extract(listOf(m), Extraction{Linear: Rule{Mode: Fixed, Value: float64(p.Rank)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := a.Tensors()
		if err != nil {
			t.Fatal(err)
		}
		bytes := 0
		for _, x := range stored {
			bytes += len(x.Data)
		}
		if math.Abs(parts[0].Error-p.Error) > 1e-3 || bytes != p.Bytes {
			t.Errorf("rank %d: the curve says %v in %d bytes, the extraction has %v in %d", p.Rank, p.Error, p.Bytes, parts[0].Error, bytes)
		}
	}
	if _, _, err := Extract(listOf(m), Extraction{}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("no rule: %v", err)
	}
	zero := m
	zero.values = make([]float32, len(m.values))
	if _, _, err := Extract(listOf(zero), Extraction{Linear: Rule{Mode: Fixed, Value: 4}}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("no difference: %v", err)
	}
}

// TestCurveOfAdapters holds the curve of a difference known by its factors against extractions: of a convolution with few channels, which has more
// ranks than these, and of fewer ranks than asked for.
func TestCurveOfAdapters(t *testing.T) {
	thin := func(key string, rank int, shape ...int) Matrix {
		m := thinProduct(shape[0], shape[1]*shape[2]*shape[3], rank, 3)
		m.Shape, m.Key = shape, key
		return m
	}
	d := listOf(thin("lora_unet_conv_in", 9, 40, 3, 3, 3), thin("lora_unet_x", 2, 24, 32, 1, 1))
	curve, err := Curve(d, nil, 1, 4, 8, 12)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range curve {
		rule := Rule{Mode: Fixed, Value: float64(p.Rank)}
		a, parts, err := Extract(d, Extraction{Linear: rule, Conv: rule}, nil)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := a.Tensors()
		if err != nil {
			t.Fatal(err)
		}
		bytes, missing, total := 0, 0.0, 0.0
		for _, x := range stored {
			bytes += len(x.Data)
		}
		for i, l := range d {
			m := matrix(t, Differences{l}, nil)
			missing, total = missing+parts[i].Error*parts[i].Error*m.energy(), total+m.energy()
		}
		if want := math.Sqrt(missing / total); math.Abs(p.Error-want) > 2e-3 || p.Bytes != bytes {
			t.Errorf("rank %d: the curve says %v in %d bytes, the extraction has %v in %d", p.Rank, p.Error, p.Bytes, want, bytes)
		}
	}
	if _, err := Curve(d, nil, 4, 0); !fault.Is(err, fault.Invalid) {
		t.Errorf("rank 0: %v", err)
	}
	zero := thin("lora_unet_x", 2, 24, 32, 1, 1)
	clear(zero.product.Left)
	if _, err := Curve(listOf(zero), nil, 4); !fault.Is(err, fault.Invalid) {
		t.Errorf("of nothing: %v", err)
	}
}

// TestWhole stores full differences: what their type rounds off is an error, and what it cannot hold a fault.
func TestWhole(t *testing.T) {
	m := random(20, 30, 1)
	m.Key = "lora_unet_x"
	e := Extraction{Linear: Rule{Mode: Whole}}
	a, parts, err := Extract(listOf(m), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	off := 0.0
	for i, v := range tensorOf(t, a, "lora_unet_x.diff") {
		off += math.Pow(float64(v-m.values[i]), 2)
	}
	if want := math.Sqrt(off / m.energy()); want == 0 || math.Abs(parts[0].Error-want) > 1e-9 || parts[0].Rank != 0 {
		t.Errorf("it is said to miss %v, and misses %v", parts[0].Error, want)
	}
	m.values[7] = 1e5
	if _, _, err := Extract(listOf(m), e, nil); !fault.Is(err, fault.Numeric) {
		t.Errorf("1e5 as F16: %v", err)
	}
	e.DType = checkpoint.BF16
	if _, _, err := Extract(listOf(m), e, nil); err != nil {
		t.Error(err)
	}
}

// TestClampIsAboveTheMiddle refuses quantiles that of values around 0 are negative: as a limit they would set all to one value.
func TestClampIsAboveTheMiddle(t *testing.T) {
	m := random(20, 30, 1)
	m.Key = "lora_unet_x"
	for clamp, want := range map[float64]bool{0: true, 0.99: true, 1: true, 0.1: false, 0.5: false, -0.1: false, 1.1: false, math.NaN(): false} {
		_, _, err := Extract(listOf(m), Extraction{Linear: Rule{Mode: Fixed, Value: 4}, Clamp: clamp}, nil)
		if want != (err == nil) || err != nil && !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", clamp, err)
		}
	}
}

// TestSumIsExact merges two adapters' differences and takes one away again; products stay products.
func TestSumIsExact(t *testing.T) {
	a, b := product(12, 9, 3, 0.5, 2), random(12, 9, 5)
	b.Name = a.Name
	sum, err := Sum([]float64{1, 0.5}, listOf(a), listOf(b))
	for i, v := range matrix(t, sum, err).Values() {
		if want := a.values[i] + b.values[i]/2; math.Abs(float64(v-want)) > 1e-6 {
			t.Fatalf("element %d is %v, want %v", i, v, want)
		}
	}
	if _, err := Sum([]float64{1}, listOf(a), listOf(b)); !fault.Is(err, fault.Invalid) {
		t.Errorf("one weight for two: %v", err)
	}
	if _, err := Sum([]float64{1, 1}, listOf(a), listOf(product(9, 12, 3, 0.5, 2))); !fault.Is(err, fault.Invalid) {
		t.Errorf("two shapes: %v", err)
	}
	thin := func(seed uint64) Matrix {
		return thinProduct(40, 30, 3, seed)
	}
	sum, err = Sum([]float64{2, -1}, listOf(thin(1)), listOf(thin(2)))
	m := matrix(t, sum, err)
	if m.product == nil || m.product.Rank != 6 {
		t.Errorf("the sum of two products of rank 3 is %+v", m.product)
	}
	none, err := Sum([]float64{1, -1}, listOf(thin(1)), listOf(thin(1)))
	if s, err := Of(matrix(t, none, err)); err != nil || s.Energy != 0 || s.Effective() != 0 {
		t.Errorf("a product less itself has the values %v, %v", s.Values, err)
	}
	near := thin(1)
	near.product.Left[5] *= 1 + 1e-5
	some, err := Sum([]float64{1, -1}, listOf(thin(1)), listOf(near))
	if s, err := Of(matrix(t, some, err)); err != nil || s.RankAt(0.999) != 1 {
		t.Errorf("a product less one of which one number differs has the values %v, %v", s.Values, err)
	}
	x, y := thin(1).Values(), thin(2).Values()
	for i, v := range m.Values() {
		if want := 2*x[i] - y[i]; math.Abs(float64(v-want)) > 1e-5 {
			t.Fatalf("element %d is %v, want %v", i, v, want)
		}
	}
}
