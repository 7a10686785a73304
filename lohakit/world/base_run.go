package world

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// sharedRows is how many rows of the token table the words without a row of their own share.
const sharedRows = 128

// NewBase returns the training that the recipe asks for, by the plan, at its beginning: from nothing, or from the weights of the recipe's parent.
// Errors: those of opening the parent; Invalid if the parent has other layers than the plan's.
func NewBase(r Recipe, p Plan) (*Base, error) {
	ids := vocabulary()
	unet := p.UNet()
	b := &Base{Recipe: r, Plan: p, config: sd.Config{
		UNet: unet,
		Text: sd.TextConfig{Rows: len(ids) + sharedRows, Width: unet.CrossDim, Layers: 3, Heads: 4, MLP: 4 * unet.CrossDim,
			Positions: sd.Window, TokenIDs: ids},
		VAE:        sd.VAEConfig{Latent: p.Latents, Patch: p.Patch, Scale: latentScale},
		Prediction: sd.V,
	}}
	m := &sd.Model{UNet: sd.InitUNet(b.config.UNet, baseSeed), Text: sd.InitText(b.config.Text, baseSeed)}
	b.layout.add("unet.", m.UNet)
	b.layout.add("text.", m.Text)
	b.of = fmt.Sprintf("%s: %s; by the plan %+v", r.Name, r, p)
	if r.Parent == "" {
		m.VAE = p.Autoencoder(baseSeed)
	} else {
		path, err := Find(r.Parent)
		if err != nil {
			return nil, err
		}
		if m, err = sd.Open(path); err != nil {
			return nil, err
		}
		_, sum, err := checkpoint.Hashes(path)
		if err != nil {
			return nil, err
		}
		b.of += "; the parent's file is " + sum
	}
	b.latent = m.VAE
	if err := b.begin(m); err != nil {
		return nil, err
	}
	b.step = xla.Compile("base model step", b.train)
	b.encode = xla.Compile("encode", func(in []*Node) []*Node {
		return []*Node{sd.Encode(b.config.VAE, b.latent.Bind(in[1:]), in[0], nil)}
	})
	return b, nil
}

// begin makes the state that of a training which starts from m.
func (b *Base) begin(m *sd.Model) error {
	weights, err := b.layout.vector(m)
	if err != nil {
		return err
	}
	vector := func(values []float32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(values, len(weights)) }
	b.state = []*tensors.Tensor{vector(weights), vector(make([]float32, len(weights))), vector(make([]float32, len(weights))), vector(slices.Clone(weights))}
	return nil
}

// Train runs steps until all are done, ctx is cancelled, or report, which is called after each, returns an error.
func (b *Base) Train(ctx context.Context, report func(*Base) error) error {
	type drawn struct {
		batch batch
		err   error
	}
	next := make(chan drawn, 2) // pictures are drawn while the device computes
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		for n := b.Step + 1; n <= b.All(); n++ {
			d, err := b.batch(n)
			select {
			case next <- drawn{d, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	for b.Step < b.All() {
		select {
		case <-ctx.Done():
			return fault.New(fault.Canceled, "train base model", "", "stopped after step %d", b.Step).Fix("run it again to go on")
		case d := <-next:
			if d.err != nil {
				return d.err
			}
			if err := b.advance(d.batch); err != nil {
				return err
			}
			if err := report(b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Base) advance(d batch) error {
	pixels := tensors.FromFlatDataAndDimensions(d.pixels, b.Batch, 3, b.Size, b.Size)
	x, err := b.encode.Run(pixels, b.latent.Inputs())
	if err != nil {
		return err
	}
	n := b.Step + 1
	if n == b.Steps+1 {
		m := b.Model()
		m.UNet, m.Text = halved(m.UNet), halved(m.Text)
		if err := b.begin(m); err != nil {
			return err
		}
	}
	at, rate := b.course(n)
	out, err := b.step.Run(
		xla.Donate(b.state[0]), xla.Donate(b.state[1]), xla.Donate(b.state[2]), xla.Donate(b.state[3]), x[0],
		tensors.FromFlatDataAndDimensions(d.noise, b.Batch, b.Latents, b.side(), b.side()),
		tensors.FromFlatDataAndDimensions(d.times, b.Batch),
		tensors.FromFlatDataAndDimensions(d.ids, b.Batch, sd.Window),
		float32(rate), float32(at))
	if err != nil {
		return err
	}
	b.state = out[:4]
	b.Step = n
	loss := float64(tensors.ToScalar[float32](out[4]))
	if math.IsNaN(loss) {
		return fault.New(fault.Numeric, "train base model", "loss", "not a number at step %d", n)
	}
	b.Loss = append(b.Loss, loss)
	return nil
}

var stateNames = []string{"weights", "moment1", "moment2", "average"}

// Save writes everything that Resume needs into the file.
func (b *Base) Save(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fault.New(fault.IO, "save base training", path, "%w", err)
	}
	var out []checkpoint.Tensor
	for i, name := range stateNames {
		t, err := checkpoint.FromFloats(name, checkpoint.F32, []int{b.layout.size}, tensors.MustCopyFlatData[float32](b.state[i]))
		if err != nil {
			return err
		}
		out = append(out, t)
	}
	loss := make([]float32, len(b.Loss))
	for i, l := range b.Loss {
		loss[i] = float32(l)
	}
	t, err := checkpoint.FromFloats("loss", checkpoint.F32, []int{len(loss)}, loss)
	if err != nil {
		return err
	}
	return checkpoint.Write(path, append(out, t), map[string]string{"step": strconv.Itoa(b.Step), "of": b.of})
}

// Resume takes over what Save wrote.
//
// Errors: those of reading the file; Invalid if it is of another recipe, plan, or file of the parent.
func (b *Base) Resume(path string) error {
	f, err := checkpoint.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if of := f.Metadata["of"]; of != b.of {
		return fault.New(fault.Invalid, "resume base training", path, "it is of another training: %s", of).Fix("delete the file to begin %s anew", b.Name)
	}
	read := func(name string) ([]float32, error) {
		t, err := f.Tensor(name)
		if err != nil {
			return nil, err
		}
		return t.Floats()
	}
	for i, name := range stateNames {
		values, err := read(name)
		if err != nil {
			return err
		}
		if len(values) != b.layout.size {
			return fault.New(fault.Corrupt, "resume base training", path, "%s has %d values of %d", name, len(values), b.layout.size).
				Fix("delete the file to begin %s anew", b.Name)
		}
		b.state[i] = tensors.FromFlatDataAndDimensions(values, len(values))
	}
	loss, err := read("loss")
	if err != nil {
		return err
	}
	b.Loss = nil
	for _, l := range loss {
		b.Loss = append(b.Loss, float64(l))
	}
	if b.Step, err = strconv.Atoi(f.Metadata["step"]); err != nil {
		return fault.New(fault.Corrupt, "resume base training", path, "step %q", f.Metadata["step"])
	}
	return nil
}

// Model returns the model whose weights are the running average so far.
func (b *Base) Model() *sd.Model {
	average := tensors.MustCopyFlatData[float32](b.state[3])
	m := &sd.Model{Config: b.config, UNet: sd.NewParams(), Text: sd.NewParams(), VAE: b.latent, Metadata: map[string]string{
		"modelspec.title":      b.Name,
		"modelspec.resolution": fmt.Sprintf("%dx%d", b.Size, b.Size),
		"lohakit.steps":        strconv.Itoa(b.Step),
		"lohakit.parent":       b.Parent,
	}}
	for i, name := range b.layout.names {
		size := product(b.layout.shapes[i])
		t := tensors.FromFlatDataAndDimensions(slices.Clone(average[:size]), b.layout.shapes[i]...)
		average = average[size:]
		if unet, ok := strings.CutPrefix(name, "unet."); ok {
			m.UNet.Set(unet, t)
		} else {
			m.Text.Set(strings.TrimPrefix(name, "text."), t)
		}
	}
	return m
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}
