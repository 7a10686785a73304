package adapter

import (
	"maps"
	"math"
	"slices"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Past behaviours of LoHa in Tucker form, for Spec.Compat: to repeat an old training faithfully, or to compare with its program.
const (
	// CompatGradient uses the gradient of LyCORIS from 0.1.0 to (at least) 3.2.0. Its backward pass contracts the gradient of hada_w1_a
	// with the core and factor of the other product, and the same for hada_w2_a, which is not the derivative. What is computed
	// forwards is the same, so files are not affected.
	CompatGradient = "lycoris-gradient"

	// CompatLyCORIS012 is LyCORIS from 0.1.0 (2023-03-12) until 2023-10-13: besides CompatGradient, hada_t1 serves both products, and
	// hada_t2 keeps its random start. The file, read by any other program, then applies another difference to the larger
	// convolutions than the one that was trained.
	CompatLyCORIS012 = "lycoris-0.1.2"
)

// CoreReport is what DetectUntrainedCores found out about an adapter's Tucker cores.
type CoreReport struct {
	Modules  int     // LoHa modules with cores
	T1, T2   float64 // standard deviations of all hada_t1 and of all hada_t2 entries; both start at 0.1
	Kurtosis float64 // of hada_t2; 3 for the normal distribution it starts from
	Suspect  bool    // hada_t1 has been trained and hada_t2 has not: Repair restores the trained function
}

// DetectUntrainedCores tells whether the adapter comes from the trainers CompatLyCORIS012 describes. It pools the cores of all modules
// and asks whether hada_t2 still looks like its start, within 5 standard errors of deviation and kurtosis, while hada_t1 does not.
func (a *Adapter) DetectUntrainedCores() (CoreReport, error) {
	var r CoreReport
	var t1, t2 []float32
	for _, name := range a.order {
		if a.modules[name].has["hada_t1"] == nil {
			continue
		}
		r.Modules++
		for suffix, into := range map[string]*[]float32{".hada_t1": &t1, ".hada_t2": &t2} {
			v, err := a.values(name + suffix)
			if err != nil {
				return r, err
			}
			*into = append(*into, v...)
		}
	}
	if r.Modules == 0 {
		return r, nil
	}
	r.T1, _ = moments(t1)
	r.T2, r.Kurtosis = moments(t2)
	n := float64(len(t2))
	deviationError, kurtosisError := 0.1/math.Sqrt(2*n), math.Sqrt(24/n)
	r.Suspect = math.Abs(r.T2-0.1) < 5*deviationError && math.Abs(r.Kurtosis-3) < 5*kurtosisError &&
		math.Abs(r.T1-0.1) > 5*deviationError
	return r, nil
}

// moments returns the root mean square and the kurtosis about zero, the mean the cores start with.
func moments(values []float32) (deviation, kurtosis float64) {
	var square, fourth float64
	for _, v := range values {
		s := float64(v) * float64(v)
		square += s
		fourth += s * s
	}
	n := float64(len(values))
	square, fourth = square/n, fourth/n
	return math.Sqrt(square), fourth / (square * square)
}

// Repair gives every LoHa's hada_t2 the values of hada_t1, which makes an adapter trained as CompatLyCORIS012 describes do in every
// program what it did in training. It returns the number of modules changed, none if there is an error.
func (a *Adapter) Repair() (int, error) {
	cores := map[string]*tensors.Tensor{}
	for _, name := range a.order {
		m := a.modules[name]
		if m.has["hada_t1"] == nil {
			continue
		}
		v, err := a.values(name + ".hada_t1")
		if err != nil {
			return 0, err
		}
		if !slices.Equal(m.has["hada_t1"], m.has["hada_t2"]) {
			return 0, fault.New(fault.Corrupt, "repair", name, "cores of shapes %v and %v", m.has["hada_t1"], m.has["hada_t2"])
		}
		cores[name+".hada_t2"] = tensors.FromFlatDataAndDimensions(v, m.has["hada_t2"]...)
	}
	for _, key := range slices.Sorted(maps.Keys(cores)) {
		a.Params.Set(key, cores[key])
	}
	a.Spec.Compat, a.fixed = "", sd.NewParams()
	for _, m := range a.modules {
		m.compat = ""
	}
	return len(cores), nil
}
