// Package fails panics while it is initialised.
package fails

func init() { panic("no such device") }
