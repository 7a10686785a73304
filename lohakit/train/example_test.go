package train_test

import (
	"fmt"

	"github.com/lohakit/notebook/lohakit/train"
)

// A configuration begins with the model card's values; its name says what was changed, and a wrong value is named before anything runs.
func ExampleConfig() {
	cfg := train.Default()
	cfg.Dim, cfg.ConvDim, cfg.LR = 32, 16, 5e-4
	fmt.Println(cfg.Name())
	cfg.LR = -1
	fmt.Println(cfg.Check())
	// Output:
	// Dim=32 ConvDim=16 LR=0.0005
	// configure training LR: -1 is out of range; use 2e-4 (the default) or any value above 0
}
