package sd

import (
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
)

// The parameter count of Stable Diffusion 1.x's UNet is published; so is its number of tensors.
func TestShapesOfSD1(t *testing.T) {
	shapes := SD1().Shapes()
	n := 0
	for _, s := range shapes {
		n += size(s.Dims)
	}
	if n != 859_520_964 || len(shapes) != 686 {
		t.Errorf("%d parameters in %d tensors, want 859520964 in 686", n, len(shapes))
	}
}

func TestUNetAgainstReference(t *testing.T) {
	compareUNet(t, "unet.safetensors", 2, 4)
}

// compareUNet compares the output and the gradients with respect to inputs and to one weight of each kind.
func compareUNet(t *testing.T, file string, heads, groups int) {
	recorded, p := fixture(t, file, "weights.")
	c, err := UNetConfigOf(p, heads, groups)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for name := range recorded {
		if weight, ok := strings.CutPrefix(name, "gradient.weights."); ok {
			kinds = append(kinds, weight)
		}
	}
	slices.Sort(kinds) // the same program every time is compiled once
	out := evaluate(t, p, func(w Weights, in []*Node) []*Node {
		x, context := in[0], in[2]
		y := UNet(c, w, x, in[1], context)
		wrt := []*Node{x, context}
		for _, name := range kinds {
			wrt = append(wrt, w.Get(name))
		}
		return append(Gradient(ReduceAllSum(Mul(y, in[3])), wrt...), y)
	}, recorded["x"], recorded["t"], recorded["context"], recorded["projection"])
	compare(t, "gradient.x", out[0], recorded["gradient.x"])
	compare(t, "gradient.context", out[1], recorded["gradient.context"])
	for i, name := range kinds {
		compare(t, name, out[2+i], recorded["gradient.weights."+name])
	}
	compare(t, "out", out[len(out)-1], recorded["out"])
}

func narrow() UNetConfig {
	return UNetConfig{In: 4, Out: 4, Channels: []int{4, 8}, Layers: 1, Attention: []bool{true, false}, CrossDim: 6, Heads: 2}
}

// Every size is read back from the shapes, and the same seed gives the same weights whatever else is drawn.
func TestUNetConfigOf(t *testing.T) {
	c := narrow()
	p := InitUNet(c, 5)
	read, err := UNetConfigOf(p, c.Heads, c.Groups)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(read.Shapes()), p.Len(); got != want || read.CrossDim != c.CrossDim || read.Layers != c.Layers {
		t.Errorf("read %+v, want %+v", read, c)
	}
	deeper := c
	deeper.Layers++
	a, b := values(t, p.Get("conv_out.weight")), values(t, InitUNet(deeper, 5).Get("conv_out.weight"))
	for i := range a {
		if a[i] != b[i] {
			t.Fatal("a deeper UNet draws another conv_out")
		}
	}
}

func TestUNetConfigOfBadFiles(t *testing.T) {
	c := narrow()
	without := func(name string) *Params {
		p := NewParams()
		full := InitUNet(c, 1)
		for _, n := range full.Names() {
			if n != name {
				p.Set(n, full.Get(n))
			}
		}
		return p
	}
	const query = "up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight"
	for _, name := range []string{"conv_in.weight", "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", query} {
		_, err := UNetConfigOf(without(name), c.Heads, 0)
		if !fault.Is(err, fault.NotExist) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	p := InitUNet(c, 1)
	p.Set(query, tensors.FromFlatDataAndDimensions(make([]float32, 8), 2, 4))
	if _, err := UNetConfigOf(p, c.Heads, 0); !fault.Is(err, fault.Unsupported) {
		t.Errorf("a query matrix of the wrong shape: %v", err)
	}
	if _, err := UNetConfigOf(InitUNet(c, 1), 3, 0); !fault.Is(err, fault.Invalid) {
		t.Errorf("3 heads over 4 channels: %v", err)
	}
}
