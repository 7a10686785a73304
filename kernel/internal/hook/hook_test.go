package hook_test

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/lohakit/notebook/kernel/internal/hook"
)

// A top-level statement may leave out the error that its call returns: the cell then ends with it.
func ExampleTry1() {
	hook.Fail = func(err error) { fmt.Println("the cell ends:", errors.Unwrap(err)) }
	fmt.Println(hook.Try1(strconv.Atoi("41")))
	hook.Try1(strconv.Atoi("x"))
	// Output:
	// 41
	// the cell ends: invalid syntax
}
