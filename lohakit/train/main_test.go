package train

import (
	"os"
	"testing"
)

// Nearly all the time of these tests goes into compiling, and more than half of that into optimizing machine code, which nothing here depends on:
// every package that trains a model as users do leaves it on.
func TestMain(m *testing.M) {
	os.Setenv("XLA_FLAGS", os.Getenv("XLA_FLAGS")+" --xla_backend_optimization_level=0")
	os.Exit(m.Run())
}
