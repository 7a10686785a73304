package sd

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Names of the tensor of vectors in the files of kohya's trainer and the web UIs.
const (
	embParams     = "emb_params"
	stringToParam = "string_to_param."
)

// bundlePrefix begins the keys of embeddings inside an adapter's file, "bundle_emb.NAME.string_to_param.*".
const bundlePrefix = "bundle_emb."

// learnedEmbeds is what diffusers calls a file of an embedding.
const learnedEmbeds = "learned_embeds"

// LoadEmbedding reads an embedding as kohya's trainer (emb_params), the web UIs (string_to_param; a .pt only with checkpoint.AllowPickle) or
// diffusers (learned_embeds.safetensors, whose one key is the name) write it. As in the web UIs its name is the file's, unless the file tells
// one. Errors: those of checkpoint.Open; Unsupported for files that hold no embedding of a Stable Diffusion 1.x text encoder, or more than
// one; Numeric for NaN and infinity.
func LoadEmbedding(path string, opts ...checkpoint.Option) (Embedding, error) {
	f, err := checkpoint.Open(path, opts...)
	if err != nil {
		return Embedding{}, err
	}
	defer f.Close()
	bad := func(format string, args ...any) error {
		return fault.New(fault.Unsupported, "load embedding", path, format, args...).
			Fix("choose a file with one embedding: emb_params, string_to_param, or one tensor called as the word")
	}
	names := slices.DeleteFunc(f.Names(), func(name string) bool { return strings.HasPrefix(name, "string_to_token.") })
	switch {
	case len(names) == 0:
		return Embedding{}, bad("it holds no tensor")
	case f.Has("clip_g"):
		return Embedding{}, bad("it is for SDXL")
	case len(names) > 1:
		return Embedding{}, bad("it holds %d tensors", len(names))
	}
	base := filepath.Base(path)
	e := Embedding{Name: strings.TrimSuffix(base, filepath.Ext(base))}
	if key := names[0]; key != embParams && key != "clip_l" && !strings.HasPrefix(key, stringToParam) {
		e.Name = key
	}
	if e.Name == "" {
		return e, bad("it has no name")
	}
	t, err := f.Tensor(names[0])
	if err != nil {
		return e, err
	}
	if e.Rows, err = vectorsOf(path, t); err != nil {
		return e, err
	}
	_, e.Hash, err = checkpoint.Hashes(path)
	return e, err
}

// vectorsOf checks and converts the tensor of an embedding: [vectors, width], or one vector alone.
func vectorsOf(path string, t checkpoint.Tensor) (*tensors.Tensor, error) {
	shape := t.Shape
	if len(shape) == 1 {
		shape = []int{1, shape[0]}
	}
	if len(shape) != 2 || t.Len() == 0 || shape[0] > maxVectors {
		return nil, fault.New(fault.Unsupported, "load embedding", path, "%v is not 1 to %d vectors", t, maxVectors).Fix("choose a file with one embedding")
	}
	values, err := t.Floats()
	if err != nil {
		return nil, err
	}
	if i := firstNonFinite(values); i >= 0 {
		return nil, fault.New(fault.Numeric, "load embedding", path, "%s holds %v at element %d", t.Name, values[i], i).
			Fix("use an earlier save of the same training")
	}
	return tensors.FromFlatDataAndDimensions(values, shape...), nil
}

// Save writes the embedding as dtype, F16, BF16 or F32, to a .safetensors file that web UIs and kohya's tools read, and call by the file's
// name. A file called learned_embeds… is written as diffusers reads it, with the embedding's name inside. metadata is written as it is.
// Errors are those of Model.Save.
func (e Embedding) Save(path string, dtype checkpoint.DType, metadata map[string]string) error {
	base := filepath.Base(path)
	if !strings.HasSuffix(base, ".safetensors") {
		return fault.New(fault.Invalid, "save embedding", path, "the name does not end in .safetensors").Fix("add it")
	}
	key := embParams
	if strings.HasPrefix(base, learnedEmbeds) {
		key = e.Name
	}
	t, err := e.stored(path, key, dtype)
	if err != nil {
		return err
	}
	return checkpoint.Write(path, []checkpoint.Tensor{t}, maps.Clone(metadata))
}

func (e Embedding) stored(path, key string, dtype checkpoint.DType) (checkpoint.Tensor, error) {
	t := checkpoint.Tensor{Name: key, DType: dtype, Shape: e.Rows.Shape().Dimensions}
	values, err := tensors.CopyFlatData[float32](e.Rows)
	if err != nil {
		return t, fault.New(fault.Other, "save embedding", e.Name, "%w", err)
	}
	t.Data, err = encode(path, t, values)
	return t, err
}

// Key is the name of the embedding's tensor inside an adapter's file.
func (e Embedding) Key() string { return bundlePrefix + e.Name + "." + stringToParam + "*" }

// Bundled is the embedding as an adapter's file holds it: LyCORIS' bundled embeddings.
func (e Embedding) Bundled(dtype checkpoint.DType) (checkpoint.Tensor, error) {
	return e.stored("", e.Key(), dtype)
}

// ReadBundled reads an embedding from a tensor of an adapter's file; ok is false if the tensor is none of an embedding. path is what errors
// call the file.
func ReadBundled(path string, t checkpoint.Tensor) (e Embedding, ok bool, err error) {
	rest, ok := strings.CutPrefix(t.Name, bundlePrefix)
	if !ok {
		return e, false, nil
	}
	name, form, _ := strings.Cut(rest, ".")
	if form != embParams && !strings.HasPrefix(form, stringToParam) {
		return e, true, fault.New(fault.Unsupported, "load embedding", path, "%s is of no form that is known", t.Name).
			Fix("bundle the embedding as string_to_param")
	}
	if e.Name = name; name == "" {
		return e, true, fault.New(fault.Corrupt, "load embedding", path, "%q has no name", t.Name)
	}
	e.Rows, err = vectorsOf(path, t)
	return e, true, err
}
