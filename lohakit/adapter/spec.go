package adapter

import (
	"math"
	"path"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Kind is a way to write the difference of a weight with few parameters.
type Kind string

// The kinds. In every one of them a new adapter changes nothing.
const (
	LoHa  Kind = "loha"  // the elementwise product of two low-rank products; the default
	LoCon Kind = "locon" // a low-rank product, for convolutions too
	LoRA  Kind = "lora"  // LoCon under its older name
	LoKr  Kind = "lokr"  // a Kronecker product
	IA3   Kind = "ia3"   // a factor for every output or input channel
	Full  Kind = "full"  // the difference itself, of weights and biases
)

// Kinds lists all kinds.
func Kinds() []Kind { return []Kind{LoHa, LoCon, LoRA, LoKr, IA3, Full} }

// Init is a rule for the random values a new adapter starts from.
type Init string

// The rules differ for LoHa: w1_a is drawn with deviation 0.1 and w2_b with 1 today, the other way round, 1 and 0.01, by LyCORIS
// 0.1.2 to 0.1.7; and for LoKr, whose parts were drawn normally then and uniformly now.
const (
	InitToday Init = "today"
	Init2023  Init = "2023"
)

// Spec describes an adapter to be made. The zero value is not useful: start from Default.
type Spec struct {
	Kind  Kind
	Dim   int     // rank of linear layers and 1×1 convolutions, at least 1; a LoHa's difference has rank up to Dim²
	Alpha float64 // the difference is scaled by Alpha/Dim; 0 means Dim, a scale of 1

	ConvDim   int     // rank of larger convolutions; 0 leaves them alone
	ConvAlpha float64 // Alpha of larger convolutions; 0 means ConvDim
	Tucker    bool    // give larger convolutions a small core and a factor for each of in and out channels ("cp decomposition")

	Preset string // which layers: one of Presets; "" means "full"
	Rules  []Rule // exceptions to the above; of several that match a layer, the first counts

	BlockDims       []int     // Dim of each of the UNet's blocks (see Blocks), 25 in Stable Diffusion 1.x; 0 leaves a block alone; none: Dim (kohya's block_dims)
	BlockAlphas     []float64 // Alpha of each; none: Alpha
	ConvBlockDims   []int     // ConvDim of each; none: ConvDim
	ConvBlockAlphas []float64 // ConvAlpha of each; none: ConvAlpha

	RSLoRA      bool // scale by Alpha/√Dim
	DoRA        bool // train the length of every output channel's weight beside its direction; not for IA3 and Full
	DoRAOnInput bool // of every input channel's instead, as LyCORIS before 3.0
	TrainNorm   bool // adapt normalisation layers too

	Factor        int  // LoKr: the size of the smaller Kronecker factor; 0 takes the two sizes closest to each other
	DecomposeBoth bool // LoKr: write the smaller factor as a product too
	FullMatrix    bool // LoKr: write no factor as a product

	UnbalancedFactorization bool // LoKr: give the smaller factor the larger part of the output channels
	UseScalar               bool // LoHa, LoRA, LoCon, LoKr: draw every tensor, and train a factor on each layer's difference that begins at 0

	ModuleDropout       float64 // probability of leaving out a layer's difference in a step, 0 ≤ p < 1
	RankDropout         float64 // probability of leaving out an output channel's difference in a step, 0 ≤ p < 1; not in (IA)³ (LyCORIS)
	RankDropoutScale    bool    // scale the rest up by the share that stayed
	RankDropoutBySample bool    // LoRA, LoCon: leave out ranks instead, for every sample others, and scale the rest up by 1/(1−p) (kohya's networks.lora)
	NeuronDropout       float64 // LoRA, LoCon: probability of leaving out an activation between the factors, the rest scaled up; 0 ≤ p < 1 (kohya's network_dropout)

	Init   Init   // "" means "today"
	Compat string // "", or a past behaviour of LoHa: CompatGradient, CompatLyCORIS012
}

// Rule makes an exception for layers: a pattern as in fnmatch (*, ?, [a-z], [!a-z]) over the diffusers module path ("mid_block.*",
// "*.to_k") or over the layer's name in files ("lora_te_*"); of several, joined by " & ", all must match.
type Rule struct {
	Match string
	Skip  bool    // do not adapt the layer
	Kind  Kind    // "" keeps the Spec's
	Dim   int     // 0 keeps
	Alpha float64 // 0 keeps
}

// patterns are the rule's, as path.Match takes them: layers' names have no "/", so that its * stops at nothing.
func (r Rule) patterns() []string {
	return strings.Split(strings.ReplaceAll(r.Match, "[!", "[^"), " & ")
}

func (r Rule) matches(l Layer) bool {
	return !slices.ContainsFunc(r.patterns(), func(pattern string) bool {
		byPath, _ := path.Match(pattern, l.Path) // Check has seen to its syntax
		byName, _ := path.Match(pattern, l.Name)
		return !byPath && !byName
	})
}

// matchesOne returns a fault for a rule of which no pattern matches any layer: a slip of the pen, most likely.
func (r Rule) matchesOne(layers []Layer) error {
	var known []string
	for _, l := range layers {
		if slices.ContainsFunc(r.patterns(), func(pattern string) bool { return Rule{Match: pattern}.matches(l) }) {
			return nil
		}
		known = append(known, l.Path)
	}
	return checkpoint.Unknown("adapter Rules", "layer", r.Match, known)
}

// Default is the adapter of the experiments this kit is built around: LoHa 8/4, alpha 1, Tucker convolutions.
func Default() Spec {
	return Spec{Kind: LoHa, Dim: 8, Alpha: 1, ConvDim: 4, ConvAlpha: 1, Tucker: true, Preset: "full"}
}

// Check returns the first fault in s, naming the field.
func (s Spec) Check() error {
	bad := func(field, format string, args ...any) *fault.Error {
		return fault.New(fault.Invalid, "adapter", field, format, args...)
	}
	if !slices.Contains(Kinds(), s.Kind) {
		return bad("Kind", "%q is not a kind", s.Kind).Fix("use one of %v", Kinds())
	}
	if s.Dim < 1 || s.ConvDim < 0 {
		return bad("Dim", "%d, ConvDim %d: too small", s.Dim, s.ConvDim).Fix("use 8 and 4 for a LoHa")
	}
	for field, v := range map[string]float64{"Alpha": s.Alpha, "ConvAlpha": s.ConvAlpha} {
		if v < 0 || math.IsInf(v, 0) || math.IsNaN(v) {
			return bad(field, "%v is not a finite positive number", v).Fix("use 1, or 0 for the value of Dim")
		}
	}
	for field, p := range map[string]float64{"RankDropout": s.RankDropout, "ModuleDropout": s.ModuleDropout, "NeuronDropout": s.NeuronDropout} {
		if !(p >= 0 && p < 1) {
			return bad(field, "%v is not a probability below 1", p)
		}
	}
	for field, list := range map[string][]int{"BlockDims": s.BlockDims, "ConvBlockDims": s.ConvBlockDims} {
		if i := slices.IndexFunc(list, func(dim int) bool { return dim < 0 }); i >= 0 {
			return bad(field, "%d, of block %d, is negative", list[i], i).Fix("use 0 to leave a block alone")
		}
	}
	for field, list := range map[string][]float64{"BlockAlphas": s.BlockAlphas, "ConvBlockAlphas": s.ConvBlockAlphas} {
		if i := slices.IndexFunc(list, func(alpha float64) bool { return !(alpha >= 0) || math.IsInf(alpha, 0) }); i >= 0 {
			return bad(field, "%v, of block %d, is not a finite positive number", list[i], i).Fix("use 1, or 0 for the value of the block's dim")
		}
	}
	if _, ok := presets[s.preset()]; !ok {
		return bad("Preset", "%q is not a preset", s.Preset).Fix("use one of %s", strings.Join(Presets(), ", "))
	}
	if s.Init != "" && s.Init != InitToday && s.Init != Init2023 {
		return bad("Init", "%q is not a rule", s.Init).Fix("use today or 2023")
	}
	if s.Compat != "" && s.Compat != CompatGradient && s.Compat != CompatLyCORIS012 {
		return bad("Compat", "%q is not a mode", s.Compat).Fix("use %q, %q or nothing", CompatGradient, CompatLyCORIS012)
	}
	if s.UseScalar && s.Init == Init2023 {
		return bad("UseScalar", "is younger than the 2023 rule of Init").Fix("leave Init empty")
	}
	if s.DoRA && (s.Kind == IA3 || s.Kind == Full) {
		return bad("DoRA", "a %s has no direction to decompose", s.Kind)
	}
	if s.between() && (s.Kind != LoRA && s.Kind != LoCon || s.DoRA) {
		return bad("NeuronDropout", "acts between the two factors of a plain LoRA or LoCon, and so does RankDropoutBySample").
			Fix("use RankDropout alone, or ModuleDropout")
	}
	if s.Factor < 0 {
		return bad("Factor", "%d is negative", s.Factor).Fix("use 0 for the sizes closest to each other")
	}
	for _, r := range s.Rules {
		for _, pattern := range r.patterns() {
			if _, err := path.Match(pattern, ""); err != nil {
				return bad("Rules", "%q is not a pattern: %w", pattern, err)
			}
		}
		if r.Kind != "" && !slices.Contains(Kinds(), r.Kind) || r.Dim < 0 || !(r.Alpha >= 0) {
			return bad("Rules", "rule %q: kind %q, dim %d, alpha %v", r.Match, r.Kind, r.Dim, r.Alpha)
		}
	}
	return nil
}

func (s Spec) preset() string {
	if s.Preset == "" {
		return "full"
	}
	return s.Preset
}

// layerSpec is what a Spec says of one layer.
type layerSpec struct {
	Spec
	dim    int
	alpha  float64 // as stored: the difference is scaled by alpha/dim
	tucker bool
}

// forLayer resolves dim, alpha, Tucker form and rules for one layer; ok is false if the layer is to be left alone.
func (s Spec) forLayer(l Layer) (ls layerSpec, ok bool) {
	ls = layerSpec{Spec: s, dim: s.Dim, alpha: s.Alpha}
	if l.spatial() {
		ls.dim, ls.alpha, ls.tucker = s.ConvDim, s.ConvAlpha, s.Tucker
	}
	if !ls.ofBlock(l) {
		return ls, false
	}
	for _, r := range s.Rules {
		if !r.matches(l) {
			continue
		}
		if r.Skip {
			return ls, false
		}
		if r.Kind != "" {
			ls.Kind = r.Kind
		}
		if r.Dim > 0 {
			ls.dim = r.Dim
		}
		if r.Alpha > 0 {
			ls.alpha = r.Alpha
		}
		break
	}
	if ls.Kind == LoRA {
		ls.Kind = LoCon
	}
	if ls.dim == 0 && !l.norm() && ls.Kind != IA3 && ls.Kind != Full {
		return ls, false
	}
	if ls.alpha == 0 {
		ls.alpha = float64(ls.dim)
	}
	if s.RSLoRA {
		ls.alpha *= math.Sqrt(float64(ls.dim))
	}
	return ls, true
}
