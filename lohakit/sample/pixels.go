package sample

import (
	"image"
	"image/color"
	"math"

	"github.com/gomlx/gomlx/pkg/core/tensors"
	"golang.org/x/image/draw"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// pixels is the picture of one decoded image [3, h, w] in −1 … 1; what lies outside is clipped.
func pixels(flat []float32, w, h int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	level := func(channel, i int) uint8 {
		v := (float64(flat[channel*w*h+i]) + 1) / 2
		return uint8(math.Round(255 * math.Min(math.Max(v, 0), 1)))
	}
	for i := range w * h {
		img.SetNRGBA(i%w, i/w, color.NRGBA{level(0, i), level(1, i), level(2, i), 255})
	}
	return img
}

// encode is the latents (their mean) of img scaled to w × h pixels, flat. What is transparent is white, as in web UIs.
func encode(m *sd.Model, img image.Image, w, h int) ([]float32, error) {
	scaled := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(scaled, scaled.Bounds(), image.White, image.Point{}, draw.Src)
	draw.CatmullRom.Scale(scaled, scaled.Bounds(), img, img.Bounds(), draw.Over, nil)
	flat := make([]float32, 3*w*h)
	for i := range w * h {
		for channel := range 3 {
			flat[channel*w*h+i] = float32(scaled.Pix[4*i+channel])/127.5 - 1
		}
	}
	z, err := m.Encode(tensors.FromFlatDataAndDimensions(flat, 1, 3, h, w), nil)
	if err != nil {
		return nil, err
	}
	defer z.MustFinalizeAll()
	out, err := tensors.CopyFlatData[float32](z)
	if err != nil {
		return nil, fault.New(fault.Other, "encode image", "", "%w", err)
	}
	return out, nil
}
