package lohakit_test

import (
	"fmt"
	"strings"

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
	fmt.Println(run)
	// Output:
	// miniature: UNet 5.6 M parameters (32, 64, 96, 96 channels), text encoder 366 k (3 layers of 96), 16 latent channels, predicts v
	// 16 images in 1 folder, 160 samples per epoch, 1 bucket
	// miniature: loha 8/4, 878 k parameters in 300 modules; step 0 of 120 (LR=0.002 Steps=120 Resolution=64)
}

// Pivotal tuning: the character's name, which the captions have, becomes a word of its own, trained with the adapter. Save writes it to
// embeddings/Tilty.safetensors beside the adapter, where web UIs look for it; LoadEmbedding and WithEmbedding take it back.
func ExamplePlaceholder() {
	base, err := lohakit.Open("miniature")
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := lohakit.Load("../notebooks/data/Tilty")
	if err != nil {
		fmt.Println(err)
		return
	}
	c := lohakit.Defaults()
	c.Resolution, c.Steps, c.LR = 64, 120, 2e-3
	c.Embeddings = []lohakit.Placeholder{{Name: "Tilty", Vectors: 2, Init: "girl"}, {Name: "<her-hat>"}}
	run, err := base.Train(data, c)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.Join(run.Warnings, "\n"))
	c.Embeddings = []lohakit.Placeholder{{Name: "girl"}}
	_, err = base.Train(data, c)
	fmt.Println(err)
	// Output:
	// no caption has the word "<her-hat>": its embedding learns nothing; add it to the captions, or set Prefix to "<her-hat>,"
	// name embedding girl: it is a token of the vocabulary already; use a made-up word such as "my-tilty" or "<tilty>"
}

// What a dataset holds, what a training will make of it, and tags edited in bulk. In a notebook the plan is a table, an edit shows the
// captions before and after, and Thumbnails, Tags and Buckets are pictures.
func ExampleData() {
	data, err := lohakit.Load("../notebooks/data/Tilty")
	if err != nil {
		fmt.Println(err)
		return
	}
	c := lohakit.Defaults()
	c.Resolution, c.Steps = 64, 120
	plan, _ := data.Plan(c)
	fmt.Println(plan)
	edit, _ := data.ReplaceTag("white cat", "kitten")
	fmt.Println(edit.MIMEBundle()["text/plain"])
	back, _ := data.Undo()
	fmt.Println(len(back.Edit), "taken back")
	// Output:
	// folder                            images  repeats  samples  share
	// 10_Tilty                              16       10      160 100.0%
	// bucket                            images  samples  batches
	// 64×64                                 16      160       20
	// an epoch: 160 samples in 20 batches
	// training: 120 steps, 6 epochs
	// 2 captions changed
	// - 1girl, solo, Tilty, blue serafuku, frown, upper body, outdoors, blue sky, cloud, white cat, fanart
	// + 1girl, solo, Tilty, blue serafuku, frown, upper body, outdoors, blue sky, cloud, kitten, fanart
	// - 1girl, solo, Tilty, smile, waving, upper body, outdoors, beach, ocean, white cat, aniscreen
	// + 1girl, solo, Tilty, smile, waving, upper body, outdoors, beach, ocean, kitten, aniscreen
	// 2 taken back
}
