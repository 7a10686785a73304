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
	fmt.Println(set.Plan(20, 0))
	fmt.Println(set.Tags(-1)[0])
	// Output:
	// 5 images, 8 samples per epoch
	// bucket       images  samples  batches
	// 64×64             3        6        2
	// 88×40             2        2        1
	// 3 steps per epoch, 20 steps in all (6.67 epochs)
	// {square 3}
}

// Balancing gives the images of small folders more repeats, so that sibling folders are seen equally often.
func ExampleBalance() {
	folders, err := dataset.Balance([]dataset.Folder{{Path: "artists/kantoku", Images: 2190}, {Path: "artists/ke-ta", Images: 738}}, nil)
	fmt.Println(folders[0].Name(), folders[1].Name(), folders[1].Multiply, err)
	// Output: 1_artists~kantoku 2_artists~ke-ta 2.97 <nil>
}
