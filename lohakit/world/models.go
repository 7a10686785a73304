package world

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Models returns the names of all base models: the trained ones, which are shipped, then the merged ones.
func Models() []string {
	var names []string
	for _, r := range Trained {
		names = append(names, r.Name)
	}
	for _, r := range recipes {
		for _, l := range r.Lines {
			if !slices.Contains(names, l.Out) {
				names = append(names, l.Out)
			}
		}
	}
	return names
}

// Family is a group of base models that are related or look alike.
type Family struct {
	Name   string
	Models []string
}

// Families are the card's, less the outliers, which have none: MFB most of all.
var Families = []Family{
	{"source", []string{"NAI", "AC"}},
	{"Anything and Orange", []string{"Aom3a1", "Anything4.5", "AnyLora", "Counterfeit-V2.5", "NED"}},
	{"photorealistic", []string{"NED", "ChilloutMix"}},
	{"pastel", []string{"RacyMix", "PastelMix"}},
	{"AC", []string{"AC", "BP", "NMFSAN"}},
}

// FolderVar names the folder of the shipped models, for a process that runs outside the repository.
const FolderVar = "LOHAKIT_WORLD"

// Find returns the file of the base model called name, in capitals or not, or by the file name that the card's recipes have for it. A trained
// one is in $LOHAKIT_WORLD, or in lohakit/world/models of the working folder or one of its parents. A merged one is computed when it is
// first asked for, and kept in the user's cache folder.
//
// Errors: NotExist for a name no model has; Missing if a shipped file is not there; those of merging.
func Find(name string) (string, error) {
	if to, ok := aliases[name]; ok {
		name = to
	}
	for _, r := range Trained {
		if strings.EqualFold(r.Name, name) {
			return shipped(r.Name)
		}
	}
	if r := MergeOf(name); r != nil {
		return mixed(r)
	}
	near := checkpoint.Nearest(name, Models(), 3)
	if len(near) == 0 {
		near = Models()[:3]
	}
	return "", fault.New(fault.NotExist, "open model", name, "neither a file nor a base model of the miniature world").
		Fix("give a path to a .safetensors file, or a name such as %s", strings.Join(near, ", "))
}

func shipped(name string) (string, error) {
	file := name + ".safetensors"
	if folder := os.Getenv(FolderVar); folder != "" {
		if path := filepath.Join(folder, file); exists(path) {
			return path, nil
		}
	}
	dir, err := os.Getwd()
	for err == nil {
		if path := filepath.Join(dir, "lohakit", "world", "models", file); exists(path) {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return "", fault.New(fault.Missing, "open model", name, "its file %s is not below the working folder", file).
		Fix("work inside the repository, or set %s to its lohakit/world/models", FolderVar)
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
