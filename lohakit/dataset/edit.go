package dataset

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Retag changes the tags of every caption by change, which is given an item's tags and returns what they become, and returns how many
// captions changed. Only the first line of a caption is touched. Undo takes it back; WriteCaptions makes it lasting.
func (s *Set) Retag(change func(item Item, tags []string) []string) int {
	before := map[int]string{}
	for i := range s.Items {
		item := &s.Items[i]
		tags := s.tagsOf(*item)
		after := change(*item, slices.Clone(tags))
		if slices.Equal(tags, after) {
			continue
		}
		_, rest, more := strings.Cut(item.Caption, "\n")
		before[i] = item.Caption
		item.Caption = strings.Join(after, s.Subsets[item.Subset].Captions.Separator+" ")
		if more {
			item.Caption += "\n" + rest
		}
	}
	if len(before) > 0 {
		s.undo = append(s.undo, before)
	}
	return len(before)
}

// RemoveTag takes a tag off every caption and returns how many had it.
func (s *Set) RemoveTag(tag string) int {
	return s.Retag(func(_ Item, tags []string) []string {
		return slices.DeleteFunc(tags, func(t string) bool { return t == tag })
	})
}

// ReplaceTag renames a tag in every caption and returns how many had it. Where the new tag is there already, the old one is removed.
func (s *Set) ReplaceTag(old, new string) int {
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
	})
}

// AddTag puts a tag in front of every caption of one subset (of all: -1) that does not have it, and returns how many did not.
func (s *Set) AddTag(tag string, subset int) int {
	return s.Retag(func(item Item, tags []string) []string {
		if subset >= 0 && item.Subset != subset || slices.Contains(tags, tag) {
			return tags
		}
		return append([]string{tag}, tags...)
	})
}

// Undo takes back the last change by Retag, RemoveTag, ReplaceTag or AddTag and returns how many captions it restored; 0 when there is
// nothing to take back.
func (s *Set) Undo() int {
	if len(s.undo) == 0 {
		return 0
	}
	last := s.undo[len(s.undo)-1]
	s.undo = s.undo[:len(s.undo)-1]
	for i, caption := range last {
		s.Items[i].Caption = caption
	}
	return len(last)
}

// WriteCaptions writes the captions that differ from their files, each replaced as a whole, and returns how many. A caption that came
// from the folder's class tokens gets a file once it differs from them.
func (s *Set) WriteCaptions() (int, error) {
	written := 0
	for _, item := range s.Items {
		sub := s.Subsets[item.Subset]
		path := filepath.Join(filepath.Dir(item.Path), stem(item.Path)+sub.Captions.Extension)
		old, err := readCaption(sub, item.Path)
		if err == nil && old == item.Caption {
			continue
		}
		if item.Caption == "" {
			return written, fault.New(fault.Invalid, "write caption", path, "would be empty").
				Fix("leave at least one tag, or delete the file yourself")
		}
		temporary := path + ".new"
		err = os.WriteFile(temporary, []byte(item.Caption+"\n"), 0o644)
		if err == nil {
			err = os.Rename(temporary, path)
		}
		if err != nil {
			return written, fault.New(fault.IO, "write caption", path, "%w", err).Fix("check that the folder can be written")
		}
		written++
	}
	return written, nil
}
