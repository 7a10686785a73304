package sample

import (
	"image"
	"image/color"
	"image/draw"
	"strings"
	"sync"
	"unicode/utf8"

	"codeberg.org/go-fonts/liberation/liberationsansbold"
	"codeberg.org/go-fonts/liberation/liberationsansregular"
	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Line heights of the two sizes of text, in pixels.
const (
	titleHeight = 24
	labelHeight = 16
)

var (
	titleFace = sync.OnceValue(func() font.Face { return face(liberationsansbold.TTF, 16) })
	labelFace = sync.OnceValue(func() font.Face { return face(liberationsansregular.TTF, 12) })
	ink       = color.RGBA{0x33, 0x33, 0x33, 0xff}
)

// drawing guards the faces, which are not safe for concurrent use.
var drawing sync.Mutex

// face is one of the fonts that are part of this program, so that an error is a fault of the program.
func face(ttf []byte, pixels float64) font.Face {
	f, err := opentype.Parse(ttf)
	if err != nil {
		panic(err)
	}
	out, err := opentype.NewFace(f, &opentype.FaceOptions{Size: pixels, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err)
	}
	return out
}

func textWidth(s string, f font.Face) int {
	drawing.Lock()
	defer drawing.Unlock()
	return font.MeasureString(f, s).Ceil()
}

// drawText writes s with its baseline starting at x, y.
func drawText(img draw.Image, s string, f font.Face, x, y int) {
	drawing.Lock()
	defer drawing.Unlock()
	d := font.Drawer{Dst: img, Src: image.NewUniform(ink), Face: f, Dot: fixed.P(x, y)}
	d.DrawString(s)
}

// breakLines divides s into at most n lines that fit width, at spaces where it can; what does not fit ends in an ellipsis.
func breakLines(s string, f font.Face, width, n int) []string {
	s = strings.Join(strings.Fields(s), " ")
	var lines []string
	for s != "" && len(lines) < max(n, 1) {
		fit := fitting(s, f, width)
		if fit < len(s) {
			if space := strings.LastIndexByte(s[:fit+1], ' '); space > 0 {
				fit = space
			}
		}
		lines = append(lines, strings.TrimSpace(s[:fit]))
		s = strings.TrimSpace(s[fit:])
	}
	if s != "" {
		last := lines[len(lines)-1]
		for last != "" && textWidth(last+"…", f) > width {
			_, size := utf8.DecodeLastRuneInString(last)
			last = last[:len(last)-size]
		}
		lines[len(lines)-1] = last + "…"
	}
	return lines
}

// fitting is the length of the longest start of s, at least one character, that is at most width wide.
func fitting(s string, f font.Face, width int) int {
	drawing.Lock()
	defer drawing.Unlock()
	var sum fixed.Int26_6
	for i, r := range s {
		advance, ok := f.GlyphAdvance(r)
		if !ok {
			advance = fixed.I(labelHeight)
		}
		if sum += advance; sum.Ceil() > width && i > 0 {
			return i
		}
	}
	return len(s)
}
