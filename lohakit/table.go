package lohakit

import (
	"fmt"
	"html"
	"strings"
)

// table is rows under a head, as HTML: text to the left, everything after the first column to the right.
type table struct {
	head []string
	rows []string
}

func (t *table) add(cells ...any) { t.rows = append(t.rows, row("td", cells)) }

func row(tag string, cells []any) string {
	var b strings.Builder
	b.WriteString("<tr>")
	for i, c := range cells {
		align := "right"
		if i == 0 {
			align = "left"
		}
		text, ok := c.(markup)
		if !ok {
			text = markup(html.EscapeString(fmt.Sprint(c)))
		}
		fmt.Fprintf(&b, `<%s style="text-align:%s">%s</%s>`, tag, align, text, tag)
	}
	b.WriteString("</tr>")
	return b.String()
}

// markup is text that is HTML already.
type markup string

func (t *table) html() string {
	head := make([]any, len(t.head))
	for i, h := range t.head {
		head[i] = h
	}
	return "<table>" + row("th", head) + strings.Join(t.rows, "") + "</table>"
}

// fold is content that shows when its title is clicked.
func fold(title, content string) string {
	return "<details><summary>" + html.EscapeString(title) + "</summary>" + content + "</details>"
}
