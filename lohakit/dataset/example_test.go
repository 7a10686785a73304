package dataset_test

import (
	"fmt"

	"github.com/lohakit/notebook/lohakit/dataset"
)

// A dataset in kohya form, and the plan of training on it: the last batch of every bucket is short, so an epoch has more steps than
// samples divided by the batch size.
func ExampleLoad() {
	set, err := dataset.Load("testdata/images", dataset.Options{Resolution: dataset.Square(64), BatchSize: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Plan(20, 0, 1))
	// Output:
	// folder                            images  repeats  samples  share
	// 1_stripe                               2        1        2  25.0%
	// 2_square                               3        2        6  75.0%
	// bucket                            images  samples  batches
	// 64×64                                  3        6        2
	// 88×40                                  2        2        1
	// an epoch: 8 samples in 3 batches
	// training: 20 steps, 6.667 epochs
}

// Tags are edited in bulk; every edit can be taken back, and so can the writing of the caption files.
func ExampleSet_ReplaceTag() {
	set, err := dataset.Load("testdata/images", dataset.Options{Resolution: dataset.Square(64)})
	if err != nil {
		fmt.Println(err)
		return
	}
	edit, err := set.ReplaceTag("square", "quadrangle", "2_*")
	fmt.Println(len(edit), "captions changed:", edit[0].Before, "→", edit[0].After, err)
	tags, _ := set.Tags()
	fmt.Println(tags[0])
	back, err := set.Undo()
	fmt.Println(len(back), "taken back", err)
	// Output:
	// 3 captions changed: square, red → quadrangle, red <nil>
	// {quadrangle 3}
	// 3 taken back <nil>
}

// Balancing gives the images of small folders more repeats, so that sibling folders are seen equally often.
func ExampleBalance() {
	folders, err := dataset.Balance([]dataset.Folder{{Path: "artists/kantoku", Images: 2190}, {Path: "artists/ke-ta", Images: 738}}, nil)
	fmt.Println(folders[0].Name(), folders[1].Name(), folders[1].Multiply, err)
	// Output: 1_artists~kantoku 2_artists~ke-ta 2.97 <nil>
}
