package sd

import (
	"encoding/binary"
	"math"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	"github.com/gomlx/gomlx/pkg/core/shapes"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Open reads a model from a checkpoint file or a diffusers folder, in fp16, bf16, fp32 or fp64. All sizes come from the shapes of its
// tensors; what shapes cannot tell comes from the metadata lohakit.heads, lohakit.text_heads, lohakit.groups,
// lohakit.latent_scale and modelspec.prediction_type, with the values of SD 1.x where they are absent.
//
// Errors: NotExist names the file, or the tensor a model needs and the file lacks; Corrupt is a file that contradicts itself;
// Unsupported is another kind of model (SD 2.x, SDXL, an adapter, …) and says which; Numeric names a tensor that holds NaN or
// infinity. See checkpoint.OpenModel for opts.
func Open(path string, opts ...checkpoint.Option) (*Model, error) {
	return OpenWithVAE(path, "", opts...)
}

// OpenWithVAE is Open with the autoencoder taken from another file, alone in it or with a whole model; "" means from path itself.
func OpenWithVAE(path, vaePath string, opts ...checkpoint.Option) (*Model, error) {
	f, err := checkpoint.OpenModel(path, opts...)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	told, err := readTold(path, f.Metadata)
	if err != nil {
		return nil, err
	}
	m := &Model{Metadata: f.Metadata, Path: path}
	m.Config.Prediction = told.prediction

	if m.UNet, err = readPart(f, checkpoint.UNet, path, "choose a whole checkpoint"); err != nil {
		return nil, err
	}
	if m.Config.UNet, err = UNetConfigOf(m.UNet, told.heads, told.groups); err != nil {
		return nil, in(path, err)
	}
	ids, err := readTokenIDs(f)
	if err != nil {
		return nil, in(path, err)
	}
	if m.Text, err = readPart(f, checkpoint.Text, path, "choose a whole checkpoint"); err != nil {
		return nil, err
	}
	if m.Config.Text, err = TextConfigOf(m.Text, told.textHeads, ids); err != nil {
		return nil, in(path, err)
	}
	if vaePath == "" {
		err = m.readVAE(f, path)
	} else {
		err = m.openVAE(vaePath, opts)
	}
	if err != nil {
		return nil, err
	}
	if err := m.Config.Check(); err != nil {
		return nil, in(path, err)
	}
	return m, nil
}

func (m *Model) openVAE(path string, opts []checkpoint.Option) error {
	f, err := checkpoint.OpenModel(path, opts...)
	if err != nil {
		return err
	}
	defer f.Close()
	m.VAEPath = path
	return m.readVAE(f, path)
}

func (m *Model) readVAE(f *checkpoint.Model, path string) error {
	told, err := readTold(path, f.Metadata)
	if err != nil {
		return err
	}
	if m.VAE, err = readPart(f, checkpoint.VAE, path, "name a file that has one (OpenWithVAE)"); err != nil {
		return err
	}
	if m.Config.VAE, err = VAEConfigOf(m.VAE, told.groups, told.scale); err != nil {
		return in(path, err)
	}
	return nil
}

// in says in which file the fault is. What is Invalid as a configuration makes a file Corrupt.
func in(path string, err error) error {
	for _, kind := range []fault.Kind{fault.NotExist, fault.Unsupported} {
		if fault.Is(err, kind) {
			return fault.New(kind, "open model", path, "%w", err)
		}
	}
	return fault.New(fault.Corrupt, "open model", path, "%w", err)
}

const tokenIDsName = "text_model.embeddings.token_ids"

// readPart converts the weights of one network to float32.
func readPart(f *checkpoint.Model, part checkpoint.Part, path, remedy string) (*Params, error) {
	names := f.Names(part)
	if len(names) == 0 {
		return nil, fault.New(fault.NotExist, "open model", path, "it has no %s", partNames[part]).Fix("%s", remedy)
	}
	p := NewParams()
	for _, name := range names {
		if name == tokenIDsName {
			continue
		}
		stored, err := f.Tensor(part, name)
		if err != nil {
			return nil, err
		}
		if stored.Len() == 0 {
			return nil, fault.New(fault.Corrupt, "open model", path, "%s tensor %s is empty, %v", part, name, stored.Shape)
		}
		t := tensors.FromShape(shapes.Make(dtypes.Float32, stored.Shape...))
		var wrong error
		err = tensors.MutableFlatData(t, func(values []float32) {
			if err := stored.ReadFloats(values); err != nil {
				wrong = in(path, err)
			} else if i := firstNonFinite(values); i >= 0 {
				wrong = fault.New(fault.Numeric, "open model", path, "%s tensor %s holds %v at element %d", part, name, values[i], i).
					Fix("take an earlier file, or merge again without the source it came from")
			}
		})
		if wrong != nil {
			return nil, wrong
		}
		if err != nil {
			return nil, fault.New(fault.Other, "open model", path, "%w", err)
		}
		p.Set(name, t)
		f.Release(stored)
	}
	return p, nil
}

var partNames = map[checkpoint.Part]string{checkpoint.UNet: "UNet", checkpoint.Text: "text encoder", checkpoint.VAE: "autoencoder"}

// readTokenIDs returns the tokens of a compact token table, nil if the file does not list any.
func readTokenIDs(f *checkpoint.Model) ([]int32, error) {
	for _, name := range f.Names(checkpoint.Text) {
		if name == tokenIDsName {
			stored, err := f.Tensor(checkpoint.Text, name)
			if err != nil {
				return nil, err
			}
			return int32s(stored)
		}
	}
	return nil, nil
}

func int32s(t checkpoint.Tensor) ([]int32, error) {
	if t.DType != checkpoint.I32 || t.Len() > vocabulary {
		return nil, fault.New(fault.Corrupt, "read token ids", t.Name, "%v%v is not at most %d int32", t.DType, t.Shape, vocabulary)
	}
	ids := make([]int32, t.Len())
	for i := range ids {
		ids[i] = int32(binary.LittleEndian.Uint32(t.Data[4*i:]))
	}
	return ids, nil
}

// firstNonFinite is the index of the first NaN or infinity, -1 if there is none.
func firstNonFinite(values []float32) int {
	for i, v := range values {
		if math.Float32bits(v)&0x7f800000 == 0x7f800000 {
			return i
		}
	}
	return -1
}
