package xla

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Program is a graph function that is compiled once for each combination of input shapes it meets, and then only run.
// It may be used by several goroutines at once.
type Program struct {
	name    string
	devices int // 1 unless CompileOn says more
	fn      func(in []*graph.Node) []*graph.Node
	mu      sync.Mutex // of exec
	exec    *graph.Exec
	running sync.RWMutex // for reading by whoever uses exec, for writing by Close
}

// Compile returns the program of fn, which builds the graph from the nodes of the inputs and returns those of the outputs.
// Nothing is built before the first Run. The name appears in errors.
func Compile(name string, fn func(in []*graph.Node) []*graph.Node) *Program {
	return &Program{name: name, devices: 1, fn: fn}
}

// Donated marks an input whose device memory the program may overwrite: see Donate.
type Donated struct{ tensor *tensors.Tensor }

// Donate gives t's device memory to the next Run, which reuses it for its outputs: t must not be used afterwards.
// Training state is passed so. A tensor that was also read or written on the host is copied first.
func Donate(t *tensors.Tensor) Donated { return Donated{t} }

// Run feeds the inputs and returns the outputs, which stay on the device until they are read. An input is a *tensors.Tensor (kept
// on the device once it was there), a Donated tensor, a Go number or slice of any rank, or a []any or []*tensors.Tensor of such,
// which is spliced in. Whatever goes wrong, in fn or in XLA, is an error that names the program.
func (p *Program) Run(in ...any) ([]*tensors.Tensor, error) {
	p.running.RLock()
	defer p.running.RUnlock()
	exec, err := p.executor()
	if err != nil {
		return nil, err
	}
	args, err := p.arguments(nil, in)
	if err != nil {
		return nil, err
	}
	if err := p.upload(args); err != nil {
		return nil, err
	}
	var out []*tensors.Tensor
	var runErr error
	if err := Try("run "+p.name, func() { out, runErr = exec.Exec(args...) }); err != nil {
		return nil, err
	}
	if runErr != nil {
		return nil, fault.New(fault.Other, "run", p.name, "%w", runErr)
	}
	return out, nil
}

// Prepare compiles the program for the shapes of the inputs without running it. Donated inputs keep their memory.
func (p *Program) Prepare(in ...any) error {
	p.running.RLock()
	defer p.running.RUnlock()
	exec, err := p.executor()
	if err != nil {
		return err
	}
	args, err := p.arguments(nil, undonated(in))
	if err != nil {
		return err
	}
	if err := p.upload(args); err != nil {
		return err
	}
	var compileErr error
	if err := Try("compile "+p.name, func() { compileErr = exec.PreCompile(args...) }); err != nil {
		return err
	}
	if compileErr != nil {
		return fault.New(fault.Other, "compile", p.name, "%w", compileErr)
	}
	return nil
}

// Close waits for what runs, frees the compiled programs and returns unused memory to the operating system; the next Run compiles again.
func (p *Program) Close() {
	p.running.Lock()
	defer p.running.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exec != nil {
		p.exec.Finalize()
		p.exec = nil
		giveMemoryBack()
	}
}

func (p *Program) executor() (*graph.Exec, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exec != nil {
		return p.exec, nil
	}
	backend, err := Backend()
	if err != nil {
		return nil, err
	}
	exec, err := graph.NewExec(backend, p.fn)
	if err != nil {
		return nil, fault.New(fault.Other, "compile", p.name, "%w", err)
	}
	if p.devices > 1 {
		if err := distribute(exec, p.name, p.devices); err != nil {
			return nil, err
		}
	}
	p.exec = exec.WithName(p.name).SetMaxCache(-1)
	return p.exec, nil
}

func (p *Program) arguments(args, in []any) ([]any, error) {
	var err error
	for _, v := range in {
		switch v := v.(type) {
		case []any:
			if args, err = p.arguments(args, v); err != nil {
				return nil, err
			}
		case []*tensors.Tensor:
			for _, t := range v {
				args = append(args, t)
			}
		case Donated:
			d, err := donate(v.tensor)
			if err != nil {
				return nil, fault.New(fault.Invalid, "run", p.name, "donated input %d: %w", len(args), err)
			}
			args = append(args, d)
		default:
			args = append(args, v)
		}
	}
	return args, nil
}

// Sizes in bytes of the tensors that upload handles, and of the host memory that may wait for the garbage collector meanwhile.
const (
	largeTensor = 1 << 20
	maxGarbage  = 256 << 20
)

// upload moves large tensors that only the host has to the device, and returns their host memory to the operating system on the way:
// left to the garbage collector, a model would take its size twice.
func (p *Program) upload(args []any) error {
	backend, err := Backend()
	if err != nil {
		return err
	}
	garbage := uintptr(0)
	for _, v := range args {
		t, ok := v.(*tensors.Tensor)
		if !ok || !t.Ok() || t.IsOnAnyDevice() || t.Memory() < largeTensor {
			continue
		}
		if err := t.MaterializeOnDevice(backend, true, 0); err != nil {
			return fault.New(fault.Other, "run", p.name, "moving %v to the device: %w", t.Shape(), err)
		}
		if !t.IsShared() {
			t.FinalizeLocal()
		}
		if garbage += t.Memory(); garbage >= maxGarbage {
			debug.FreeOSMemory()
			garbage = 0
		}
	}
	return nil
}

func undonated(in []any) []any {
	out := make([]any, len(in))
	for i, v := range in {
		switch v := v.(type) {
		case []any:
			out[i] = undonated(v)
		case Donated:
			out[i] = v.tensor
		default:
			out[i] = v
		}
	}
	return out
}

// donate hands over the device memory of t. Memory that the host shares cannot be given away, so such a tensor is cloned.
func donate(t *tensors.Tensor) (any, error) {
	backend, err := Backend()
	if err != nil {
		return nil, err
	}
	if err := t.CheckValid(); err != nil {
		return nil, err
	}
	if t.IsShared() {
		if t, err = t.LocalClone(); err != nil {
			return nil, err
		}
	}
	return graph.DonateTensorBuffer(t, backend, 0)
}

// Try runs f, which may panic as GoMLX does, and returns the panic as an error of operation op.
func Try(op string, f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *fault.Error:
			err = r
		case error:
			err = fault.New(fault.Other, op, "", "%w", r)
		default:
			err = fault.New(fault.Other, op, "", "%s", fmt.Sprint(r))
		}
	}()
	f()
	return nil
}
