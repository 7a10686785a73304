package display

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"image/png"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bundle returns data ready for a message: bytes of pictures in base64, JSON types as JSON, everything else as text, and a
// text/plain where neither that nor a PNG is there, so that every viewer shows something: a saved notebook that another
// person opens is not trusted, and its HTML, SVG and scripts are not run.
func Bundle(data map[string]any) map[string]any {
	out := make(map[string]any, len(data)+1)
	for kind, v := range data {
		if strings.Count(kind, "/") != 1 {
			continue
		}
		out[kind] = value(kind, v)
	}
	if _, ok := out["text/plain"]; !ok {
		if text := plain(out); text != "" || len(out) > 0 {
			out["text/plain"] = text
		}
	}
	return out
}

func value(kind string, v any) any {
	structured := kind == "application/json" || strings.HasSuffix(kind, "+json")
	switch v := v.(type) {
	case []byte:
		switch {
		case structured && json.Valid(v):
			return json.RawMessage(v)
		case strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+xml") || kind == "application/javascript":
			return strings.ToValidUTF8(string(v), "\uFFFD")
		}
		return base64.StdEncoding.EncodeToString(v)
	case string:
		if structured && json.Valid([]byte(v)) {
			return json.RawMessage(v)
		}
		return strings.ToValidUTF8(v, "\uFFFD")
	case json.RawMessage:
		return v
	case nil:
		return ""
	}
	encoded, err := json.Marshal(v)
	if err != nil || !structured {
		return fmt.Sprint(v)
	}
	return json.RawMessage(encoded)
}

var (
	hidden = regexp.MustCompile(`(?is)<(script|style|head|svg)\b.*?</(script|style|head|svg)\s*>|<!--.*?-->`)
	breaks = regexp.MustCompile(`(?i)<(br|/p|/div|/tr|/li|/h[1-6])\b[^>]*>`)
	cells  = regexp.MustCompile(`(?i)</t[dh]\s*>`)
	tags   = regexp.MustCompile(`(?s)<[^>]*>`)
	blank  = regexp.MustCompile(`\n\s*\n+`)
	title  = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
)

// plain is the text for viewers that show nothing else of the bundle.
func plain(data map[string]any) string {
	if s, ok := data["image/png"].(string); ok {
		return picture(s)
	}
	if s, ok := data["text/markdown"].(string); ok {
		return s
	}
	if s, ok := data["text/latex"].(string); ok {
		return s
	}
	if s, ok := data["text/html"].(string); ok {
		return Text(s)
	}
	if s, ok := data["image/svg+xml"].(string); ok {
		if m := title.FindStringSubmatch(s); m != nil {
			return "SVG picture: " + html.UnescapeString(strings.TrimSpace(m[1]))
		}
		return "SVG picture"
	}
	if j, ok := data["application/json"].(json.RawMessage); ok {
		return string(j)
	}
	return strings.Join(slices.Sorted(maps.Keys(data)), ", ")
}

func picture(encoded string) string {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil {
		if c, err := png.DecodeConfig(bytes.NewReader(raw)); err == nil {
			return fmt.Sprintf("PNG picture, %d×%d", c.Width, c.Height)
		}
	}
	return "PNG picture"
}

// Text reduces HTML to its text: one line per block, tabs between table cells.
func Text(markup string) string {
	const longest = 64 << 10
	if len(markup) > longest { // the text of a page this long helps nobody
		markup = markup[:longest]
		for !utf8.ValidString(markup) && len(markup) > longest-utf8.UTFMax {
			markup = markup[:len(markup)-1]
		}
	}
	s := hidden.ReplaceAllString(markup, "")
	s = cells.ReplaceAllString(s, "\t")
	s = breaks.ReplaceAllString(s, "\n")
	s = html.UnescapeString(tags.ReplaceAllString(s, ""))
	s = strings.TrimSpace(blank.ReplaceAllString(s, "\n"))
	if s == "" && strings.Contains(strings.ToLower(markup), "<svg") {
		return "SVG picture"
	}
	if s == "" && strings.Contains(strings.ToLower(markup), "<img") {
		return "picture"
	}
	return s
}
