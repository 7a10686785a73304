package adapter

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
// A NaN, or a value too large for F16 (an alpha: or too small), is a fault of kind Numeric that names the tensor, and no file is written.
func (a *Adapter) Save(path string, metadata map[string]string) error {
	if len(a.order) == 0 {
		return fault.New(fault.Invalid, "save adapter", path, "it has no layer").Fix("save its embeddings")
	}
	list, err := a.Tensors()
	if err != nil {
		return err
	}
	all := a.header()
	maps.Copy(all, metadata)
	maps.DeleteFunc(all, func(key, _ string) bool { return strings.HasPrefix(key, "sshs_") })
	legacy, sum, err := hashes(list, all)
	if err != nil {
		return err
	}
	all["sshs_model_hash"] = sum
	if legacy != "" {
		all["sshs_legacy_hash"] = legacy
	}
	return checkpoint.Write(path, list, all)
}

// Tensors returns what Save writes: the parameters, the embeddings and the alphas as a.Precision.
func (a *Adapter) Tensors() ([]checkpoint.Tensor, error) {
	dtype := a.precision()
	var list []checkpoint.Tensor
	for _, name := range append(a.Params.Names(), a.fixed.Names()...) {
		if strings.HasSuffix(name, "."+scalar) {
			continue
		}
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
	for _, e := range a.Embeddings {
		t, err := e.Bundled(dtype)
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
		if v, err := t.Floats(); err != nil || math.IsInf(float64(v[0]), 0) || v[0] == 0 && value != 0 { // which would mean another alpha
			return nil, fault.New(fault.Numeric, "save", name, "its %s, %v, is out of the range of %v", suffix, value, dtype).Fix("set Precision to BF16 or F32")
		}
		list = append(list, t)
	}
	return list, nil
}

// hashes are what web UIs know an adapter by. sum is the SHA-256 of everything after the header. legacy is the beginning of the SHA-256 of
// 64 KiB at 1 MiB of the file as it would be with only the ss_ keys in its header, whose length decides where in the tensors that is;
// "" if the header reaches so far, for then the hash depends on the order of its keys, which is random.
func hashes(list []checkpoint.Tensor, metadata map[string]string) (legacy, sum string, err error) {
	lasting := maps.Clone(metadata)
	maps.DeleteFunc(lasting, func(key, _ string) bool { return !strings.HasPrefix(key, "ss_") })
	size, err := checkpoint.Size(list, lasting)
	if err != nil {
		return "", "", err
	}
	byName := slices.SortedFunc(slices.Values(list), func(x, y checkpoint.Tensor) int { return strings.Compare(x.Name, y.Name) })
	at := int(size)
	for _, t := range byName {
		at -= len(t.Data)
	}
	inHeader := at > 1<<20
	part, whole := sha256.New(), sha256.New()
	for _, t := range byName {
		whole.Write(t.Data)
		from, to := max(at, 1<<20), min(at+len(t.Data), 1<<20+1<<16)
		if from < to {
			part.Write(t.Data[from-at : to-at])
		}
		at += len(t.Data)
	}
	if !inHeader {
		legacy = hex.EncodeToString(part.Sum(nil))[:8]
	}
	return legacy, hex.EncodeToString(whole.Sum(nil)), nil
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
	module := "lycoris.kohya"
	if s.Kind == LoRA && s.ConvDim == 0 && s.preset() == "attn-mlp" {
		module = "networks.lora"
	}
	args, _ := json.Marshal(s.networkArgs()) // strings cannot fail
	return map[string]string{
		"ss_network_module":     module,
		"ss_network_dim":        strconv.Itoa(s.Dim),
		"ss_network_alpha":      number(s.Alpha),
		"ss_network_args":       string(args),
		"ss_base_model_version": "sd_v1",
		"ss_v2":                 "False",
	}
}

// networkArgs are LyCORIS' names for what differs from its defaults.
func (s Spec) networkArgs() map[string]string {
	args := map[string]string{"algo": string(s.Kind), "preset": s.preset()}
	if s.ConvDim > 0 {
		args["conv_dim"] = strconv.Itoa(s.ConvDim)
		args["conv_alpha"] = number(s.ConvAlpha)
	}
	if s.Factor > 0 {
		args["factor"] = strconv.Itoa(s.Factor)
	}
	for key, p := range map[string]float64{"rank_dropout": s.RankDropout, "module_dropout": s.ModuleDropout} {
		if p > 0 {
			args[key] = number(p)
		}
	}
	for key, on := range map[string]bool{"use_tucker": s.Tucker, "dora_wd": s.DoRA, "rs_lora": s.RSLoRA, "train_norm": s.TrainNorm,
		"decompose_both": s.DecomposeBoth, "full_matrix": s.FullMatrix, "rank_dropout_scale": s.RankDropoutScale,
		"use_scalar": s.UseScalar, "unbalanced_factorization": s.UnbalancedFactorization} {
		if on {
			args[key] = "True"
		}
	}
	if s.DoRA && s.DoRAOnInput {
		args["wd_on_output"] = "False"
	}
	for key, list := range map[string]string{"block_dims": list(s.BlockDims), "block_alphas": list(s.BlockAlphas),
		"conv_block_dims": list(s.ConvBlockDims), "conv_block_alphas": list(s.ConvBlockAlphas)} {
		if list != "" {
			args[key] = list
		}
	}
	return args
}

// list is values as the trainers write them, "1,2,3".
func list[T any](values []T) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(values), "[]"), " ", ",")
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
