package dataset

import (
	"cmp"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Folder is one image folder of a tree, with the repeats that balance it.
type Folder struct {
	Path     string  // from the root of the tree, with "/": "characters/screenshots/Tilty"
	Images   int     // images directly in it
	Multiply float64 // how much more often than the least repeated image each of its images is seen, 2 decimals, 1…MaxMultiply
}

// Repeats is Multiply cut to a whole number, as the experiments' tool of March 2023 did: 2.97 repeats twice.
func (f Folder) Repeats() int { return max(1, int(f.Multiply)) }

// Name is the kohya folder for it: "7_characters~screenshots~Tilty".
func (f Folder) Name() string {
	return strconv.Itoa(f.Repeats()) + "_" + strings.ReplaceAll(f.Path, "/", "~")
}

// Weight gives the folders that match a pattern another share of their parent than 1.
type Weight struct {
	Pattern string  // a folder's own name, or a pattern with * and ? over its whole path
	Weight  float64 // above 0
}

// MaxMultiply is the most that one image is repeated (the tool's default).
const MaxMultiply = 100

// node is a folder of the tree while probability flows down.
type node struct {
	path     string
	images   int // directly inside
	children []*node
}

// Balance fills in Multiply: every folder shares its probability among its subfolders (and itself, if it also holds images) by weight, and
// each folder's images share what it got. The least repeated image gets 1. An exact name beats a pattern, the first pattern wins.
func Balance(folders []Folder, weights []Weight) ([]Folder, error) {
	for _, w := range weights {
		if !(w.Weight > 0) || math.IsInf(w.Weight, 0) {
			return nil, fault.New(fault.Invalid, "balance folders", w.Pattern, "weight %g is not above 0", w.Weight).
				Fix("use 1 (the default) or another positive number")
		}
		if _, err := path.Match(w.Pattern, ""); err != nil {
			return nil, fault.New(fault.Invalid, "balance folders", w.Pattern, "is not a pattern").Fix("use a folder's name, or * and ?")
		}
	}
	root := &node{}
	for _, f := range folders {
		if f.Images > 0 {
			root.insert("", strings.Split(f.Path, "/"), f.Images)
		}
	}
	perImage := map[string]float64{}
	root.share(1, weights, perImage)
	least := math.Inf(1)
	for _, p := range perImage {
		least = min(least, p)
	}
	out := slices.Clone(folders)
	for i, f := range out {
		if f.Images > 0 {
			out[i].Multiply = min(math.Round(perImage[f.Path]/least*100)/100, MaxMultiply)
		}
	}
	return out, nil
}

// insert adds a folder's images below n.
func (n *node) insert(prefix string, parts []string, images int) {
	if len(parts) == 0 {
		n.images += images
		return
	}
	name := path.Join(prefix, parts[0])
	at := slices.IndexFunc(n.children, func(c *node) bool { return c.path == name })
	if at < 0 {
		n.children = append(n.children, &node{path: name})
		at = len(n.children) - 1
	}
	n.children[at].insert(name, parts[1:], images)
}

// share hands a node's probability down.
func (n *node) share(probability float64, weights []Weight, perImage map[string]float64) {
	total := 0.0
	if n.images > 0 {
		total = weigh(n.path, weights)
	}
	for _, c := range n.children {
		total += weigh(c.path, weights)
	}
	if n.images > 0 {
		perImage[n.path] = probability * weigh(n.path, weights) / total / float64(n.images)
	}
	for _, c := range n.children {
		c.share(probability*weigh(c.path, weights)/total, weights, perImage)
	}
}

func weigh(folder string, weights []Weight) float64 {
	for _, w := range weights {
		if w.Pattern == path.Base(folder) {
			return w.Weight
		}
	}
	for _, w := range weights {
		if matches(w.Pattern, folder) {
			return w.Weight
		}
	}
	return 1
}

// Tree lists the folders below root that hold images, at any depth, for Balance.
func Tree(root string) ([]Folder, error) {
	count := map[string]int{}
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != root && hidden(d.Name()) && d.IsDir():
			return filepath.SkipDir
		case !d.IsDir() && isImage(d.Name()) && !hidden(d.Name()):
			rel, err := filepath.Rel(root, filepath.Dir(p))
			count[filepath.ToSlash(rel)]++
			return err
		}
		return nil
	})
	if err != nil {
		return nil, readFault("balance folders", root, err)
	}
	var all []Folder
	for p, n := range count {
		all = append(all, Folder{Path: p, Images: n})
	}
	slices.SortFunc(all, func(a, b Folder) int { return cmp.Compare(a.Path, b.Path) })
	return all, nil
}

// LoadTree reads a tree of image folders of any depth, balancing their repeats by weights; captions and options are as for Load.
func LoadTree(root string, weights []Weight, opts Options) (*Set, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	folders, err := Tree(root)
	if err != nil {
		return nil, err
	}
	if folders, err = Balance(folders, weights); err != nil {
		return nil, err
	}
	set := &Set{Options: opts}
	for _, f := range folders {
		sub := opts.Subset
		sub.Dir, sub.Repeats = filepath.Join(root, filepath.FromSlash(f.Path)), f.Repeats()
		sub.ClassTokens = sub.Name()
		set.addSubset(sub)
	}
	if err := set.addRegularization(); err != nil {
		return nil, err
	}
	return set, set.finish(root)
}
