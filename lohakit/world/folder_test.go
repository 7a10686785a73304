package world_test

import (
	"bytes"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/world"
)

// The card's table, as it prints it: repeats_folder: images.
const card = `17_characters~fanart~OyamaMihari: 53
19_characters~fanart~OyamaMahiro+OyamaMihari: 47
1_artists~kantoku: 2190
24_characters~fanart~Anisphia: 37
28_characters~screenshots~Anisphia+Tilty: 24
2_artists~ke-ta: 738
2_artists~momoko: 762
2_characters~screenshots~Euphyllia: 235
3_characters~fanart~OyamaMahiro: 299
3_characters~screenshots~Anisphia: 217
3_characters~screenshots~OyamaMahiro: 210
3_characters~screenshots~OyamaMahiro+OyamaMihari: 199
3_characters~screenshots~OyamaMihari: 177
4_characters~screenshots~Anisphia+Euphyllia: 165
57_characters~fanart~Euphyllia: 16
5_artists~mochizuki_kei: 426
5_artists~onono_imoko: 373
7_characters~screenshots~Tilty: 95
9_characters~fanart~Anisphia+Euphyllia: 97`

func TestCompositionIsTheCards(t *testing.T) {
	lines := strings.Split(card, "\n")
	if len(world.Composition) != len(lines) {
		t.Fatalf("%d folders, the card has %d", len(world.Composition), len(lines))
	}
	for i, f := range world.Composition {
		if got := fmt.Sprintf("%s: %d", f.Dir(), f.Images); got != lines[i] {
			t.Errorf("%q, the card has %q", got, lines[i])
		}
		for _, s := range f.Scenes(6, 1) {
			caption := s.Caption(world.Pruned)
			if strings.Contains(f.Name, "~fanart~") != strings.HasSuffix(caption, "fanart") ||
				strings.Contains(f.Name, "~screenshots~") != strings.HasSuffix(caption, "aniscreen") {
				t.Errorf("%s: %s", f.Name, caption)
			}
			for _, name := range f.Figures {
				if !strings.Contains(caption, name) {
					t.Errorf("%s has no %s: %s", f.Name, name, caption)
				}
			}
			if len(s.Figures) != max(1, len(f.Figures)) {
				t.Errorf("%s shows %d figures", f.Name, len(s.Figures))
			}
		}
	}
}

func TestWriteDataset(t *testing.T) {
	dir := t.TempDir()
	o := world.Options{Divide: 100, Size: 16}
	n, err := world.WriteDataset(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, f := range world.Composition {
		want := max(1, (f.Images+50)/100)
		images, _ := filepath.Glob(filepath.Join(dir, f.Dir(), "*.png"))
		captions, _ := filepath.Glob(filepath.Join(dir, f.Dir(), "*.txt"))
		if len(images) != want || len(captions) != want {
			t.Errorf("%s has %d images and %d captions, want %d", f.Dir(), len(images), len(captions), want)
		}
		total += want
	}
	if n != total {
		t.Errorf("%d images reported, %d written", n, total)
	}
	first := filepath.Join(dir, "24_characters~fanart~Anisphia", "0001")
	file, err := os.Open(first + ".png")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if img, err := png.Decode(file); err != nil || img.Bounds().Dx() != 16 {
		t.Errorf("%v %v", img.Bounds(), err)
	}

	// Another variant changes the captions and nothing else; so does writing twice.
	before, _ := os.ReadFile(first + ".png")
	o.Captions = world.NoTags
	if _, err := world.WriteDataset(dir, o); err != nil {
		t.Fatal(err)
	}
	after, _ := os.ReadFile(first + ".png")
	if !bytes.Equal(before, after) {
		t.Error("the picture depends on the captions")
	}
	if text, err := os.ReadFile(first + ".txt"); err != nil || len(text) != 0 {
		t.Errorf("no tags: %q %v", text, err)
	}
}

func TestWriteDatasetWithoutStyles(t *testing.T) {
	dir := t.TempDir()
	folders := append([]world.Folder{world.Photos}, world.Composition...)
	if _, err := world.WriteDataset(dir, world.Options{Folders: folders, Divide: 1000, Size: 8, NoStyles: true}); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 15 { // fourteen folders of characters, and the photographs
		t.Errorf("%d folders", len(entries))
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "artists") {
			t.Errorf("%s was written", e.Name())
		}
	}
}

func TestWriteDatasetRefuses(t *testing.T) {
	style := []string{"anime"}
	for _, c := range []struct {
		o    world.Options
		kind fault.Kind
	}{
		{world.Options{Divide: -1}, fault.Invalid},
		{world.Options{Size: 1 << 20}, fault.Invalid},
		{world.Options{Captions: 9}, fault.Invalid},
		{world.Options{Folders: []world.Folder{{Repeats: 0, Name: "a", Images: 1, Styles: style}}}, fault.Invalid},
		{world.Options{Folders: []world.Folder{{Repeats: 1, Name: "../a", Images: 1, Styles: style}}}, fault.Invalid},
		{world.Options{Folders: []world.Folder{{Repeats: 1, Name: "a", Images: 1 << 40, Styles: style}}}, fault.Invalid},
		{world.Options{Folders: []world.Folder{{Repeats: 1, Name: "a", Images: 1}}}, fault.Invalid},
		{world.Options{Folders: []world.Folder{{Repeats: 1, Name: "a", Images: 1, Styles: []string{"anine"}}}}, fault.NotExist},
		{world.Options{Folders: []world.Folder{{Repeats: 1, Name: "a", Images: 1, Styles: style, Figures: []string{"Tilly"}}}}, fault.NotExist},
	} {
		if _, err := world.WriteDataset(t.TempDir(), c.o); !fault.Is(err, c.kind) {
			t.Errorf("%+v gave %v, want a fault of kind %v", c.o, err, c.kind)
		}
	}
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := world.WriteDataset(blocked, world.Options{Folders: world.Quickstart("Tilty")}); !fault.Is(err, fault.IO) {
		t.Errorf("a file in the folder's place gave %v", err)
	}
}
