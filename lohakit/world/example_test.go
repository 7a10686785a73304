package world_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/lohakit/notebook/lohakit/world"
)

// A scene lists what is drawn; its tags follow from it.
func ExampleScene() {
	mahiro, _ := world.Character("OyamaMahiro")
	s := world.Scene{
		Figures:    []world.Figure{{Name: "OyamaMahiro", Traits: mahiro, Expression: "smile", Gesture: "waving"}},
		Framing:    "upper body",
		Background: "park",
		Style:      "aniscreen",
		Seed:       1,
	}
	fmt.Println(s.Render(64).Bounds().Size())
	fmt.Println(s.Caption(world.All))
	fmt.Println(s.Caption(world.Pruned))
	// Output:
	// (64,64)
	// 1girl, solo, OyamaMahiro, white hair, twintails, brown eyes, ahoge, pink hoodie, smile, waving, upper body, outdoors, park, tree, anime screencap, aniscreen
	// 1girl, solo, OyamaMahiro, smile, waving, upper body, outdoors, park, tree, aniscreen
}

func ExamplePopulation() {
	rng := rand.New(rand.NewPCG(1, 2))
	fmt.Println(world.Population(rng).Caption(world.All))
	fmt.Println(world.Population(rng).Caption(world.All))
	// Output:
	// 1girl, solo, black hair, side ponytail, green eyes, hair bow, black shirt, smile, upper body, simple background, white background, watercolor (medium)
	// 1girl, solo, green hair, side ponytail, red eyes, star hair ornament, pink dress, smile, head tilt, upper body, outdoors, beach, ocean, anime coloring
}

func ExampleShare() {
	fmt.Println(world.Share{Hits: 83, N: 100})
	// Output: 0.83 (0.74–0.89, n = 100)
}
