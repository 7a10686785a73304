package main

import (
	"fmt"
	"image"
	"image/draw"
	"math/rand/v2"
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
	columns := slices.Concat([]string{"anime"}, world.Sources, world.Artists)
	var images []image.Image
	for i, name := range world.Names {
		for j, style := range columns {
			s := world.NewScene(rand.New(rand.NewPCG(uint64(i), uint64(j))), style, name)
			t, _ := world.Character(name)
			s.Figures[0].Outfit = t.Outfit
			images = append(images, s.Render(128))
		}
	}
	return save(path, tiled(images, len(columns)))
}

// tiled puts images of one size side by side, in rows of columns.
func tiled(images []image.Image, columns int) image.Image {
	size := images[0].Bounds().Size()
	sheet := image.NewRGBA(image.Rect(0, 0, columns*size.X, (len(images)+columns-1)/columns*size.Y))
	for i, img := range images {
		at := image.Pt(i%columns*size.X, i/columns*size.Y)
		draw.Draw(sheet, image.Rectangle{at, at.Add(size)}, img, img.Bounds().Min, draw.Src)
	}
	return sheet
}
