package sd

import (
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
)

// bfloatTolerance is the largest relative error allowed of bfloat16 outputs. One rounding to its 8 bits errs by up to 0.4%, and the
// errors of the tiny networks' dozens of layers add up as their square root does.
const bfloatTolerance = 0.03

// In bfloat16 the networks give the float32 reference's outputs, less exactly.
func TestBFloat16AgainstReference(t *testing.T) {
	half := func(w Weights) Weights {
		return Weights{Get: func(name string) *Node { return ConvertDType(w.Get(name), dtypes.BFloat16) }}
	}
	lower := func(x *Node) *Node { return ConvertDType(x, dtypes.BFloat16) }
	check := func(name string, p *Params, graph func(w Weights, in []*Node) *Node, want any, in ...any) {
		t.Helper()
		got := evaluate(t, p, func(w Weights, in []*Node) []*Node {
			out := graph(half(w), in)
			if out.DType() != dtypes.BFloat16 {
				t.Errorf("%s: output is %v", name, out.DType())
			}
			// The last input is the reference.
			ref := in[len(in)-1]
			diff := Sub(ConvertDType(out, dtypes.Float32), ref)
			return []*Node{Sqrt(Div(ReduceAllSum(Square(diff)), ReduceAllSum(Square(ref))))}
		}, append(in, want)...)
		d := values(t, got[0])[0]
		t.Logf("%s: relative error %.2g", name, d)
		if !(d < bfloatTolerance) {
			t.Errorf("%s: relative error %.2g", name, d)
		}
	}

	text, p, c := recordedText(t, "text.safetensors", 4)
	check("text encoder", p, func(w Weights, in []*Node) *Node { return TextEncoder(c, w, in[0], 1) },
		text["states.1.1"], text["ids.1"])

	vae, m := recordedVAE(t, "vae.safetensors", 8)
	check("decode", m.VAE, func(w Weights, in []*Node) *Node { return Decode(m.Config.VAE, w, lower(in[0])) },
		vae["decoded"], vae["latents"])

	unet, p := fixture(t, "unet.safetensors", "weights.")
	u, err := UNetConfigOf(p, 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	check("UNet", p, func(w Weights, in []*Node) *Node { return UNet(u, w, lower(in[0]), in[1], lower(in[2])) },
		unet["out"], unet["x"], unet["t"], unet["context"])
}
