package chart_test

import (
	"fmt"

	"github.com/lohakit/notebook/lohakit/chart"
)

// A loss curve as a picture of the size asked for.
func ExampleLoss() {
	img, err := chart.Loss(chart.Look{Title: "LoHa 8/4", Width: 480, Height: 300}, 0.9, chart.Series{Y: []float64{0.2, 0.15, 0.18, 0.11, 0.12}})
	fmt.Println(img.Bounds().Dx(), img.Bounds().Dy(), err)
	// Output: 480 300 <nil>
}

// The running mean starts at the first value and leaves gaps alone.
func ExampleSmooth() {
	fmt.Printf("%.2f\n", chart.Smooth([]float64{1, 1, 0, 0}, 0.5))
	// Output: [1.00 1.00 0.43 0.20]
}
