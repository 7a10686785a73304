// Package hook is what compiled cells call while they run: checks for an interrupt at loop heads and function entries, the
// error that a top-level statement leaves out, the value to show, the watch over goroutines. It imports next to nothing and
// package live does the work, because whatever it imported would be linked into every cell.
package hook

import (
	"sync/atomic"
	"unsafe"
)

// Stopping counts the interrupted runs that still have goroutines, and one more while the front wants a run stopped; while it is 0,
// Check costs two loads.
var Stopping = new(atomic.Int32)

// What package live does for cells; it sets these before the first cell runs.
var (
	Stop      func()                           // ends the calling goroutine if its run was interrupted
	Fail      func(error)                      // ends the cell
	Show      func(values ...any)              // notes the values of the cell's last expression
	Goroutine func() (leave func())            // begins a goroutine of a go statement; leave has to be deferred
	Register  func(name string, pointer any)   // makes a variable or type known to the direct evaluator
	Slot      func(name string) unsafe.Pointer // is the address of a variable that the direct evaluator made
)

// Ꜿerror lets a struct of a cell embed error under a name that later cells reach.
type Ꜿerror = error

// Guard returns f watched over as the function of a go statement is, for what a library starts in a goroutine of its own.
func Guard(f func()) func() {
	return func() {
		defer Goroutine()()
		f()
	}
}

// Check ends the calling goroutine if its run was interrupted. It is called at every loop head and function entry.
func Check() {
	if Stopping.Load() != 0 {
		Stop()
	}
}
