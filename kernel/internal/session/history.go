package session

import (
	"encoding/json"
	"path"
	"strings"
	"sync"
)

// entry is one stored cell: its In[n], its text and the text of its value.
type entry struct {
	line          int
	input, output string
}

// history is the list of the session's cells, oldest first.
type history struct {
	mu      sync.Mutex
	entries []entry
}

func (h *history) add(line int, input, output string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries = append(h.entries, entry{line, input, output})
}

// historyRequest is the content of a history_request.
type historyRequest struct {
	Output  bool   `json:"output"`
	Access  string `json:"hist_access_type"` // range, tail or search
	Session int    `json:"session"`          // 0 or less: counted back from this session, which is the only one kept
	Start   int    `json:"start"`
	Stop    *int   `json:"stop"` // exclusive; absent means to the end
	N       int    `json:"n"`
	Pattern string `json:"pattern"` // with *, ? and [abc]
	Unique  bool   `json:"unique"`
}

// only is the number of the session in history entries.
const only = 1

// find returns the entries asked for as [session, line, input] or [session, line, [input, output]].
func (h *history) find(content json.RawMessage) ([]any, error) {
	var r historyRequest
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, err
	}
	h.mu.Lock()
	entries := h.entries[:len(h.entries):len(h.entries)]
	h.mu.Unlock()
	var found []entry
	switch r.Access {
	case "range":
		for _, e := range entries {
			if (r.Session == 0 || r.Session == only) && e.line >= r.Start && (r.Stop == nil || e.line < *r.Stop) {
				found = append(found, e)
			}
		}
	case "tail":
		found = last(entries, r.N)
	case "search":
		seen := map[string]bool{}
		for i := len(entries) - 1; i >= 0; i-- {
			if e := entries[i]; glob(r.Pattern, e.input) && !(r.Unique && seen[e.input]) {
				seen[e.input] = true
				found = append(found, e)
			}
		}
		for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
			found[i], found[j] = found[j], found[i]
		}
		if r.N > 0 {
			found = last(found, r.N)
		}
	}
	out := make([]any, 0, len(found))
	for _, e := range found {
		if r.Output {
			out = append(out, []any{only, e.line, []any{e.input, e.output}})
		} else {
			out = append(out, []any{only, e.line, e.input})
		}
	}
	return out, nil
}

func last(entries []entry, n int) []entry {
	return entries[len(entries)-max(0, min(n, len(entries))):]
}

// glob matches the whole text, slashes and line ends included. A backslash is a letter like any other: front ends put what has been
// typed into the pattern.
func glob(pattern, text string) bool {
	const slash = '\x00' // stands in for /, which path.Match treats apart
	swap := func(s string) string {
		b := []byte(s)
		for i := range b {
			if b[i] == '/' {
				b[i] = slash
			}
		}
		return string(b)
	}
	ok, err := path.Match(strings.ReplaceAll(swap(pattern), `\`, `\\`), swap(text))
	return ok && err == nil
}
