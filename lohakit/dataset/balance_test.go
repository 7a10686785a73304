package dataset

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// card is the composition of the LyCORIS-experiments model card: folders and images; the number before "_" is what Balance must find.
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

func TestBalanceGivesTheCardsComposition(t *testing.T) {
	var folders []Folder
	var want []string
	for line := range strings.Lines(card) {
		name, count, _ := strings.Cut(strings.TrimSpace(line), ": ")
		_, path, _ := strings.Cut(name, "_")
		n := 0
		for _, d := range count {
			n = 10*n + int(d-'0')
		}
		folders = append(folders, Folder{Path: strings.ReplaceAll(path, "~", "/"), Images: n})
		want = append(want, name)
	}
	folders, err := Balance(folders, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	images, samples := 0, 0
	for _, f := range folders {
		names = append(names, f.Name())
		images, samples = images+f.Images, samples+f.Images*f.Repeats()
	}
	if !slices.Equal(names, want) {
		t.Errorf("got %q\nwant %q", names, want)
	}
	if images != 6360 || samples != 19425 {
		t.Errorf("%d images, %d samples; the card has 6360 and 19425", images, samples)
	}
}

// A tree has regularization images beside it as folders in kohya form do, and images at its root are of the root's class.
func TestLoadTreeAtItsRoot(t *testing.T) {
	root, reg := filepath.Join(t.TempDir(), "Tilty"), t.TempDir()
	writeImage(t, filepath.Join(root, "a.png"), 16, 16)
	writeImage(t, filepath.Join(root, "hats", "b.png"), 16, 16)
	writeImage(t, filepath.Join(reg, "1_girl", "c.png"), 16, 16)
	set, err := LoadTree(root, nil, Options{Resolution: Square(16), Regularization: reg})
	if err != nil {
		t.Fatal(err)
	}
	var captions []string
	for _, item := range set.Items {
		captions = append(captions, item.Caption)
	}
	if !slices.Equal(captions, []string{"Tilty", "hats", "girl"}) || set.count(true) != 2 {
		t.Errorf("captions %q, %d regularization samples", captions, set.count(true))
	}
}

// A folder that also holds images counts as one more child of itself; weights are by name first, by pattern second.
func TestBalanceWeights(t *testing.T) {
	folders, err := Balance([]Folder{{Path: "a", Images: 10}, {Path: "a/b", Images: 10}, {Path: "c", Images: 10}},
		[]Weight{{"*b", 7}, {"b", 3}})
	if err != nil {
		t.Fatal(err)
	}
	// a and c get ½ each; of a's half ¼ stays and ¾ goes to b.
	if folders[0].Multiply != 1 || folders[1].Multiply != 3 || folders[2].Multiply != 4 {
		t.Errorf("%+v", folders)
	}
	if _, err := Balance(folders, []Weight{{"a", -1}}); err == nil {
		t.Error("a negative weight passed")
	}
}
