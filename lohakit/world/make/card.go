package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/world"
)

// card examines the shipped base model and writes its page: a grid of samples, how well it follows prompts, how well it learns.
func card(dir string) error {
	ctx := context.Background()
	m, err := sd.Open(filepath.Join(dir, "miniature.safetensors"))
	if err != nil {
		return err
	}
	judge, err := world.Judge()
	if err != nil {
		return err
	}
	if err := sampleSheet(ctx, m, filepath.Join(dir, "miniature.png")); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# miniature\n\nWritten by `go run ./lohakit/world/make card`. %s training steps of 16 images from nothing, %d pixels square, "+
		"UNet of %d weights, text encoder of %d. Two things differ from Stable Diffusion 1.x: the autoencoder is one linear map per 4×4 patch, "+
		"and the token table has rows only for the words of this world.\n\n![samples](miniature.png)\n", m.Metadata["lohakit.steps"], world.Size, m.UNet.Size(), m.Text.Size())

	r, err := judge.Obey(ctx, m, 200, 7)
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n## How often the image shows what the prompt asked for\n\n200 prompts of scenes that no training has seen, judged by the judge "+
		"([its own exam](../assets/judge.md)), with Wilson's 95 %% interval.\n\n```\n%s```\n", r)
	fmt.Fprintf(&b, "\n## How often an adapter shows the character it was trained on\n\nThe first notebook's training: a LoHa 8/4, alpha 1, 120 steps of 8 "+
		"on sixteen images; 40 images of the name in eight places.\n\n| character | before | after |\n|---|---|---|\n")
	for _, name := range world.Names {
		before, after, err := judge.Learns(ctx, m, filepath.Join("notebooks", "data", name), name, 40)
		if err != nil {
			return err
		}
		fmt.Printf("%s: before %s, after %s\n", name, before, after)
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, before, after)
	}
	return os.WriteFile(filepath.Join(dir, "miniature.md"), []byte(b.String()), 0o644)
}

func sampleSheet(ctx context.Context, m *sd.Model, path string) error {
	g := sample.Grid{Base: sample.Request{Model: m, Options: sample.Options{CFG: 4}}, X: sample.Seeds(1, 2, 3, 4, 5, 6), Y: sample.Prompts(
		"1girl, solo, blonde hair, side ponytail, purple eyes, hair bow, red dress, smile, upper body, outdoors, blue sky, cloud, anime coloring",
		"1girl, solo, green hair, braid, red eyes, glasses, black suit, smile, upper body, outdoors, city, building, anime coloring",
		"1girl, solo, pink hair, twintails, brown eyes, blue hoodie, open mouth, portrait, simple background, white background, flat color",
		"1girl, solo, Lysandre, smile, upper body, outdoors, park, tree, anime coloring",
		"1girl, solo, black hair, long hair, blue eyes, yellow kimono, smile, upper body, outdoors, night sky, star (sky), holding umbrella, red umbrella, anime coloring",
		"1girl, solo, purple hair, short hair, yellow eyes, white shirt, smile, upper body, indoors, window, watercolor (medium)",
	)}
	sheet, err := g.Draw(ctx, nil)
	if err != nil {
		return err
	}
	png, err := sheet.PNG()
	if err != nil {
		return err
	}
	return os.WriteFile(path, png, 0o644)
}
