package sd

import (
	"encoding/binary"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Save writes the model as a single-file checkpoint at path, with the tensor names that web UIs read, its weights as dtype: F16, BF16 or
// F32. The file is there whole or not at all. A weight that is not finite, or becomes infinite as F16, is a fault of kind
// Numeric that names it, and what was at path stays.
func (m *Model) Save(path string, dtype checkpoint.DType) error {
	const op = "save model"
	if dtype != checkpoint.F16 && dtype != checkpoint.BF16 && dtype != checkpoint.F32 {
		return fault.New(fault.Invalid, op, path, "weights cannot be stored as %v", dtype).Fix("use F16, BF16 or F32")
	}
	if err := m.Config.Check(); err != nil {
		return err
	}
	parts := map[checkpoint.Part][]checkpoint.Tensor{}
	var weights []*tensors.Tensor // in the order of checkpoint.Single
	for _, part := range checkpoint.Parts {
		p := m.part(part)
		for _, name := range p.Names() {
			parts[part] = append(parts[part], checkpoint.Tensor{Name: name, DType: dtype, Shape: p.Shape(name)})
			weights = append(weights, p.Get(name))
		}
		if ids := m.Config.Text.TokenIDs; part == checkpoint.Text && len(ids) > 0 {
			parts[part] = append(parts[part], checkpoint.Tensor{Name: tokenIDsName, DType: checkpoint.I32, Shape: []int{len(ids)}})
			weights = append(weights, nil)
		}
	}
	list, err := checkpoint.Single(parts)
	if err != nil {
		return err
	}
	of := make(map[string]*tensors.Tensor, len(list))
	for i, t := range list {
		of[t.Name] = weights[i]
	}
	return checkpoint.Stream(path, list, m.Config.metadata(m.Metadata), func(t checkpoint.Tensor) ([]byte, error) {
		if of[t.Name] == nil {
			return int32Bytes(m.Config.Text.TokenIDs), nil
		}
		var data []byte
		var wrong error
		err := tensors.ConstFlatData(of[t.Name], func(floats []float32) { data, wrong = encode(path, t, floats) })
		if err != nil {
			return nil, fault.New(fault.Other, op, t.Name, "%w", err)
		}
		return data, wrong
	})
}

// encode returns floats as t's dtype, if all of them fit.
func encode(path string, t checkpoint.Tensor, floats []float32) ([]byte, error) {
	const op = "save model"
	if i := firstNonFinite(floats); i >= 0 {
		return nil, fault.New(fault.Numeric, op, path, "tensor %s holds %v", t.Name, floats[i]).Fix("go back to an earlier state")
	}
	if checkpoint.Overflows(t.DType, floats) {
		return nil, fault.New(fault.Numeric, op, path, "tensor %s has values beyond 65,504, the largest of fp16", t.Name).
			Fix("save as BF16 or F32")
	}
	encoded, err := checkpoint.FromFloats(t.Name, t.DType, t.Shape, floats)
	return encoded.Data, err
}

// part returns the weights of one network.
func (m *Model) part(p checkpoint.Part) *Params {
	switch p {
	case checkpoint.Text:
		return m.Text
	case checkpoint.VAE:
		return m.VAE
	}
	return m.UNet
}

func int32Bytes(values []int32) []byte {
	data := make([]byte, 0, 4*len(values))
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, uint32(v))
	}
	return data
}
