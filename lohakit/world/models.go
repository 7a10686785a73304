package world

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Models are the names of the shipped base models.
var Models = func() []string {
	var names []string
	for _, r := range Trained {
		names = append(names, r.Name)
	}
	return names
}()

// FolderVar names the folder of the shipped models, for a process that runs outside the repository.
const FolderVar = "LOHAKIT_WORLD"

// Find returns the file of the shipped model called name: in $LOHAKIT_WORLD, or in lohakit/world/models of the working folder or one of
// its parents.
func Find(name string) (string, error) {
	if !slices.Contains(Models, name) {
		return "", fault.New(fault.NotExist, "open model", name, "neither a file nor a shipped model").
			Fix("give a path to a .safetensors file, or one of: %s", strings.Join(Models, ", "))
	}
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
