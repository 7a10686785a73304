package world

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Folder is one kohya folder of a data set: Repeats_Name, with Images pictures.
type Folder struct {
	Repeats int      // how often an epoch shows each picture
	Name    string   // "characters~fanart~Anisphia"
	Images  int      // before division
	Styles  []string // taken in turn
	Figures []string // names of characters; none: one passer-by
}

// Dir returns the folder's name on disk: "24_characters~fanart~Anisphia".
func (f Folder) Dir() string { return fmt.Sprintf("%d_%s", f.Repeats, f.Name) }

// Composition is the card's training set, folder by folder: repeats, names and numbers of images are its own.
var Composition = []Folder{
	{17, "characters~fanart~OyamaMihari", 53, fanart, []string{"OyamaMihari"}},
	{19, "characters~fanart~OyamaMahiro+OyamaMihari", 47, fanart, []string{"OyamaMahiro", "OyamaMihari"}},
	{1, "artists~kantoku", 2190, []string{"kantoku"}, nil},
	{24, "characters~fanart~Anisphia", 37, fanart, []string{"Anisphia"}},
	{28, "characters~screenshots~Anisphia+Tilty", 24, aniscreen, []string{"Anisphia", "Tilty"}},
	{2, "artists~ke-ta", 738, []string{"ke-ta"}, nil},
	{2, "artists~momoko", 762, []string{"momoko"}, nil},
	{2, "characters~screenshots~Euphyllia", 235, aniscreen, []string{"Euphyllia"}},
	{3, "characters~fanart~OyamaMahiro", 299, fanart, []string{"OyamaMahiro"}},
	{3, "characters~screenshots~Anisphia", 217, aniscreen, []string{"Anisphia"}},
	{3, "characters~screenshots~OyamaMahiro", 210, aniscreen, []string{"OyamaMahiro"}},
	{3, "characters~screenshots~OyamaMahiro+OyamaMihari", 199, aniscreen, []string{"OyamaMahiro", "OyamaMihari"}},
	{3, "characters~screenshots~OyamaMihari", 177, aniscreen, []string{"OyamaMihari"}},
	{4, "characters~screenshots~Anisphia+Euphyllia", 165, aniscreen, []string{"Anisphia", "Euphyllia"}},
	{57, "characters~fanart~Euphyllia", 16, fanart, []string{"Euphyllia"}},
	{5, "artists~mochizuki_kei", 426, []string{"mochizuki kei"}, nil},
	{5, "artists~onono_imoko", 373, []string{"onono imoko"}, nil},
	{7, "characters~screenshots~Tilty", 95, aniscreen, []string{"Tilty"}},
	{9, "characters~fanart~Anisphia+Euphyllia", 97, fanart, []string{"Anisphia", "Euphyllia"}},
}

// Quickstart is a small set for a first adapter: one character sixteen times, screenshots and fan art in turn.
func Quickstart(name string) []Folder { return []Folder{{10, name, 16, bothSources, []string{name}}} }

// Photos is the regularization folder of experiment E13: passers-by photographed.
var Photos = Folder{1, "regularization~photos", 1000, []string{"realistic"}, nil}

var (
	fanart      = []string{"fanart"}
	aniscreen   = []string{"aniscreen"}
	bothSources = []string{"aniscreen", "fanart"}
)

// Options say which data set WriteDataset writes. The zero value is the card's composition with every count divided by ten, at 64 px,
// with pruned captions.
type Options struct {
	Folders  []Folder // default Composition; add Photos for experiment E13
	Divide   int      // every folder's number of images is divided by this, rounded, but at least 1; default 10 for Composition, else 1
	Size     int      // pixels, 8 … 2048; default 64
	Captions Variant
	NoStyles bool   // leave out the folders of the artists (experiment E02)
	Seed     uint64 // another seed, other pictures; captions in another variant do not change them
}

// Count returns how many images a folder of n has after division.
func (o Options) Count(n int) int { return max(1, (n+o.Divide/2)/o.Divide) }

func (o Options) withDefaults() Options {
	if o.Divide == 0 {
		o.Divide = 1
		if o.Folders == nil {
			o.Divide = 10
		}
	}
	if o.Folders == nil {
		o.Folders = Composition
	}
	if o.Size == 0 {
		o.Size = 64
	}
	return o
}

// Scenes returns what the folder's images show, n of them after division. Image i is the same whatever n is.
func (f Folder) Scenes(n int, seed uint64) []Scene {
	h := fnv.New64a()
	h.Write([]byte(f.Name))
	scenes := make([]Scene, n)
	for i := range scenes {
		rng := rand.New(rand.NewPCG(seed^h.Sum64(), uint64(i)))
		names := f.Figures
		switch {
		case len(names) == 0:
			names = []string{""}
		case len(names) == 2 && rng.Float64() < 0.5:
			names = []string{names[1], names[0]}
		}
		scenes[i] = NewScene(rng, f.Styles[i%len(f.Styles)], names...)
	}
	return scenes
}

// WriteDataset writes the folders under dir, 0001.png beside 0001.txt and so on, and returns how many images it wrote. The same options
// write the same bytes; files of the same names are replaced, others are left.
func WriteDataset(dir string, o Options) (int, error) {
	const op = "write data set"
	o = o.withDefaults()
	switch {
	case o.Divide < 1:
		return 0, fault.New(fault.Invalid, op, "Divide", "%d is not a divisor", o.Divide).Fix("use 10 (the default) or any number from 1")
	case o.Size < 8 || o.Size > 2048:
		return 0, fault.New(fault.Invalid, op, "Size", "%d px is outside 8 … 2048", o.Size).Fix("use 64 (the default)")
	case o.Captions < Pruned || o.Captions > AllAniscreen:
		return 0, fault.New(fault.Invalid, op, "Captions", "%d is not a variant", int(o.Captions)).Fix("use Pruned, All, NoTags or AllAniscreen")
	}
	for _, f := range o.Folders {
		if err := f.check(); err != nil {
			return 0, err
		}
	}
	written := 0
	for _, f := range o.Folders {
		if o.NoStyles && len(f.Figures) == 0 && Trigger(f.Styles[0]) != "" {
			continue
		}
		path := filepath.Join(dir, f.Dir())
		if err := os.MkdirAll(path, 0o755); err != nil {
			return written, fault.New(fault.IO, op, path, "%w", err)
		}
		for i, s := range f.Scenes(o.Count(f.Images), o.Seed) {
			if err := s.Check(); err != nil {
				return written, err
			}
			if err := s.write(filepath.Join(path, fmt.Sprintf("%04d", i+1)), o); err != nil {
				return written, fault.New(fault.IO, op, path, "%w", err)
			}
			written++
		}
	}
	return written, nil
}

func (f Folder) check() error {
	const op = "write data set"
	switch {
	case f.Name == "" || filepath.Base(f.Name) != f.Name:
		return fault.New(fault.Invalid, op, "Name", "%q is not a folder's name", f.Name).Fix("use a name without separators")
	case f.Repeats < 1:
		return fault.New(fault.Invalid, op, f.Name, "%d repeats", f.Repeats).Fix("use 1 or more")
	case f.Images < 1 || f.Images > 1_000_000:
		return fault.New(fault.Invalid, op, f.Name, "%d images", f.Images).Fix("use 1 … 1,000,000")
	case len(f.Styles) == 0:
		return fault.New(fault.Invalid, op, f.Name, "it has no style").Fix("name at least one: anime, aniscreen, fanart …")
	}
	for _, name := range f.Figures {
		if _, ok := Character(name); !ok && name != "" {
			return checkpoint.Unknown(op, "character", name, Names)
		}
	}
	return nil
}

func (s Scene) write(base string, o Options) error {
	var b bytes.Buffer
	if err := png.Encode(&b, s.Render(o.Size)); err != nil {
		return err
	}
	if err := os.WriteFile(base+".png", b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(base+".txt", []byte(s.Caption(o.Captions)), 0o644)
}
