package checkpoint

import (
	"cmp"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Unknown returns the NotExist fault for a name that none of known equals. Its remedy lists up to three names spelt
// nearest. what says what the names are: "tensor", "layer".
func Unknown(op, what, name string, known []string) *fault.Error {
	e := fault.New(fault.NotExist, op, name, "no such %s among %d", what, len(known))
	if near := Nearest(name, known, 3); len(near) > 0 {
		e.Fix("nearest: %s", strings.Join(near, ", "))
	}
	return e
}

// maxCompared bounds the names Nearest looks at, so that a file with a million names cannot hold it up.
const maxCompared = 5000

// Nearest returns up to n of known in order of edit distance from name, leaving out those that share less than half of it, and, of very
// many, all past the first 5,000.
func Nearest(name string, known []string, n int) []string {
	name = name[:min(len(name), 256)]
	type candidate struct {
		name     string
		distance int
	}
	var list []candidate
	for _, k := range known[:min(len(known), maxCompared)] {
		longer := max(len(name), len(k))
		if d := distance(name, k[:min(len(k), 256)]); 2*d <= longer {
			list = append(list, candidate{k, d})
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, c := range list[:min(n, len(list))] {
		names = append(names, c.name)
	}
	return names
}

// distance is the number of bytes to insert, delete or replace to turn a into b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			if a[i] == b[j] {
				row[j+1] = diagonal
			} else {
				row[j+1] = 1 + min(diagonal, above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
