package dataset

import (
	"cmp"
	"slices"
	"strings"
)

// Tag is one tag of the captions with the number of images that have it.
type Tag struct {
	Name  string
	Count int
}

// Tags counts the tags of the folders' captions, most frequent first, equals by name. folders are patterns as for Retag; none means all.
func (s *Set) Tags(folders ...string) ([]Tag, error) {
	chosen, err := s.choose(folders)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, item := range s.Items {
		if !chosen[item.Subset] {
			continue
		}
		for _, tag := range s.tagsOf(item) {
			counts[tag]++
		}
	}
	tags := make([]Tag, 0, len(counts))
	for name, n := range counts {
		tags = append(tags, Tag{name, n})
	}
	slices.SortFunc(tags, func(a, b Tag) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return tags, nil
}

// tagsOf splits the first line of an item's caption.
func (s *Set) tagsOf(item Item) []string {
	line, _, _ := strings.Cut(item.Caption, "\n")
	return s.Subsets[item.Subset].Captions.filled(line)
}
