package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	"github.com/gomlx/gomlx/pkg/core/shapes"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// saved is the part of a run's state that is not tensors. Random numbers and the data's order follow from Config.Seed and the number
// of the step, so neither is kept.
type saved struct {
	Config Config
	Step   int
	Data   string // fingerprint of the dataset
	Model  string // fingerprint of the base model
	Base   string // of the files of Config.BaseWeights
	Checks []Check
}

const (
	savedKey     = "lohakit.run"
	paramPrefix  = "param."
	statePrefix  = "optimizer."
	lossesTensor = "losses"
)

// Checkpoint writes everything that Resume needs into one file: trained weights and optimizer state as they are, the losses, the step
// and the configuration. The file is replaced whole or not at all.
func (r *Run) Checkpoint(path string) error {
	var list []checkpoint.Tensor
	add := func(name string, t *tensors.Tensor) error {
		stored, err := store(name, t)
		list = append(list, stored)
		return err
	}
	trained := weights(r.Adapter)
	for _, name := range trained.Names() {
		if err := add(paramPrefix+name, trained.Get(name)); err != nil {
			return err
		}
	}
	for i, t := range r.state {
		if err := add(statePrefix+strconv.Itoa(i), t); err != nil {
			return err
		}
	}
	losses := make([]byte, 8*len(r.losses))
	for i, l := range r.losses {
		binary.LittleEndian.PutUint64(losses[8*i:], math.Float64bits(l))
	}
	list = append(list, checkpoint.Tensor{Name: lossesTensor, DType: checkpoint.F64, Shape: []int{len(r.losses)}, Data: losses})
	about, err := json.Marshal(saved{r.Config, r.done, dataPrint(r.Data), modelPrint(r.given), r.Config.basePrint(), r.checks})
	if err != nil {
		return fault.New(fault.Other, "save run", path, "%w", err)
	}
	return checkpoint.Write(path, list, map[string]string{savedKey: string(about)})
}

// Resume goes on with a run that Checkpoint wrote, exactly as if it had not been interrupted. model and data must be those it began with, and
// the files that Weights, BaseWeights and Embeddings name still be there.
// edit (may be nil) may change the configuration: the number of steps, rates, losses, but not the adapter or the kind of optimizer.
func Resume(model *sd.Model, data *dataset.Set, path string, edit func(*Config)) (*Run, error) {
	f, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	bad := func(format string, args ...any) *fault.Error {
		return fault.New(fault.Corrupt, "resume", path, format, args...).Fix("choose a file that Checkpoint wrote")
	}
	s := saved{Config: Default()}
	if err := json.Unmarshal([]byte(f.Metadata[savedKey]), &s); err != nil {
		return nil, bad("holds no training state: %w", err)
	}
	if edit != nil {
		edit(&s.Config)
	}
	if s.Model != modelPrint(model) {
		return nil, fault.New(fault.Invalid, "resume", path, "the base model is not the one this run began with").Fix("open that one")
	}
	if s.Base != s.Config.basePrint() {
		return nil, fault.New(fault.Invalid, "resume", path, "a file of BaseWeights is not what it was when this run began").Fix("put it back, or start a new run")
	}
	r, err := New(model, data, s.Config)
	if err != nil {
		return nil, err
	}
	if s.Data != dataPrint(r.Data) {
		return nil, fault.New(fault.Invalid, "resume", path, "the dataset has changed since this run began").
			Fix("put it back as it was, or start a new run")
	}
	trained := weights(r.Adapter)
	for _, name := range trained.Names() {
		t, err := load(f, paramPrefix+name)
		if err != nil {
			return nil, bad("%w", err)
		}
		if !slices.Equal(t.Shape().Dimensions, trained.Shape(name)) {
			return nil, bad("%s has shape %v, the adapter %v", name, t.Shape().Dimensions, trained.Shape(name))
		}
		setWeight(r.Adapter, name, t)
	}
	for i := 0; f.Has(statePrefix + strconv.Itoa(i)); i++ {
		t, err := load(f, statePrefix+strconv.Itoa(i))
		if err != nil {
			return nil, bad("%w", err)
		}
		r.state = append(r.state, t)
	}
	losses, err := f.Tensor(lossesTensor)
	if err != nil || losses.DType != checkpoint.F64 || losses.Len() != s.Step {
		return nil, bad("does not hold the losses of %d steps", s.Step)
	}
	for i := range losses.Len() {
		r.losses = append(r.losses, math.Float64frombits(binary.LittleEndian.Uint64(losses.Data[8*i:])))
	}
	r.done, r.checks = s.Step, s.Checks
	return r, nil
}

var stored = []struct {
	device dtypes.DType
	file   checkpoint.DType
}{{dtypes.Float32, checkpoint.F32}, {dtypes.Uint8, checkpoint.U8}, {dtypes.Int32, checkpoint.I32}}

// store copies a tensor for a file.
func store(name string, t *tensors.Tensor) (checkpoint.Tensor, error) {
	for _, k := range stored {
		if k.device != t.DType() {
			continue
		}
		out := checkpoint.Tensor{Name: name, DType: k.file, Shape: slices.Clone(t.Shape().Dimensions)}
		err := t.ConstBytes(func(data []byte) { out.Data = slices.Clone(data) })
		if err != nil {
			return out, fault.New(fault.Other, "save run", name, "%w", err)
		}
		return out, nil
	}
	return checkpoint.Tensor{}, fault.New(fault.Unsupported, "save run", name, "a tensor of type %s", t.DType())
}

// load reads what store wrote.
func load(f *checkpoint.File, name string) (*tensors.Tensor, error) {
	from, err := f.Tensor(name)
	if err != nil {
		return nil, err
	}
	for _, k := range stored {
		if k.file == from.DType {
			t := tensors.FromShape(shapes.Make(k.device, from.Shape...))
			return t, t.MutableBytes(func(data []byte) { copy(data, from.Data) })
		}
	}
	return nil, fmt.Errorf("%s is of type %s", name, from.DType)
}

// dataPrint is a fingerprint of what decides the order and the captions of a dataset.
func dataPrint(s *dataset.Set) string {
	sum := sha256.New()
	for _, item := range s.Items {
		fmt.Fprintf(sum, "%s %q %q %s %d %s\n", s.Subsets[item.Subset].Name(), item.Name(), item.Caption, item.Size, item.Repeats, item.Bucket)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// basePrint is a fingerprint of the files of BaseWeights.
func (c Config) basePrint() (sums string) {
	for _, path := range c.BaseWeights {
		sums += hashesOf(path)[1]
	}
	return sums
}

// modelPrint is a fingerprint of a model: the names and shapes of all weights, and the values of the vectors among them.
func modelPrint(m *sd.Model) string {
	sum := sha256.New()
	for _, p := range []*sd.Params{m.UNet, m.Text, m.VAE} {
		for _, name := range p.Names() {
			fmt.Fprintln(sum, name, p.Shape(name))
			if len(p.Shape(name)) == 1 {
				if err := p.Get(name).ConstBytes(func(data []byte) { sum.Write(data) }); err != nil {
					fmt.Fprintln(sum, err)
				}
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
