package lohakit

import (
	"fmt"
	"html"
	"strings"

	"github.com/lohakit/notebook/lohakit/dataset"
)

// Edit is what an edit of tags changed, shown as the captions before and after.
type Edit struct{ dataset.Edit }

// AddTag puts a tag in front of every caption that does not have it. folders, here and below, are patterns over the folders' names
// ("*fanart*"); none means all.
func (d *Data) AddTag(tag string, folders ...string) (Edit, error) {
	return edited(d.Set.AddTag(tag, folders...))
}

// RemoveTag takes a tag, or all that match a pattern ("* hair"), off every caption.
func (d *Data) RemoveTag(tag string, folders ...string) (Edit, error) {
	return edited(d.Set.RemoveTag(tag, folders...))
}

// ReplaceTag renames a tag in every caption.
func (d *Data) ReplaceTag(old, new string, folders ...string) (Edit, error) {
	return edited(d.Set.ReplaceTag(old, new, folders...))
}

// DedupeTags leaves only the first of equal tags in every caption.
func (d *Data) DedupeTags(folders ...string) (Edit, error) {
	return edited(d.Set.DedupeTags(folders...))
}

// SortTags puts the tags of every caption in alphabetical order, the first keep of each staying in front.
func (d *Data) SortTags(keep int, folders ...string) (Edit, error) {
	return edited(d.Set.SortTags(keep, folders...))
}

// Undo takes back the last edit; once there is none, the last WriteCaptions, whose files get their former content.
func (d *Data) Undo() (Edit, error) { return edited(d.Set.Undo()) }

func edited(e dataset.Edit, err error) (Edit, error) { return Edit{e}, err }

// editRows is how many changes an edit shows.
const editRows = 8

// MIMEBundle is a table of the first changes; the removed and the added tags are marked.
func (e Edit) MIMEBundle() map[string]any {
	title := fmt.Sprintf("%d captions changed", len(e.Edit))
	if len(e.Edit) == 1 {
		title = "1 caption changed"
	}
	var text, table strings.Builder
	text.WriteString(title)
	fmt.Fprintf(&table, `<div>%s</div><table>`, title)
	for _, c := range e.Edit[:min(editRows, len(e.Edit))] {
		fmt.Fprintf(&text, "\n- %s\n+ %s", c.Before, c.After)
		fmt.Fprintf(&table, `<tr><td style="text-align:left">%s</td><td>→</td><td style="text-align:left">%s</td></tr>`,
			marked(c.Before, c.After, "del"), marked(c.After, c.Before, "b"))
	}
	table.WriteString("</table>")
	if rest := len(e.Edit) - editRows; rest > 0 {
		fmt.Fprintf(&text, "\nand %d more", rest)
		fmt.Fprintf(&table, "<div>and %d more</div>", rest)
	}
	return map[string]any{"text/plain": text.String(), "text/html": table.String()}
}

// marked is a caption as HTML in which the tags that the other one lacks have an element of their own.
func marked(caption, other, element string) string {
	has := map[string]int{}
	for _, tag := range strings.Split(other, ",") {
		has[strings.TrimSpace(tag)]++
	}
	var tags []string
	for _, tag := range strings.Split(caption, ",") {
		tag = strings.TrimSpace(tag)
		escaped := html.EscapeString(tag)
		if has[tag]--; has[tag] < 0 {
			escaped = fmt.Sprintf("<%s>%s</%s>", element, escaped, element)
		}
		tags = append(tags, escaped)
	}
	return strings.Join(tags, ", ")
}
