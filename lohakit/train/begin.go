package train

import (
	"fmt"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// base returns the model that is trained on: the given one, with BaseWeights merged into a copy of it, one after another.
func (c Config) base(given *sd.Model) (*sd.Model, error) {
	if len(c.BaseWeights) == 0 {
		return given, nil
	}
	merged := given.Shared()
	for i, path := range c.BaseWeights {
		a, err := adapter.Load(path)
		if err != nil {
			return nil, err
		}
		strength := c.baseStrength(i)
		if err := a.Merge(merged, strength, strength); err != nil {
			return nil, err
		}
	}
	return merged, nil
}

// baseStrength is the strength of one of BaseWeights.
func (c Config) baseStrength(i int) float64 {
	if i < len(c.BaseWeightsMultiplier) {
		return c.BaseWeightsMultiplier[i]
	}
	return 1
}

// begin returns the adapter that is trained: none if only words are, a new one of Spec, with Weights begun as that file has it, and with
// DimFromWeights the file's own. c.Spec then tells its kind and dims. warnings say where file and Spec part.
func (c *Config) begin(m *sd.Model) (a *adapter.Adapter, warnings []string, err error) {
	if c.UNetOnly && c.TextOnly {
		return adapter.Empty(c.Spec), nil, nil
	}
	layers := adapter.Layers(m.Config)
	spec, err := c.plannedSpec(layers)
	if err != nil {
		return nil, nil, err
	}
	if c.Weights == "" {
		a, err = adapter.New(m, spec, c.Seed)
		return a, nil, err
	}
	file, err := adapter.Load(c.Weights)
	if err != nil {
		return nil, nil, err
	}
	if err := file.Match(m); err != nil {
		return nil, nil, err
	}
	if c.DimFromWeights {
		file.Spec = c.dropping(file.Spec)
		if c.Spec = file.Spec; c.Spec.Check() != nil {
			return nil, nil, c.Spec.Check()
		}
		left, err := c.leftOut(layers)
		if err != nil {
			return nil, nil, err
		}
		file.Only(func(layer string) bool { return !left[layer] && !c.leavesOut(layer) })
		return file, nil, nil
	}
	if a, err = adapter.New(m, spec, c.Seed); err != nil {
		return nil, nil, err
	}
	lacking, extra, err := a.Take(file)
	if err != nil {
		return nil, nil, err
	}
	if len(lacking) == len(a.Names()) {
		return nil, nil, fault.New(fault.Invalid, "configure training", "Weights", "%s has none of the %d layers to be adapted", c.Weights, len(lacking)).
			Fix("choose another Preset, or set DimFromWeights")
	}
	if n := len(lacking); n > 0 {
		warnings = append(warnings, fmt.Sprintf("%d layers begin anew, for %s does not have them: %s%s", n, c.Weights, lacking[0], more(n-1)))
	}
	if n := len(extra); n > 0 {
		warnings = append(warnings, fmt.Sprintf("%d layers of %s are left out, for the Spec does not adapt them: %s%s", n, c.Weights, extra[0], more(n-1)))
	}
	a.Embeddings = file.Embeddings
	return a, warnings, nil
}

// dropping is the Spec of a file, which says nothing of dropout, with that of c.
func (c Config) dropping(file adapter.Spec) adapter.Spec {
	file.ModuleDropout, file.NeuronDropout = c.ModuleDropout, c.NeuronDropout
	file.RankDropout, file.RankDropoutScale, file.RankDropoutBySample = c.RankDropout, c.RankDropoutScale, c.RankDropoutBySample
	file.Dim = max(file.Dim, 1) // kinds without a rank have none
	return file
}

// more stands for what a list goes on with.
func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}
