package hook

func must(err error) {
	if err != nil {
		Fail(err)
	}
}

// Try0 ends the cell if err is not nil. Compiled cells call it, and its kin below, where a top-level statement leaves out
// the error that its call returns.
func Try0(err error) { must(err) }

// Try1 is Try0 for a call with one more result.
func Try1[A any](a A, err error) A {
	must(err)
	return a
}

// Try2 is Try0 for a call with two more results.
func Try2[A, B any](a A, b B, err error) (A, B) {
	must(err)
	return a, b
}

// Try3 is Try0 for a call with three more results.
func Try3[A, B, C any](a A, b B, c C, err error) (A, B, C) {
	must(err)
	return a, b, c
}

// Try4 is Try0 for a call with four more results.
func Try4[A, B, C, D any](a A, b B, c C, d D, err error) (A, B, C, D) {
	must(err)
	return a, b, c, d
}
