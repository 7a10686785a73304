// Command make rebuilds what the miniature world ships, from nothing. On processors of one kind it always comes out the same, byte for byte; on
// another kind sums are rounded otherwise, and training carries that far: where the parent differs in the last bit of one weight in two
// thousand, the weights of two children are after fifty steps four fifths as far from each other as from the parent.
//
//	go run ./lohakit/world/make judge              the judge and its report, in lohakit/world/assets (a quarter of an hour on two idle cores)
//	go run ./lohakit/world/make base               the base models, in lohakit/world/models (a hundred minutes on two idle cores; resumes)
//	go run ./lohakit/world/make card               their pages: samples and the judge's figures (half an hour)
//	go run ./lohakit/world/make pivotal            what a trained word adds to an adapter, in lohakit/world/assets (some minutes)
//	go run ./lohakit/world/make manner             a model at several guidances and by several samplers, in a table (some minutes)
//	go run ./lohakit/world/make choices            short runs with other sizes, batches, losses, in a table (an hour; resumes)
//	go run ./lohakit/world/make quickstart [dir]   a small data set of each character, for the notebooks (a second)
//	go run ./lohakit/world/make dataset [dir]      the card's nineteen folders, counts divided by ten (two seconds)
//	go run ./lohakit/world/make sheet [file.png]   a sheet of characters and styles to look at
//	go run ./lohakit/world/make all                everything that is shipped
//
// It is run from the repository's root.
package main

import (
	"fmt"
	"os"
)

// target is one thing that can be made; arg is the command line's second word or target's default.
type target struct {
	name, arg string
	shipped   bool // part of "all"
	make      func(arg string) error
}

var targets = []target{
	{"judge", "lohakit/world/assets", true, judge},
	{"base", "lohakit/world/models", true, bases},
	{"card", "lohakit/world/models", true, cards},
	{"pivotal", "lohakit/world/assets", true, pivotal},
	{"manner", "lohakit/world/models", true, manner},
	{"choices", "lohakit/world/models", false, choices},
	{"quickstart", "notebooks/data", true, quickstart},
	{"dataset", "dataset", false, dataset},
	{"sheet", "world.png", false, sheet},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || len(args) > 2 {
		return usage()
	}
	found := false
	for _, t := range targets {
		if t.name != args[0] && !(args[0] == "all" && t.shipped) {
			continue
		}
		found = true
		arg := t.arg
		if len(args) == 2 && args[0] != "all" {
			arg = args[1]
		}
		fmt.Printf("%s → %s\n", t.name, arg)
		if err := t.make(arg); err != nil {
			return err
		}
	}
	if !found {
		return usage()
	}
	return nil
}

func usage() error {
	names := "all"
	for _, t := range targets {
		names += "|" + t.name
	}
	return fmt.Errorf("usage: go run ./lohakit/world/make %s [path]", names)
}
