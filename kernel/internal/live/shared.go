package live

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/lohakit/notebook/kernel/internal/hook"
)

// Shared is memory that the front and the worker share, through which an interrupt reaches the goroutines of a cell at their next check.
// The goroutine that reads the front's orders has to wait for its turn: after a hundred others that compute, a second.
type Shared struct {
	stopping atomic.Int32 // see hook.Stopping
	asked    atomic.Int32 // the run that is to be stopped; 0 for none
}

// shared is that of this process.
var shared = new(Shared)

const pageSize = 4096

// Map maps the file that holds the memory.
func Map(f *os.File) (*Shared, error) {
	if err := f.Truncate(pageSize); err != nil {
		return nil, err
	}
	memory, err := syscall.Mmap(int(f.Fd()), 0, pageSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	return (*Shared)(unsafe.Pointer(unsafe.SliceData(memory))), nil
}

// Unmap gives the memory back.
func (s *Shared) Unmap() { _ = syscall.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(s)), pageSize)) }

// Share has the cells of this process look at s from now on; none may run yet.
func Share(s *Shared) { shared, hook.Stopping = s, &s.stopping }

// Ask has a run stopped. Whether it has begun or is over only the order says, which has to follow.
func (s *Shared) Ask(id int) {
	if s.asked.Swap(int32(id)) == 0 {
		s.stopping.Add(1)
	}
}

// Withdraw takes back what Ask has asked.
func Withdraw(id int) {
	if shared.asked.CompareAndSwap(int32(id), 0) {
		hook.Stopping.Add(-1)
	}
}
