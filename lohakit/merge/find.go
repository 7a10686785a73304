package merge

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// InFolder finds models as files of a folder and its subfolders: by the name without ending, in any case, else by the only file whose
// name contains it, as web UIs do. No such file, or several, is a fault of kind NotExist.
func InFolder(folder string) func(name string) (string, error) {
	return func(name string) (string, error) {
		var stems, paths []string
		err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && slices.Contains([]string{".safetensors", ".ckpt"}, filepath.Ext(path)) {
				base := filepath.Base(path)
				stems, paths = append(stems, base[:len(base)-len(filepath.Ext(base))]), append(paths, path)
			}
			return err
		})
		if err != nil {
			return "", fault.New(fault.IO, "find model", folder, "%w", err)
		}
		return choose(name, stems, paths)
	}
}

// choose picks the path whose stem is the name, whatever the case, or the only one that contains it.
func choose(name string, stems, paths []string) (string, error) {
	low := strings.ToLower(name)
	var exact, within []string
	for i, stem := range stems {
		if s := strings.ToLower(stem); s == low {
			exact = append(exact, paths[i])
		} else if low != "" && strings.Contains(s, low) {
			within = append(within, paths[i])
		}
	}
	found := append(exact, within...)
	switch {
	case len(exact) == 1 || len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fault.New(fault.NotExist, "find model", name, "%d files could be meant: %s", len(found), strings.Join(found[:min(len(found), 3)], ", ")).
			Fix("write the whole name")
	}
	return "", checkpoint.Unknown("find model", "model", name, stems)
}
