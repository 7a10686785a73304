package dataset

import (
	"path"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Edit is what an edit of tags changed, by item. The captions change in memory: WriteCaptions makes the change lasting, Undo takes it back.
type Edit []Change

// Change is one caption before and after an edit.
type Change struct {
	Item          int // index into Set.Items
	Before, After string
}

// Retag changes the tags of every caption by change, which is given an item and its tags and returns what they become. folders are
// patterns with * and ? over the folders' names ("*fanart*"); none means all. Only the first line of a caption is touched.
func (s *Set) Retag(change func(item Item, tags []string) []string, folders ...string) (Edit, error) {
	chosen, err := s.choose(folders)
	if err != nil {
		return nil, err
	}
	var edit Edit
	for i := range s.Items {
		item := &s.Items[i]
		if !chosen[item.Subset] {
			continue
		}
		tags := s.tagsOf(*item)
		after := change(*item, slices.Clone(tags))
		if slices.Equal(tags, after) {
			continue
		}
		c := Change{Item: i, Before: item.Caption, After: strings.Join(after, s.Subsets[item.Subset].Captions.Separator+" ")}
		if _, rest, more := strings.Cut(item.Caption, "\n"); more {
			c.After += "\n" + rest
		}
		item.Caption = c.After
		edit = append(edit, c)
	}
	if len(edit) > 0 {
		s.undo = append(s.undo, edit)
	}
	return edit, nil
}

// AddTag puts a tag in front of every caption of the folders that does not have it.
func (s *Set) AddTag(tag string, folders ...string) (Edit, error) {
	if err := s.checkTag("add tag", tag); err != nil {
		return nil, err
	}
	return s.Retag(func(_ Item, tags []string) []string {
		if slices.Contains(tags, tag) {
			return tags
		}
		return slices.Insert(tags, 0, tag)
	}, folders...)
}

// RemoveTag takes a tag, or all that match a pattern with * and ? ("* hair"), off every caption of the folders.
func (s *Set) RemoveTag(tag string, folders ...string) (Edit, error) {
	if _, err := path.Match(tag, ""); err != nil {
		return nil, fault.New(fault.Invalid, "remove tag", tag, "is not a pattern").Fix("use a tag, or * and ?")
	}
	return s.Retag(func(_ Item, tags []string) []string {
		return slices.DeleteFunc(tags, func(t string) bool { return t == tag || matches(tag, t) })
	}, folders...)
}

// ReplaceTag renames a tag in every caption of the folders. Where the new tag is there already, the old one is removed.
func (s *Set) ReplaceTag(old, new string, folders ...string) (Edit, error) {
	if err := s.checkTag("replace tag by", new); err != nil {
		return nil, err
	}
	return s.Retag(func(_ Item, tags []string) []string {
		at := slices.Index(tags, old)
		if at < 0 {
			return tags
		}
		if slices.Contains(tags, new) {
			return slices.DeleteFunc(tags, func(t string) bool { return t == old })
		}
		tags[at] = new
		return tags
	}, folders...)
}

// DedupeTags leaves only the first of equal tags in every caption of the folders.
func (s *Set) DedupeTags(folders ...string) (Edit, error) {
	return s.Retag(func(_ Item, tags []string) []string {
		var once []string
		for _, t := range tags {
			if !slices.Contains(once, t) {
				once = append(once, t)
			}
		}
		return once
	}, folders...)
}

// SortTags puts the tags of every caption of the folders in alphabetical order, the first keep of each (its trigger words) staying in front.
func (s *Set) SortTags(keep int, folders ...string) (Edit, error) {
	return s.Retag(func(_ Item, tags []string) []string {
		slices.Sort(tags[min(max(keep, 0), len(tags)):])
		return tags
	}, folders...)
}

// Undo takes back the last edit of tags; once all are taken back, the last WriteCaptions, whose files get their former content, byte for
// byte, or are removed if there were none, also those that an earlier session wrote. The edit it returns has the captions as they
// were and are; it is empty when there is nothing to take back.
func (s *Set) Undo() (Edit, error) {
	if len(s.undo) == 0 {
		return s.undoWrite()
	}
	last := s.undo[len(s.undo)-1]
	s.undo = s.undo[:len(s.undo)-1]
	back := make(Edit, len(last))
	for i, c := range last {
		s.Items[c.Item].Caption = c.Before
		back[i] = Change{Item: c.Item, Before: c.After, After: c.Before}
	}
	return back, nil
}

// choose tells which subsets the patterns name.
func (s *Set) choose(folders []string) ([]bool, error) {
	chosen := make([]bool, len(s.Subsets))
	var names []string
	for i, sub := range s.Subsets {
		chosen[i] = len(folders) == 0
		names = append(names, sub.Name())
	}
	for _, pattern := range folders {
		found := false
		for i, name := range names {
			if name == pattern || matches(pattern, name) {
				chosen[i], found = true, true
			}
		}
		if !found {
			return nil, checkpoint.Unknown("edit tags", "folder", pattern, names)
		}
	}
	return chosen, nil
}

// matches reports whether a name fits a pattern of which "/" is no special part.
func matches(pattern, name string) bool {
	ok, _ := path.Match(strings.ReplaceAll(pattern, "/", "~"), strings.ReplaceAll(name, "/", "~"))
	return ok
}

// checkTag refuses what would not be one tag when it is read again.
func (s *Set) checkTag(op, tag string) error {
	for _, sub := range s.Subsets {
		if tags := sub.Captions.filled(tag); len(tags) != 1 || tags[0] != tag || strings.Contains(tag, "\n") {
			return fault.New(fault.Invalid, op, tag, "is not one tag").Fix("leave out %q, line ends and spaces around it", sub.Captions.Separator)
		}
	}
	return nil
}
