package lohakit

import (
	"context"
	"sync/atomic"
)

var session atomic.Pointer[func() context.Context]

// SetContext tells the verbs under which context they work: current is asked at the start of every long verb, and when the context it
// returns is cancelled, the verb stops at the next step and keeps what it has. A notebook kernel sets it; without one the
// context is context.Background.
func SetContext(current func() context.Context) { session.Store(&current) }

// Context returns the context the verbs work under.
func Context() context.Context {
	if current := session.Load(); current != nil {
		return (*current)()
	}
	return context.Background()
}
