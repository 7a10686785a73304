package fault_test

import (
	"fmt"
	"io"

	"github.com/lohakit/notebook/lohakit/fault"
)

// The printed form is one sentence: what was done, to what, what went wrong, what to do.
func ExampleError() {
	fmt.Println(fault.New(fault.Corrupt, "open model", "nai.safetensors", "file ends after %d of %d bytes", 12, 4096).
		Fix("download it again"))
	fmt.Println(fault.New(fault.Invalid, "train", "LR", "-0.001 is negative").Fix("use 2e-4 (the default) or any value above 0"))
	// Output:
	// open model nai.safetensors: file ends after 12 of 4096 bytes; download it again
	// train LR: -0.001 is negative; use 2e-4 (the default) or any value above 0
}

// Is looks through wrapped errors of either sort.
func ExampleIs() {
	inner := fault.New(fault.Corrupt, "read header", "x.safetensors", "length: %w", io.ErrUnexpectedEOF)
	outer := fmt.Errorf("cell 3: %w", inner)
	fmt.Println(fault.Is(outer, fault.Corrupt), fault.Is(outer, fault.Invalid))
	// Output: true false
}
