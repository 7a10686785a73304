package adapter

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Save writes the adapter as LyCORIS and kohya's trainer do, with the tensors as a.Precision (F16 unless it is set), atomically. The
// keys of metadata are written as they are, and those that other programs need to open the file are added where they are missing.
// A NaN, or a value too large for F16, is a fault of kind Numeric that names the tensor, and no file is written.
func (a *Adapter) Save(path string, metadata map[string]string) error {
	list, err := a.Tensors()
	if err != nil {
		return err
	}
	all := a.header()
	maps.Copy(all, metadata)
	all["sshs_model_hash"] = contentHash(list)
	return checkpoint.Write(path, list, all)
}

// Tensors returns what Save writes: the parameters and the alphas as a.Precision.
func (a *Adapter) Tensors() ([]checkpoint.Tensor, error) {
	dtype := a.precision()
	var list []checkpoint.Tensor
	for _, name := range append(a.Params.Names(), a.fixed.Names()...) {
		values, err := a.values(name)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(values, func(v float32) bool { return v != v || math.IsInf(float64(v), 0) }); i >= 0 {
			return nil, fault.New(fault.Numeric, "save", name, "holds %v at element %d", values[i], i).
				Fix("go back to the last good file, and lower LR or Alpha")
		}
		if checkpoint.Overflows(dtype, values) {
			return nil, fault.New(fault.Numeric, "save", name, "has values above the 65,504 of %v", dtype).Fix("set Precision to BF16 or F32")
		}
		t, err := checkpoint.FromFloats(name, dtype, a.tensor(name).Shape().Dimensions, values)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	for _, name := range a.order {
		m := a.modules[name]
		suffix, value := "alpha", m.alpha
		if _, ok := m.form.(ia3Form); ok {
			suffix, value = "on_input", 0
			if m.on {
				value = 1
			}
		} else if m.alpha == 0 {
			continue
		}
		t, err := checkpoint.FromFloats(name+"."+suffix, dtype, nil, []float32{float32(value)})
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// contentHash is what web UIs know an adapter by: the SHA-256 of everything after the header, in hexadecimal.
func contentHash(list []checkpoint.Tensor) string {
	byName := slices.SortedFunc(slices.Values(list), func(x, y checkpoint.Tensor) int { return strings.Compare(x.Name, y.Name) })
	h := sha256.New()
	for _, t := range byName {
		h.Write(t.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (a *Adapter) precision() checkpoint.DType {
	if a.Precision == 0 {
		return checkpoint.F16
	}
	return a.Precision
}

// header is the part of kohya's metadata that follows from the adapter itself.
func (a *Adapter) header() map[string]string {
	s := a.Spec
	args := map[string]string{"algo": string(s.Kind), "preset": s.preset()}
	if s.ConvDim > 0 {
		args["conv_dim"] = strconv.Itoa(s.ConvDim)
		args["conv_alpha"] = number(s.ConvAlpha)
	}
	for key, on := range map[string]bool{"use_tucker": s.Tucker, "dora_wd": s.DoRA, "rs_lora": s.RSLoRA, "train_norm": s.TrainNorm,
		"decompose_both": s.DecomposeBoth, "full_matrix": s.FullMatrix} {
		if on {
			args[key] = "True"
		}
	}
	text, _ := json.Marshal(args) // strings cannot fail
	return map[string]string{
		"ss_network_module":     "lycoris.kohya",
		"ss_network_dim":        strconv.Itoa(s.Dim),
		"ss_network_alpha":      number(s.Alpha),
		"ss_network_args":       string(text),
		"ss_base_model_version": "sd_v1",
		"ss_v2":                 "False",
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
