package dataset

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
)

func captions(s *Set) (list []string) {
	for _, item := range s.Items {
		list = append(list, item.Caption)
	}
	return list
}

// Each edit changes what it says, tells what it changed, and is taken back by Undo, in reverse order.
func TestEdits(t *testing.T) {
	set, err := Load(fill(t), Options{Resolution: Square(64)})
	if err != nil {
		t.Fatal(err)
	}
	const second = "\nsecond line"
	was := captions(set)
	history := [][]string{was}
	for _, c := range []struct {
		name string
		edit func() (Edit, error)
		want []string
	}{
		{"replace", func() (Edit, error) { return set.ReplaceTag("dress", "gown") }, []string{"by kantoku", "Euphyllia, gown, smile" + second, "Euphyllia, hat"}},
		{"replace by one that is there", func() (Edit, error) { return set.ReplaceTag("smile", "gown") },
			[]string{"by kantoku", "Euphyllia, gown" + second, "Euphyllia, hat"}},
		{"add to one folder", func() (Edit, error) { return set.AddTag("fanart", "3_*") },
			[]string{"by kantoku", "fanart, Euphyllia, gown" + second, "fanart, Euphyllia, hat"}},
		{"sort", func() (Edit, error) { return set.SortTags(1) }, []string{"by kantoku", "fanart, Euphyllia, gown" + second, "fanart, Euphyllia, hat"}},
		{"sort all", func() (Edit, error) { return set.SortTags(0) }, []string{"by kantoku", "Euphyllia, fanart, gown" + second, "Euphyllia, fanart, hat"}},
		{"rename into another", func() (Edit, error) {
			return set.Retag(func(_ Item, tags []string) []string { return append(tags, tags[0]) }, "3_*")
		}, []string{"by kantoku", "Euphyllia, fanart, gown, Euphyllia" + second, "Euphyllia, fanart, hat, Euphyllia"}},
		{"dedupe", func() (Edit, error) { return set.DedupeTags() }, []string{"by kantoku", "Euphyllia, fanart, gown" + second, "Euphyllia, fanart, hat"}},
		{"remove by pattern", func() (Edit, error) { return set.RemoveTag("*a*t*") }, []string{"", "Euphyllia, gown" + second, "Euphyllia"}},
		{"remove nothing", func() (Edit, error) { return set.RemoveTag("no such tag") }, []string{"", "Euphyllia, gown" + second, "Euphyllia"}},
	} {
		before := captions(set)
		edit, err := c.edit()
		if err != nil {
			t.Fatal(err)
		}
		if got := captions(set); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		for _, change := range edit {
			if before[change.Item] != change.Before || set.Items[change.Item].Caption != change.After || change.Before == change.After {
				t.Errorf("%s tells %+v", c.name, change)
			}
		}
		if len(edit) > 0 {
			history = append(history, captions(set))
		}
	}
	for i := len(history) - 2; i >= 0; i-- {
		if edit, err := set.Undo(); err != nil || len(edit) == 0 || !slices.Equal(captions(set), history[i]) {
			t.Errorf("undo %d: %q, %v, want %q", i, captions(set), err, history[i])
		}
	}
	if edit, err := set.Undo(); len(edit) != 0 || err != nil {
		t.Errorf("nothing was left to take back: %+v, %v", edit, err)
	}
	for name, edit := range map[string]func() (Edit, error){
		"two tags":     func() (Edit, error) { return set.AddTag("a, b") },
		"no tag":       func() (Edit, error) { return set.ReplaceTag("hat", " ") },
		"not a glob":   func() (Edit, error) { return set.RemoveTag("[") },
		"other folder": func() (Edit, error) { return set.AddTag("a", "3_Euphylia") },
	} {
		if _, err := edit(); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := set.Tags("3_Euphylia"); !fault.Is(err, fault.NotExist) || !strings.Contains(err.Error(), "3_Euphyllia") {
		t.Errorf("a folder that is not there: %v", err)
	}
	if tags, err := set.Tags("3_*"); err != nil || tags[0] != (Tag{"Euphyllia", 2}) {
		t.Errorf("tags %v, %v", tags, err)
	}
}

// files reads every file below dir that is not hidden.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || hidden(d.Name()) {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What WriteCaptions wrote is taken back byte for byte, by the set that wrote or by another one later, and a file that did not
// exist is gone again.
func TestUndoRestoresFiles(t *testing.T) {
	dir := fill(t)
	writeText(t, filepath.Join(dir, "3_Euphyllia", "b.txt"), "\ufeffEuphyllia,hat \r\n")
	before := files(t, dir)
	load := func() *Set {
		set, err := Load(dir, Options{Resolution: Square(64)})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	set := load()
	write := func(edit Edit, err error) map[string]string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := set.WriteCaptions(); n != len(edit) || err != nil {
			t.Fatalf("wrote %d of %d: %v", n, len(edit), err)
		}
		return files(t, dir)
	}
	first := write(set.ReplaceTag("hat", "cap"))
	if got := first[filepath.Join(dir, "3_Euphyllia", "b.txt")]; got != "Euphyllia, cap\n" {
		t.Errorf("file holds %q", got)
	}
	second := write(set.AddTag("drawing"))
	if len(second) != len(first)+1 {
		t.Errorf("%d files, then %d: the class tokens should have become one", len(first), len(second))
	}
	if n, err := set.WriteCaptions(); n != 0 || err != nil {
		t.Errorf("wrote %d captions again: %v", n, err)
	}

	set = load() // another session
	edit, err := set.Undo()
	if err != nil || len(edit) != 3 {
		t.Errorf("took back %+v, %v", edit, err)
	}
	equal := func(want map[string]string) {
		t.Helper()
		got := files(t, dir)
		for path := range got {
			if got[path] != want[path] || len(got) != len(want) {
				t.Errorf("%s holds %q, want %q (%d files, want %d)", path, got[path], want[path], len(got), len(want))
			}
		}
		if !slices.Equal(captions(set), captions(load())) {
			t.Errorf("the set has %q, the files %q", captions(set), captions(load()))
		}
	}
	equal(first)
	if _, err := set.Undo(); err != nil {
		t.Error(err)
	}
	equal(before)
	if _, err := os.Stat(filepath.Join(dir, "3_Euphyllia", journalName)); err == nil {
		t.Error("the journal of nothing is still there")
	}

	write(set.AddTag("drawing"))
	writeText(t, filepath.Join(dir, "3_Euphyllia", "a.txt"), "changed by hand")
	now := files(t, dir)
	if _, err := set.Undo(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "a.txt") {
		t.Errorf("a file changed by hand would be lost: %v", err)
	}
	if got := files(t, dir)[filepath.Join(dir, "3_Euphyllia", "b.txt")]; got != now[filepath.Join(dir, "3_Euphyllia", "b.txt")] {
		t.Error("some files were taken back and some not")
	}
	if _, err := set.RemoveTag("*"); err != nil {
		t.Fatal(err)
	}
	if _, err := set.WriteCaptions(); err == nil || !strings.Contains(err.Error(), "b.txt") || !strings.Contains(err.Error(), "c.txt") {
		t.Errorf("empty captions, not all named: %v", err)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`[{"ID":1,"Files":{"a.txt":["a","b"],"c.txt":[null,"d"]}}]`))
	f.Add([]byte(`[{"Files":{"../a.txt":["a","b"]}}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		steps, err := parseJournal(data)
		if err != nil {
			return
		}
		for _, w := range steps {
			for name := range w.Files {
				if filepath.Join("dir", name) != "dir"+string(filepath.Separator)+name {
					t.Errorf("%q leaves its folder", name)
				}
			}
		}
	})
}
