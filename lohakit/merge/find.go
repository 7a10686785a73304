package merge

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// InFolder finds models as files of a folder and its subfolders, linked ones included: by the name, with or without its ending, in any case, else by
// the only file whose name contains it, as web UIs do. No such file, or several, is a fault of kind NotExist.
func InFolder(folder string) func(name string) (string, error) {
	return func(name string) (string, error) {
		paths, err := modelsIn(folder, map[string]bool{})
		switch {
		case errors.Is(err, os.ErrNotExist):
			return "", fault.New(fault.NotExist, "find model", folder, "there is no such folder").Fix("check the path and the working folder")
		case err != nil:
			return "", fault.New(fault.IO, "find model", folder, "%w", err)
		}
		return choose(name, paths)
	}
}

// modelsIn lists the model files of a folder. Folders that were seen, and subfolders that cannot be read, are passed over.
func modelsIn(folder string, seen map[string]bool) (paths []string, err error) {
	real, err := filepath.EvalSymlinks(folder)
	if err != nil || seen[real] {
		return nil, err
	}
	seen[real] = true
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		info, err := os.Stat(path)
		switch {
		case err != nil: // a link to nothing
		case info.IsDir():
			inside, _ := modelsIn(path, seen)
			paths = append(paths, inside...)
		case slices.Contains([]string{".safetensors", ".ckpt"}, filepath.Ext(path)):
			paths = append(paths, path)
		}
	}
	return paths, err
}

// choose picks the path whose file has the name, or the only one that contains it.
func choose(name string, paths []string) (string, error) {
	low := strings.ToLower(name)
	var stems, exact, within []string
	for _, path := range paths {
		base := filepath.Base(path)
		stem := strings.TrimSuffix(base, filepath.Ext(base))
		stems = append(stems, stem)
		if strings.EqualFold(stem, name) || strings.EqualFold(base, name) {
			exact = append(exact, path)
		} else if low != "" && strings.Contains(strings.ToLower(stem), low) {
			within = append(within, path)
		}
	}
	found := append(exact, within...)
	switch {
	case len(exact) == 1 || len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fault.New(fault.NotExist, "find model", name, "%d files could be meant: %s", len(found), strings.Join(found[:min(len(found), 3)], ", ")).
			Fix("write the whole name with its ending, or move the others away")
	}
	return "", checkpoint.Unknown("find model", "model", name, stems)
}
