package lohakit_test

import (
	"fmt"

	"github.com/lohakit/notebook/lohakit"
)

// The first lines of a notebook. There, the kernel checks the errors.
func Example() {
	base, err := lohakit.Open("miniature")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(base)
	data, err := lohakit.Load("../notebooks/data/Tilty")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(data)

	c := lohakit.Defaults()
	c.Resolution, c.Steps, c.LR = 64, 120, 2e-3
	run, err := base.Train(data, c)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(run.MIMEBundle()["text/plain"])
	// Output:
	// miniature: UNet 5.6 M parameters (32, 64, 96, 96 channels), text encoder 366 k (3 layers of 96), 16 latent channels, predicts v
	// 16 images in 1 folder, 160 samples per epoch, 1 bucket
	// miniature: loha 8/4, 878 k parameters in 300 modules; step 0 of 120 (LR=0.002 Steps=120 Resolution=64)
}
