package sample

import (
	"context"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/sd"
)

// The files that a training saved are drawn with one program for each network, which keeps none of them alive, and each has its own effect.
func TestSavedAdaptersShareAProgram(t *testing.T) {
	m := tiny(t, sd.Epsilon)
	spec := adapter.Spec{Kind: adapter.LoRA, Dim: 2, Preset: "attn-only"}
	var list []Named[*adapter.Adapter]
	for epoch := range 3 {
		a, err := adapter.New(m, spec, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range a.Params.Names() {
			values := make([]float32, a.Params.Get(name).Size())
			GoNoise(int64(100*epoch + i)).Field(values)
			a.Params.Set(name, tensors.FromFlatDataAndDimensions(values, a.Params.Shape(name)...))
		}
		path := filepath.Join(t.TempDir(), "a.safetensors")
		if err := a.Save(path, map[string]string{"ss_epoch": string(rune('0' + epoch))}); err != nil {
			t.Fatal(err)
		}
		loaded, err := adapter.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Named[*adapter.Adapter]{Name: string(rune('1' + epoch)), Of: loaded})
	}
	before := applying()
	g := Grid{Base: Request{Model: m, Options: Options{Prompt: "a cat", Steps: 1, CFG: 1}}, X: Adapters(list...)}
	s, err := g.Draw(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := applying() - before; n != 2 {
		t.Errorf("%d programs, want one for the UNet and one for the text encoder", n)
	}
	for i := range list {
		alone := Grid{Base: Request{Model: m, Adapters: []Applied{At(list[i].Of, 1)}, Options: g.Base.Options}}
		one, err := alone.Draw(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(pix(one.Cell(0, 0).Image), pix(s.Cell(i, 0).Image)) || i > 0 && reflect.DeepEqual(pix(s.Cell(i, 0).Image), pix(s.Cell(0, 0).Image)) {
			t.Errorf("file %d has not its own effect", i+1)
		}
	}
	gone := weak.Make(list[0].Of)
	list, g, s = nil, Grid{}, nil
	for range 3 {
		runtime.GC()
	}
	if gone.Value() != nil {
		t.Error("an adapter lives on though nothing uses it")
	}
}

// applying counts the programs that apply adapters.
func applying() (n int) {
	programs.Range(func(key, _ any) bool {
		if strings.HasPrefix(key.(string), "apply ") {
			n++
		}
		return true
	})
	return n
}
