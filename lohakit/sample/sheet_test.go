package sample

import (
	"bytes"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot/cmpimg"

	"github.com/lohakit/notebook/lohakit/chart"
)

// painted is a sheet of plain colours, one cell not drawn yet.
func painted() *Sheet {
	s := &Sheet{Title: "LoHa 8/4 on the miniature base", XName: "Prompt S/R", YName: "Seed",
		Columns: []string{"Anisphia", "Euphyllia, outdoors, smile, looking at the viewer and beyond", "Tilty"}, Rows: []string{"1", "a long name of a training run, 2"}}
	for i := range 6 {
		c := Cell{Info: Info{Prompt: "<b>", Width: 64, Height: 48, Steps: 20, Sampler: "DDIM", CFG: 7}}
		if i != 4 {
			img := image.NewNRGBA(image.Rect(0, 0, 64, 48))
			for p := range 64 * 48 {
				img.SetNRGBA(p%64, p/64, color.NRGBA{uint8(40 * i), uint8(p % 64 * 3), uint8(p / 64 * 4), 255})
			}
			c.Image = img
		}
		s.Cells = append(s.Cells, c)
	}
	return s
}

// TestSheetGolden compares the picture with its golden one in gonum/plot's manner; -regen rewrites it.
func TestSheetGolden(t *testing.T) {
	got, err := chart.PNG(painted().Image())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "sheet_golden.png")
	if *cmpimg.GenerateTestData {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := cmpimg.EqualApprox("png", got, want, 0.1); err != nil || !ok {
		t.Errorf("the sheet differs from its golden picture (%v); look at it, then run go test -regen", err)
	}
}

func TestSheetHTML(t *testing.T) {
	page, err := painted().HTML()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(page, "<img "); n != 5 {
		t.Errorf("%d images, want 5 and an empty cell", n)
	}
	if strings.Contains(page, "<b>") || !strings.Contains(page, "&lt;b&gt;") {
		t.Error("the prompt in the tooltip is not escaped")
	}
}

// TestSheetPNGTellsItsAxes reads the script fields back as a web UI would.
func TestSheetPNGTellsItsAxes(t *testing.T) {
	raw, err := painted().PNG()
	if err != nil {
		t.Fatal(err)
	}
	text, err := ReadPNGText(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "X Type: Prompt S/R, X Values: \"Anisphia, Euphyllia") || !strings.Contains(text, "Y Type: Seed") {
		t.Errorf("infotext %q", text)
	}
}
