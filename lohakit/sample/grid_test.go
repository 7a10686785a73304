package sample

import (
	"context"
	"image"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// TestGridWithAdapter draws with and without an adapter: a new one changes nothing, a trained one does, at weight 0 not.
func TestGridWithAdapter(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	spec := adapter.Default()
	spec.Dim, spec.ConvDim, spec.Preset = 2, 0, "attn-only"
	fresh, err := adapter.New(m, spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	trained, err := adapter.New(m, spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	noise := GoNoise(1)
	for _, name := range trained.Params.Names() {
		shape := trained.Params.Shape(name)
		values := make([]float32, trained.Params.Get(name).Size())
		noise.Field(values)
		trained.Params.Set(name, tensors.FromFlatDataAndDimensions(values, shape...))
	}
	g := Grid{Base: Request{Model: m, Options: Options{Prompt: "a cat", Steps: 2, CFG: 3}}, Y: Seeds(1, 2),
		X: Cross(Adapters(Named[*adapter.Adapter]{"new", fresh}, Named[*adapter.Adapter]{"trained", trained}), Weights(0, 1))}
	s, err := g.Draw(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for row := range 2 {
		plain := pix(s.Cell(0, row).Image)
		for column, same := range []bool{true, true, true, false} {
			if got := pix(s.Cell(column, row).Image); reflect.DeepEqual(got, plain) != same {
				t.Errorf("%s, %s: the image is as without an adapter: %v, want %v", s.Columns[column], s.Rows[row], !same, same)
			}
		}
	}
	if s.Cell(0, 0).Info.Seed != 1 || s.Cell(0, 1).Info.Seed != 2 || len(s.Cell(1, 0).Info.Adapters) != 1 {
		t.Errorf("infotexts %v, %v", s.Cell(0, 0).Info, s.Cell(1, 0).Info)
	}
}

// An adapter for models of another size is refused before anything is drawn, wherever it stands among the requests' adapters.
func TestAdaptersAreMatchedFirst(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	config := m.Config
	config.UNet.Channels = []int{32, 64}
	wider, err := sd.New(config, 1)
	if err != nil {
		t.Fatal(err)
	}
	spec := adapter.Default()
	spec.Dim, spec.ConvDim, spec.Preset = 2, 0, "attn-only"
	made := func(m *sd.Model) *adapter.Adapter {
		a, err := adapter.New(m, spec, 1)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	fits, other := made(m), made(wider)
	o := Options{Steps: 1}
	for name, requests := range map[string][]Request{
		"the second of one request": {{Model: m, Adapters: []Applied{At(fits, 1), At(other, 1)}, Options: o}},
		"of the second request":     {{Model: m, Options: o}, {Model: m, Adapters: []Applied{At(other, 1)}, Options: o}},
		"named in a prompt": {{Model: m, Options: o}, {Model: m, Library: map[string]*adapter.Adapter{"x": other},
			Options: Options{Steps: 1, Prompt: "<lora:x:1>"}}},
	} {
		drawn := 0
		err := Draw(context.Background(), requests, func(int, image.Image) { drawn++ })
		if !fault.Is(err, fault.Invalid) || drawn > 0 {
			t.Errorf("%s: %d images are drawn, error %v", name, drawn, err)
		}
		if _, _, err := requests[len(requests)-1].Info(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: Info gives %v", name, err)
		}
	}
}

func TestAxesAreChecked(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	base := Request{Model: m, Options: Options{Prompt: "a cat"}}
	for name, axis := range map[string]Axis{
		"search not there": PromptSR("dog", "fox"), "no adapter": Weights(0, 1), "steps below 1": StepCounts(-1), "sampler": SamplerNames("Magic"),
		"no values":              Seeds(),
		"steps without adapters": Checkpoints([]int{1, 2}, nil), "too many": Cross(Seeds(make([]int64, 100)...), Seeds(make([]int64, 100)...)),
	} {
		if _, err := (Grid{Base: base, Y: axis}).Draw(context.Background(), nil); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.NotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A grid whose picture would not fit into memory is refused before hours are spent on its cells.
func TestLargeGridIsRefused(t *testing.T) {
	base := Request{Model: tiny(t, sd.Epsilon), Options: Options{Steps: 1, Width: 4096, Height: 4096}}
	drawn := false
	_, err := Grid{Base: base, X: Seeds(make([]int64, 17)...)}.Draw(context.Background(), func(*Sheet) { drawn = true })
	if drawn || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "268 million pixels") {
		t.Errorf("seventeen cells of 4096 × 4096 pixels: %v", err)
	}
}

// TestAxesSet checks what each axis changes, and that the grid's own request stays as it is.
func TestAxesSet(t *testing.T) {
	a, b := new(adapter.Adapter), new(adapter.Adapter)
	base := Request{Adapters: []Applied{At(a, 1)}, Options: Options{Prompt: "a cat and a cat", Negative: "cat"}}
	r := base
	for _, axis := range []struct {
		Axis
		i int
	}{{PromptSR("cat", "dog"), 1}, {Weights(0.5, 0.25), 1}, {Cross(Seeds(4, 5), CFGs(1, 2, 3)), 5}, {ClipSkips(2), 0},
		{Checkpoints([]int{100}, []*adapter.Adapter{b}), 0}} {
		if err := axis.set(&r, axis.i); err != nil {
			t.Fatal(err)
		}
	}
	want := Request{Adapters: []Applied{At(a, 0.25), At(b, 1)},
		Options: Options{Prompt: "a dog and a dog", Negative: "dog", Seed: 5, CFG: 3, ClipSkip: 2}}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got %+v, want %+v", r, want)
	}
	if base.Adapters[0].UNet != 1 {
		t.Error("the grid's own adapters changed")
	}
}

// TestRequestInfo checks what is said of an image before it is drawn, through its PNG and back to the options.
func TestRequestInfo(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	info, slips, err := Request{Model: m, Options: Options{Prompt: "a (cat", Negative: "b)", Seed: 3, Steps: 5, Sampler: "euler_a", Eta: -1}}.Info()
	if err != nil || len(slips) != 2 || info.Sampler != "Euler a" || info.Width != 16 {
		t.Fatalf("%+v, slips %q, %v", info, slips, err)
	}
	back, err := ParseInfo(info.String())
	if err != nil || !reflect.DeepEqual(back.Options(), Options{Prompt: "a (cat", Negative: "b)", Seed: 3, Steps: 5, CFG: 7, Sampler: "Euler a", Width: 16,
		Height: 16, ClipSkip: 1, Eta: -1, Noise: "go"}) {
		t.Errorf("read back as %+v, %v", back.Options(), err)
	}
}

func TestValueLists(t *testing.T) {
	for text, want := range map[string][]float64{
		"1, 2,5": {1, 2, 5}, "1-5": {1, 2, 3, 4, 5}, "1-5(+2)": {1, 3, 5}, "1-10[4]": {1, 4, 7, 10}, "10-6(-2)": {10, 8, 6},
		"0-1[3], 7": {0, .5, 1, 7}, "-1": {-1}, "3-1": {3, 2, 1}, "5-5": {5}, "5-5[2]": {5, 5}, "0.1 - 0.3 (+0.1)": {.1, .2, .3}, "2-9[1]": {2},
	} {
		got, err := Floats(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a", "1-5(-1)", "1-2(+0)", "1..2-3", "1-2[0]", "5-5(+0)", "1-2(+1..)", "NaN", "-1e999",
		strings.Repeat("9", 308) + "--" + strings.Repeat("9", 308) + "[3]", "1-" + strings.Repeat("9", 400)} {
		if got, err := Floats(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.40q is %v, %v; want a fault", text, got, err)
		}
	}
	if v, err := Floats("0-1[50]"); err != nil || len(v) != 50 || v[49] != 1 {
		t.Errorf("fifty values up to 1: %v, %v", v, err)
	}
}

// A list of too many values is refused with the limit, however it says so, and before it takes memory.
func TestLongValueLists(t *testing.T) {
	for _, text := range []string{"1-1000000000 (+0.0001)", "1-9999999", "1-2[99999999999]", "1, 1-2[99999999999999999999]", "1-2[" + strings.Repeat("9", 400) + "]",
		"1-" + strings.Repeat("9", 300), "1-999, 1-2", strings.Repeat("1,", 1000) + "1"} {
		for name, read := range map[string]func() (int, error){
			"Floats": func() (int, error) { v, err := Floats(text); return len(v), err },
			"Ints":   func() (int, error) { v, err := Ints(text); return len(v), err },
		} {
			if n, err := read(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "more than 1000 values") || len(err.Error()) > 500 {
				t.Errorf("%s of %.40q gives %d values, %.200v", name, text, n, err)
			}
		}
	}
}

func TestWholeValues(t *testing.T) {
	for text, want := range map[string][]int{"9007199254740993, -1": {9007199254740993, -1}, "1-10[5]": {1, 3, 5, 7, 10}, "3-1": {3, 2, 1}, "7.0": {7}} {
		if got, err := Ints(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"1.5", "99999999999999999999", "1e300", "1-3(+0.5)"} {
		if got, err := Ints(text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q is %v, %v; want a fault", text, got, err)
		}
	}
}
