package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lohakit/notebook/lohakit/fault"
)

// imageExtensions are the files taken for images, as kohya's tools and the balancer do.
var imageExtensions = []string{".png", ".jpg", ".jpeg", ".webp", ".bmp"}

// maxCaption is the most a caption file may hold, in bytes: 225 tokens are about 1 kB, so a larger file is something else.
const maxCaption = 1 << 20

// addFolders adds every N_name folder of dir as a subset that takes the rest of its settings from base.
func (s *Set) addFolders(dir string, base Subset) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return readFault("load dataset", dir, err)
	}
	loose := 0
	for _, e := range entries {
		if hidden(e.Name()) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			if isImage(e.Name()) {
				loose++
			}
			continue
		}
		repeats, class, ok := splitFolder(e.Name())
		if !ok {
			s.warn("folder %s is not read: its name does not begin with a number of repeats and \"_\", such as 3_Euphyllia", e.Name())
			continue
		}
		sub := base
		sub.Dir, sub.Repeats, sub.ClassTokens = path, repeats, class
		s.addSubset(sub)
	}
	if loose > 0 {
		s.warn("%d images directly in %s are not read: put them in a subfolder called N_name", loose, dir)
	}
	return nil
}

// splitFolder reads "3_Euphyllia dress" as 3 repeats and the class tokens "Euphyllia dress".
func splitFolder(name string) (repeats int, class string, ok bool) {
	number, class, found := strings.Cut(name, "_")
	repeats, err := strconv.Atoi(number)
	return repeats, strings.TrimSpace(class), found && err == nil && repeats >= 1 && repeats <= 1e6
}

// addSubset adds the images of one folder with their captions. Files that cannot be used go to s.bad.
func (s *Set) addSubset(sub Subset) {
	entries, err := os.ReadDir(sub.Dir)
	if err != nil {
		s.bad = append(s.bad, readFault("load dataset", sub.Dir, err))
		return
	}
	index := len(s.Subsets)
	s.Subsets = append(s.Subsets, sub)
	found := 0
	for _, e := range entries {
		path := filepath.Join(sub.Dir, e.Name())
		if hidden(e.Name()) || !isImage(e.Name()) {
			continue
		}
		found++
		size, sizeErr := s.Options.Limits.Header(path)
		caption, captionErr := readCaption(sub, path)
		if sizeErr != nil || captionErr != nil {
			s.bad = slices.DeleteFunc(append(s.bad, sizeErr, captionErr), func(e error) bool { return e == nil })
			continue
		}
		if caption == "" {
			s.warn("%s has no caption file and its folder no class tokens: its caption is empty", path)
		}
		s.Items = append(s.Items, Item{Path: path, Subset: index, Caption: caption, Size: size, limits: s.Options.Limits})
	}
	if found == 0 {
		s.warn("folder %s holds no images (png, jpg, jpeg, webp, bmp)", sub.Dir)
	}
}

// readCaption returns the text beside an image: stem + extension, or the stem without its last four "_" fields (names written by face
// detectors); without such a file the class tokens.
func readCaption(sub Subset, image string) (string, error) {
	name := stem(image)
	candidates := []string{name}
	if parts := strings.Split(name, "_"); len(parts) >= 5 {
		candidates = append(candidates, strings.Join(parts[:len(parts)-4], "_"))
	}
	for _, c := range candidates {
		path := filepath.Join(filepath.Dir(image), c+sub.Captions.Extension)
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		if info.Size() > maxCaption {
			return "", fault.New(fault.Invalid, "read caption", path, "%d bytes is more than a caption can be", info.Size()).
				Fix("keep it under 1 MiB")
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return "", readFault("read caption", path, err)
		}
		text := strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\ufeff"))
		switch {
		case !utf8.ValidString(text):
			return "", fault.New(fault.Corrupt, "read caption", path, "is not UTF-8 text").Fix("save it as UTF-8")
		case text == "":
			return "", fault.New(fault.Invalid, "read caption", path, "is empty").
				Fix("write tags into it, or delete it to use the folder's name as caption")
		}
		return text, nil
	}
	return sub.ClassTokens, nil
}

// hidden reports files that archives and desktops leave behind: dot files, "._name" twins, __MACOSX.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || name == "__MACOSX" || name == "Thumbs.db"
}

func isImage(name string) bool {
	return slices.Contains(imageExtensions, strings.ToLower(filepath.Ext(name)))
}

func (s *Set) warn(format string, args ...any) {
	s.found = append(s.found, fmt.Sprintf(format, args...))
}

// readFault turns an error of the os package into a sentence.
func readFault(op, path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotExist, op, path, "there is no such file or folder").Fix("check the path")
	}
	return fault.New(fault.IO, op, path, "%w", err).Fix("check that it can be read")
}

// joinFaults makes one error of many, a line each, so that every bad file is named at once.
func joinFaults(op, path string, bad []error) error {
	switch len(bad) {
	case 0:
		return nil
	case 1:
		return bad[0]
	}
	kind := fault.Invalid
	if slices.ContainsFunc(bad, func(err error) bool { return fault.Is(err, fault.Corrupt) }) {
		kind = fault.Corrupt
	}
	return fault.New(kind, op, path, "%d files cannot be used:\n%w\n", len(bad), errors.Join(bad...)).Fix("mend or delete these files")
}
