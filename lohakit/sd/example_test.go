package sd_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
)

// A prompt is tokenized, cut into chunks of 75 and encoded.
func Example() {
	m, err := sd.New(miniature(), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := sd.CLIP().Encode("1girl, silver hair, (masterpiece)")
	chunks, err := sd.Chunk(ids, 75)
	if err != nil {
		fmt.Println(err)
		return
	}
	states, err := m.EncodeText([][]int32{chunks}, 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d tokens: %q\n", len(ids), sd.CLIP().Decode(ids))
	fmt.Println("states:", states.Shape().Dimensions)
	// Output:
	// 9 tokens: "1 girl , silver hair , ( masterpiece ) "
	// states: [1 77 32]
}

// Sizes come from the file: the same code opens the miniature models and Stable Diffusion 1.5.
func ExampleOpen() {
	folder, err := os.MkdirTemp("", "sd")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "miniature.safetensors")
	m, err := sd.New(miniature(), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := m.Save(path, checkpoint.F16); err != nil {
		fmt.Println(err)
		return
	}
	m, err = sd.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("UNet:", m.Config.UNet.Channels, m.UNet.Size(), "parameters")
	fmt.Println("text encoder:", m.Config.Text.Layers, "layers,", len(m.Config.Text.TokenIDs), "tokens of its own")
	fmt.Println("autoencoder: 1 latent pixel for", m.Config.VAE.Factor(), "by", m.Config.VAE.Factor())
	// Output:
	// UNet: [16 32] 203782 parameters
	// text encoder: 2 layers, 3 tokens of its own
	// autoencoder: 1 latent pixel for 4 by 4
}

func miniature() sd.Config {
	return sd.Config{
		UNet: sd.UNetConfig{In: 6, Out: 6, Channels: []int{16, 32}, Layers: 1, Attention: []bool{true, false}, CrossDim: 32, Heads: 4},
		Text: sd.TextConfig{Rows: 8, Width: 32, Layers: 2, Heads: 2, MLP: 64, Positions: sd.Window,
			TokenIDs: []int32{267, 1611, sd.EOS}},
		VAE:        sd.VAEConfig{Patch: 4, Latent: 6, Scale: 0.5},
		Prediction: sd.V,
	}
}
