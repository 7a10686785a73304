// Package private has functions whose results have types that it keeps to itself.
package private

// Made counts the calls of New.
var Made int

type box struct{ N int }

// New returns a box.
func New(n int) *box {
	Made++
	return &box{n}
}

// Next returns the box after b.
func (b *box) Next() *box { return &box{b.N + 1} }

// Maker makes boxes.
type Maker interface{ Make() box }
