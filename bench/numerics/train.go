package main

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/train"
)

// training is the training of the card's adapter, LoHa 8/4 with 8-bit Adam on UNet and text encoder, as train.py reads it.
type training struct {
	size
	TextLayers int `json:"text_layers"`
	TextHeads  int `json:"text_heads"`
	Steps      int `json:"steps"` // in each process, after the first, of which the median counts
	pixels     int // of the image that a latent pixel spans
	rounds     int // processes of each; before them one of lohakit's that has to compile
}

// trainings: mini is the miniature models' at the quick start's size, half that of `make parity`, full SD 1.x at 256 × 256 pixels.
var trainings = []training{
	{size{"mini", []int{32, 64, 96, 96}, 16, 96, 4, 8, 16, 8}, 3, 4, 40, 4, 3},
	{size{"half", []int{32, 64, 64, 64}, 4, 64, 8, 4, 32, 32}, 4, 4, 20, 8, 2},
	{size{"full", []int{320, 640, 1280, 1280}, 4, 768, 8, 1, 32, 32}, 12, 12, 4, 8, 1},
}

// trainingTable prints a row of the README's table for each of the named trainings. Every figure comes from a process of its own.
func trainingTable(names []string, python string) error {
	fmt.Println("| | lohakit, ms a step | PyTorch, ms a step | times as fast | compiling, s | second start, s | lohakit, MB | second start, MB | PyTorch, MB |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for _, t := range trainings {
		if slices.Contains(names, t.Name) {
			if err := beside(t.Name, t, t.rounds, "-step", python, "bench/numerics/train.py"); err != nil {
				return err
			}
		}
	}
	return nil
}

// trainOnce measures the training that spec describes in this process and prints the result.
func trainOnce(spec string) error {
	var t training
	if err := json.Unmarshal([]byte(spec), &t); err != nil {
		return err
	}
	i := slices.IndexFunc(trainings, func(o training) bool { return o.Name == t.Name })
	t.pixels = trainings[i].pixels
	r, err := t.run()
	if err != nil {
		return err
	}
	var walls, cpus []float64
	for range t.Steps + 1 {
		start, used := time.Now(), processorTime()
		if err := r.Step(context.Background(), 1, nil); err != nil {
			return err
		}
		walls, cpus = append(walls, time.Since(start).Seconds()), append(cpus, (processorTime()-used).Seconds())
	}
	peak, err := peakMemory()
	if err != nil {
		return err
	}
	wall := median(walls[1:])
	return json.NewEncoder(os.Stdout).Encode(drawn{wall, median(cpus[1:]), walls[0] - wall, peak})
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// run is a training on random images with random weights: throughput depends on neither.
func (t training) run() (*train.Run, error) {
	text := sd.TextConfig{Rows: 512, Width: t.Cross, Layers: t.TextLayers, Heads: t.TextHeads, MLP: 4 * t.Cross, Positions: sd.Window, TokenIDs: []int32{320}}
	m, err := sd.New(sd.Config{UNet: t.config(), Text: text, VAE: sd.VAEConfig{Latent: t.Latent, Patch: t.pixels, Scale: 1}, Prediction: sd.Epsilon}, 1)
	if err != nil {
		return nil, err
	}
	cfg := train.Default()
	cfg.Resolution, cfg.BatchSize, cfg.MaxTokens, cfg.NoBuckets = t.Side*t.pixels, t.Batch, 75, true
	cfg.StateBlock = 256 // as bitsandbytes 0.50.2
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	if err := images(filepath.Join(folder, "10_noise"), 8, cfg.Resolution); err != nil {
		return nil, err
	}
	data, err := dataset.Load(folder, cfg.Dataset())
	if err != nil {
		return nil, err
	}
	r, err := train.New(m, data, cfg)
	if err != nil {
		return nil, err
	}
	return r, r.Encode(context.Background(), nil)
}

// images writes n images of noise with captions.
func images(folder string, n, side int) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		img := image.NewRGBA(image.Rect(0, 0, side, side))
		for j := range img.Pix {
			img.Pix[j] = uint8(rng.Uint32()) | 255*uint8(j%4/3)
		}
		name := filepath.Join(folder, fmt.Sprint(i))
		file, err := os.Create(name + ".png")
		if err != nil {
			return err
		}
		if err := png.Encode(file, img); err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
		if err := os.WriteFile(name+".txt", []byte("a red house by the sea, blue sky"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
