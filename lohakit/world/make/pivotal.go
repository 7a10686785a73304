package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lohakit/notebook/lohakit/train"
	"github.com/lohakit/notebook/lohakit/world"
)

// pivotal measures how fast an adapter learns a character with its word trained beside it and without, and writes a page about it.
func pivotal(dir string) error {
	const n, name = 100, "Tilty"
	steps := []int{20, 40, 80}
	ctx := context.Background()
	judge, m, err := examination()
	if err != nil {
		return err
	}
	lesson := world.CharacterLesson(name)
	var b strings.Builder
	fmt.Fprintf(&b, "# A trained word beside an adapter\n\nPivotal tuning (`Config.Embeddings`): the first notebook's training of %s on sixteen pictures, where the character's name is "+
		"what CLIP's pieces of it are, and where it is a word of its own, one vector that begins as that of \"girl\" and is trained with the adapter. The share of %d images of "+
		"the name that show the character, by the judge ([its own exam](judge.md)), with Wilson's 95 %% interval.\n\n"+
		"Written by `go run ./lohakit/world/make pivotal`.\n\n| the name |", student, n)
	for _, step := range steps {
		fmt.Fprintf(&b, " %d steps |", step)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(steps)) + "\n")
	for _, row := range []struct {
		word   string
		config train.Config
	}{{"CLIP's pieces", world.FirstAdapter()}, {"a trained word", lesson.Pivotal(world.FirstAdapter())}} {
		shares, err := judge.Course(ctx, m, lesson, row.config, n, steps...)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "| %s |", row.word)
		for _, s := range shares {
			fmt.Fprintf(&b, " %s |", s)
		}
		b.WriteString("\n")
		fmt.Println(row.word, shares)
	}
	return os.WriteFile(filepath.Join(dir, "pivotal.md"), []byte(b.String()), 0o644)
}
