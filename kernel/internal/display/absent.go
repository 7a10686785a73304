package display

import (
	"regexp"
	"strconv"
)

// What gonbui's scripts send as soon as a page runs them: a widget its first value, dom.GetInnerHtml an element's HTML.
var (
	synced = regexp.MustCompile(`newSyncedVariable\("([^"]+)",\s*(?:(\d+)|\w+\.value)\)`)
	lookup = regexp.MustCompile(`getElementById\("([^"]+)"\)`)
	asked  = regexp.MustCompile(`gonb_comm\.send\('([^']+)', html\)`)
)

// The value of an element that a widget has shown.
var (
	input  = regexp.MustCompile(`<input\b[^>]*\bid="([^"]+)"[^>]*\bvalue="(\d+)"`)
	choice = regexp.MustCompile(`(?s)<select\b[^>]*\bid="([^"]+)".*?<option value="(\d+)" selected>`)
)

// standIn answers in place of a page, where no browser has answered: with the values that the widgets were made with. So a
// cell with a slider also ends in a notebook that is run without a browser.
func (g *Gonb) standIn(p *pipes, html string) {
	g.mu.Lock()
	absent := g.comm == "" && g.gaveUp != nil
	g.mu.Unlock()
	if !absent {
		return
	}
	for _, element := range []*regexp.Regexp{input, choice} {
		for _, m := range element.FindAllStringSubmatch(html, -1) {
			p.elements[m[1]] = m[2]
		}
	}
	if m := synced.FindStringSubmatch(html); m != nil {
		first := m[2]
		if id := lookup.FindStringSubmatch(html); first == "" && id != nil {
			first = p.elements[id[1]]
		}
		n, _ := strconv.Atoi(first)
		p.deliver(m[1], float64(n))
	}
	if m := asked.FindStringSubmatch(html); m != nil {
		p.deliver(m[1], "")
	}
}
