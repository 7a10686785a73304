package dataset

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Check decodes every image and mask once, before training, and returns one error that names every file that cannot be used, with the
// remedy, those that Load named included. It stops when ctx does. report (may be nil) is told how many of the items are done.
func (s *Set) Check(ctx context.Context, report func(done, total int)) error {
	failed := make([]error, len(s.Items))
	var done int
	var lock sync.Mutex
	work := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range work {
				_, _, err := s.Pixels(Sample{Item: i})
				lock.Lock()
				failed[i], done = err, done+1
				if report != nil {
					report(done, len(s.Items))
				}
				lock.Unlock()
			}
		})
	}
	for i := range s.Items {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Canceled, "check dataset", "", "stopped after %d of %d images: %w", done, len(s.Items), err)
	}
	failed = slices.DeleteFunc(failed, func(err error) bool { return err == nil })
	return joinFaults("check dataset", "", append(slices.Clone(s.bad), failed...))
}
