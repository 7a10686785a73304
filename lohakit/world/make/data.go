package main

import (
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/lohakit/notebook/lohakit/world"
)

// quickstart writes a folder for every character, each a data set of its own.
func quickstart(dir string) error {
	for _, name := range world.Names {
		n, err := world.WriteDataset(filepath.Join(dir, name), world.Options{Folders: world.Quickstart(name)})
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d images\n", name, n)
	}
	return nil
}

func dataset(dir string) error {
	n, err := world.WriteDataset(dir, world.Options{})
	fmt.Printf("%d images\n", n)
	return err
}

// sheet draws the five characters (rows) in anime, both sources and every artist's style (columns).
func sheet(path string) error {
	const size = 128
	columns := slices.Concat([]string{"anime"}, world.Sources, world.Artists)
	img := image.NewRGBA(image.Rect(0, 0, len(columns)*size, len(world.Names)*size))
	for i, name := range world.Names {
		for j, style := range columns {
			s := world.NewScene(rand.New(rand.NewPCG(uint64(i), uint64(j))), style, name)
			t, _ := world.Character(name)
			s.Figures[0].Outfit = t.Outfit
			draw.Draw(img, image.Rect(j*size, i*size, (j+1)*size, (i+1)*size), s.Render(size), image.Point{}, draw.Src)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(f, img); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
