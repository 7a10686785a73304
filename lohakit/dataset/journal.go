package dataset

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/lohakit/notebook/lohakit/fault"
)

// journalName is the file beside the captions that keeps what WriteCaptions replaced. Its name hides it from every reader of datasets.
const journalName = ".captions-undo.json"

// journalSteps is how many writings can be taken back.
const journalSteps = 20

// written is one WriteCaptions in one folder: each file's content before, nil if there was none, and after.
type written struct {
	ID    int64 // the same in all folders
	Files map[string][2]*string
}

// WriteCaptions writes the captions that differ from their files, each file replaced as a whole, and returns how many. A caption that came
// from the folder's class tokens gets a file once it differs from them. Undo takes the writing back. Captions that would be empty, which
// trainers refuse, are a fault that names them all, and nothing is written.
func (s *Set) WriteCaptions() (int, error) {
	folders := map[string]written{}
	id := time.Now().UnixNano()
	var bad []error
	for _, item := range s.Items {
		sub := s.Subsets[item.Subset]
		path := filepath.Join(filepath.Dir(item.Path), stem(item.Path)+sub.Captions.Extension)
		if old, err := readCaption(sub, item.Path); err == nil && old == item.Caption {
			continue
		}
		if item.Caption == "" {
			bad = append(bad, fault.New(fault.Invalid, "write caption", path, "would be empty").
				Fix("leave at least one tag, or delete the file yourself"))
			continue
		}
		before, err := readIfThere(path)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		dir, after := filepath.Dir(path), item.Caption+"\n"
		if folders[dir].Files == nil {
			folders[dir] = written{ID: id, Files: map[string][2]*string{}}
		}
		folders[dir].Files[filepath.Base(path)] = [2]*string{before, &after}
	}
	if err := joinFaults("write captions", "", bad); err != nil {
		return 0, err
	}
	n := 0
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		w := folders[dir]
		steps, err := readJournal(dir)
		if err != nil {
			return n, err
		}
		steps = append(steps, w)
		// The journal first: a writing that is cut off can then be taken back.
		if err := writeJournal(dir, steps[max(0, len(steps)-journalSteps):]); err != nil {
			return n, err
		}
		for _, name := range slices.Sorted(maps.Keys(w.Files)) {
			if err := replaceFile(filepath.Join(dir, name), w.Files[name][1]); err != nil {
				return n, err
			}
			n++
		}
	}
	s.undo = nil
	return n, nil
}

// undoWrite takes back the last writing in the set's folders.
func (s *Set) undoWrite() (Edit, error) {
	journals := map[string][]written{}
	var last int64
	for _, item := range s.Items {
		dir := filepath.Dir(item.Path)
		if _, done := journals[dir]; done {
			continue
		}
		steps, err := readJournal(dir)
		if err != nil {
			return nil, err
		}
		journals[dir] = steps
		if len(steps) > 0 {
			last = max(last, steps[len(steps)-1].ID)
		}
	}
	maps.DeleteFunc(journals, func(_ string, steps []written) bool { return len(steps) == 0 || steps[len(steps)-1].ID != last })
	if err := unchangedSince(journals); err != nil {
		return nil, err
	}
	for dir, steps := range journals {
		for name, content := range steps[len(steps)-1].Files {
			if err := replaceFile(filepath.Join(dir, name), content[0]); err != nil {
				return nil, err
			}
		}
		if err := writeJournal(dir, steps[:len(steps)-1]); err != nil {
			return nil, err
		}
	}
	var edit Edit
	for i := range s.Items {
		item := &s.Items[i]
		if _, touched := journals[filepath.Dir(item.Path)]; !touched {
			continue
		}
		caption, err := readCaption(s.Subsets[item.Subset], item.Path)
		if err != nil {
			return edit, err
		}
		if caption != item.Caption {
			edit = append(edit, Change{Item: i, Before: item.Caption, After: caption})
			item.Caption = caption
		}
	}
	return edit, nil
}

// unchangedSince refuses to take back a writing over files that somebody else has changed after it, naming them all.
func unchangedSince(journals map[string][]written) error {
	var bad []error
	for _, dir := range slices.Sorted(maps.Keys(journals)) {
		last := journals[dir][len(journals[dir])-1]
		for _, name := range slices.Sorted(maps.Keys(last.Files)) {
			now, err := readIfThere(filepath.Join(dir, name))
			if err != nil {
				bad = append(bad, err)
				continue
			}
			if was := last.Files[name]; !same(was[0], now) && !same(was[1], now) {
				bad = append(bad, fault.New(fault.Invalid, "undo captions", filepath.Join(dir, name), "was changed since by another program").
					Fix("compare it with %s, then delete that file to forget the writing", filepath.Join(dir, journalName)))
			}
		}
	}
	return joinFaults("undo captions", "", bad)
}

func same(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// readIfThere returns a file's content, nil if there is no such file.
func readIfThere(path string) (*string, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, readFault("read caption", path, err)
	}
	text := string(data)
	return &text, nil
}

// replaceFile gives a file its new content at once, or removes it for nil.
func replaceFile(path string, content *string) error {
	var err error
	if content == nil {
		if err = os.Remove(path); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
		if err = os.WriteFile(temporary, []byte(*content), 0o644); err == nil {
			err = os.Rename(temporary, path)
		}
	}
	if err != nil {
		return fault.New(fault.IO, "write caption", path, "%w", err).Fix("check that the folder can be written")
	}
	return nil
}

// readJournal returns the writings of a folder, oldest first.
func readJournal(dir string) ([]written, error) {
	path := filepath.Join(dir, journalName)
	text, err := readIfThere(path)
	if text == nil {
		return nil, err
	}
	steps, err := parseJournal([]byte(*text))
	if err != nil {
		return nil, fault.New(fault.Corrupt, "undo captions", path, "%w", err).Fix("delete it to forget what was written before")
	}
	return steps, nil
}

func parseJournal(data []byte) ([]written, error) {
	var steps []written
	if err := json.Unmarshal(data, &steps); err != nil {
		return nil, err
	}
	for _, w := range steps {
		for name := range w.Files {
			if name != filepath.Base(name) || hidden(name) {
				return nil, errors.New("names files outside its folder")
			}
		}
	}
	return steps, nil
}

// writeJournal keeps the writings of a folder; none removes the file.
func writeJournal(dir string, steps []written) error {
	path := filepath.Join(dir, journalName)
	if len(steps) == 0 {
		return replaceFile(path, nil)
	}
	data, err := json.Marshal(steps)
	if err != nil {
		return fault.New(fault.Other, "write captions", path, "%w", err)
	}
	text := string(data)
	return replaceFile(path, &text)
}
