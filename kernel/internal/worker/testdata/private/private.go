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

// Of returns a box of one of the kinds of numbers.
func Of[T int | string]() *box { return New(7) }

// Default makes boxes.
var Default factory

type factory struct{}

// New returns a box.
func (factory) New() *box { return New(8) }

// Next returns the box after b.
func (b *box) Next() *box { return &box{b.N + 1} }

// Maker makes boxes.
type Maker interface{ Make() box }
