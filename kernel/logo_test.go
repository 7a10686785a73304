package main

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"testing"
)

func TestLogo(t *testing.T) {
	for _, size := range []int{32, 64} {
		img, err := png.Decode(bytes.NewReader(logoPNG(size)))
		if err != nil || img.Bounds().Dx() != size || img.Bounds().Dy() != size {
			t.Fatal(err, img.Bounds())
		}
		if _, _, _, a := img.At(0, 0).RGBA(); a != 0 {
			t.Error("the corner is not transparent")
		}
		if _, _, _, a := img.At(size/2, size/2).RGBA(); a != 0xFFFF {
			t.Error("the middle is transparent")
		}
	}
	for d := xml.NewDecoder(bytes.NewReader(logoSVG())); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
