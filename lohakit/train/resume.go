package train

import (
	"encoding/binary"
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
	Config  Config
	Step    int
	Data    string // fingerprint of the dataset
	Model   string // of the base model
	Base    string // of what Config.BaseWeights merges into it
	Trained string // of what is trained, and how the optimizer divides its state among that
	States  int    // how many tensors that state has
	Checks  []Check
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
	if err := r.Sync(); err != nil {
		return err
	}
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
	if r.print == "" {
		r.print = modelPrint(r.given)
	}
	about, err := json.Marshal(saved{r.Config, r.done, dataPrint(r.Data), r.print, r.Config.basePrint(), r.trainedPrint(), len(r.state), r.checks})
	if err != nil {
		return fault.New(fault.Other, "save run", path, "%w", err)
	}
	if err := checkpoint.Write(path, list, map[string]string{savedKey: string(about)}); err != nil {
		return err
	}
	if r.Kept != nil {
		r.Kept(path)
	}
	return nil
}

// Resume goes on with a run that Checkpoint wrote, exactly as if it had not been interrupted. model and data must be those it began with, and
// the files that Weights, BaseWeights, Embeddings and SamplePrompts name still be there.
// edit (may be nil) may change the configuration: the number of steps, rates, losses, but not the adapter, the kind of optimizer, or what divides
// its state: UNetOnly, TextOnly, rates by block.
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
	now := modelPrint(model)
	if s.Model != now {
		return nil, fault.New(fault.Invalid, "resume", path, "the base model is not the one this run began with").Fix("open that one")
	}
	if s.Base != s.Config.basePrint() {
		return nil, fault.New(fault.Invalid, "resume", path, "a file of BaseWeights, or its strength, is not what it was when this run began").
			Fix("put it back, or start a new run")
	}
	r, err := New(model, data, s.Config)
	if err != nil {
		return nil, err
	}
	if s.Data != dataPrint(r.Data) {
		return nil, fault.New(fault.Invalid, "resume", path, "the dataset has changed since this run began").
			Fix("put it back as it was, or start a new run")
	}
	if s.Trained != r.trainedPrint() {
		return nil, fault.New(fault.Invalid, "resume", path,
			"this configuration trains other layers, or keeps its optimizer's state otherwise, than the run it goes on with").
			Fix("leave the adapter, Optimizer, StateBlock, UNetOnly, TextOnly, Embeddings and the rates by block as they were, or start a new run")
	}
	r.print = now
	trained := weights(r.Adapter)
	for _, name := range trained.Names() {
		t, err := load(f, paramPrefix+name)
		if err != nil {
			return nil, bad("%w", err)
		}
		if want := trained.Get(name).Shape(); !t.Shape().Equal(want) {
			return nil, bad("%s is %s, the adapter's %s", name, t.Shape(), want)
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
	if len(r.state) != s.States || s.States == 0 && s.Step > 0 {
		return nil, bad("has %d tensors of the optimizer's state, not %d", len(r.state), s.States)
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
		if k.file == from.DType && from.Len() > 0 {
			t := tensors.FromShape(shapes.Make(k.device, from.Shape...))
			return t, t.MutableBytes(func(data []byte) { copy(data, from.Data) })
		}
	}
	return nil, fmt.Errorf("%s is %v of type %s", name, from.Shape, from.DType)
}
