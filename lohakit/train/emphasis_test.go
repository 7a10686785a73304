package train

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Captions with weights have the tokens and factors that kohya's trainer gives them.
func TestWeightedTokensAreKohyas(t *testing.T) {
	data, err := os.ReadFile("testdata/emphasis.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded []struct {
		Caption string
		Length  int
		IDs     [][]int32
		Weights [][]float32
	}
	if err := json.Unmarshal(data, &recorded); err != nil || len(recorded) < 16 {
		t.Fatal(len(recorded), err)
	}
	r := &Run{Config: Config{WeightedCaptions: true}, words: sd.NewLexicon()}
	for _, want := range recorded {
		tokens, factors := r.tokens(want.Caption)
		ids, err := sd.Chunk(tokens, want.Length)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ids, slices.Concat(want.IDs...)) {
			t.Errorf("%q, %d tokens: %v", want.Caption, want.Length, ids)
		}
		got := padded(factors, want.Length)
		for i, chunk := range want.Weights {
			for j, w := range chunk[1:76] {
				if g := got[75*i+j+1]; math.Abs(float64(g-w)) > 1e-6 {
					t.Errorf("%q, %d tokens: token %d weighs %v, reference %v", want.Caption, want.Length, 75*i+j, g, w)
				}
			}
		}
		if got[0] != 1 || got[len(got)-1] != 1 {
			t.Errorf("%q: BOS and EOS weigh %v and %v", want.Caption, got[0], got[len(got)-1])
		}
	}
	r.Config.WeightedCaptions = false
	if _, factors := r.tokens("(a:1.3)"); factors != nil {
		t.Error("weights are read although nobody asked")
	}
}

// They multiply the text encoder's states as in kohya's trainer, and leave the mean as it comes out.
func TestWeightedStatesAreKohyas(t *testing.T) {
	f, m := openFixture(t, "testdata/emphasis.safetensors"), openFixture(t, "testdata/trace.safetensors").model()
	for _, chunks := range []int{1, 2} {
		var ids []int32
		for _, row := range f.ints(fmt.Sprint(chunks, ".rows")) {
			ids = append(ids, tokens[row])
		}
		weights, _ := f.floats(fmt.Sprint(chunks, ".weights"))
		var emphasis []float32
		for sample := range 2 {
			var factors []float32
			for chunk := range chunks {
				factors = append(factors, weights[(sample*chunks+chunk)*77:][1:76]...)
			}
			emphasis = append(emphasis, padded(factors, 75*chunks)...)
		}
		n := &network{model: m.Config, cfg: Config{WeightedCaptions: true, ClipSkip: 1}}
		program := xla.Compile("weighted captions", func(in []*Node) []*Node {
			frozen, in := cut(in, m.Text.Len())
			return []*Node{n.context(m.Text.Bind(frozen), in[0], in[1])}
		})
		out, err := program.Run(m.Text.Inputs(), tensors.FromFlatDataAndDimensions(ids, 2, 77*chunks), tensors.FromFlatDataAndDimensions(emphasis, 2, 75*chunks+2))
		if err != nil {
			t.Fatal(err)
		}
		f.near(fmt.Sprint(chunks, ".states"), out[0])
	}
}
