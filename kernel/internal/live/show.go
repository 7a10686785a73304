package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"reflect"
	"strings"
)

// longest is how many bytes of a value's text are shown, and widest how many elements of a slice or map.
const (
	longest = 20_000
	widest  = 200
)

// Render returns the forms of values as a front end shows them: what a MIMEBundle method gives, an image as PNG, anything else as text.
// It is nil for what shows nothing: no value, a function.
func Render(values ...any) []Item {
	if len(values) == 1 {
		switch v := values[0].(type) {
		case interface{ MIMEBundle() map[string]any }:
			if !isNil(v) {
				return items(v.MIMEBundle())
			}
		case image.Image:
			if !isNil(v) {
				var b bytes.Buffer
				if err := png.Encode(&b, v); err == nil {
					size := v.Bounds().Size()
					return []Item{{MIME: "image/png", Data: b.Bytes()}, {MIME: "text/plain", Text: fmt.Sprintf("%T %d×%d", v, size.X, size.Y)}}
				}
			}
		}
	}
	var parts []string
	for _, v := range values {
		if reflect.ValueOf(v).Kind() == reflect.Func {
			continue
		}
		parts = append(parts, plain(v))
	}
	if len(parts) == 0 {
		return nil
	}
	text := strings.ToValidUTF8(strings.Join(parts, ", "), "\uFFFD")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + fmt.Sprintf(" … (%d bytes more)", len(text)-longest)
	}
	return []Item{{MIME: "text/plain", Text: text}}
}

func isNil(v any) bool {
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface, reflect.Chan, reflect.Func:
		return r.IsNil()
	}
	return false
}

// plain returns the text of one value. Of a long slice or map the beginning is shown.
func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte, error, fmt.Stringer, fmt.Formatter:
		if r := reflect.ValueOf(v); r.Kind() != reflect.Slice || r.Len() <= longest {
			return fmt.Sprintf("%v", v)
		}
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Slice, reflect.Array:
		if r.Len() > widest {
			head := reflect.MakeSlice(reflect.SliceOf(r.Type().Elem()), widest, widest)
			reflect.Copy(head, r)
			return strings.TrimSuffix(fmt.Sprintf("%+v", head.Interface()), "]") + fmt.Sprintf(" … %d in all]", r.Len())
		}
	case reflect.Map:
		if r.Len() > widest {
			part := reflect.MakeMap(r.Type())
			for iter := r.MapRange(); iter.Next() && part.Len() < widest; {
				part.SetMapIndex(iter.Key(), iter.Value())
			}
			return strings.TrimSuffix(fmt.Sprintf("%+v", part.Interface()), "]") + fmt.Sprintf(" … %d in all]", r.Len())
		}
	}
	return fmt.Sprintf("%+v", v)
}

// items turns a MIME bundle into what can be sent.
func items(bundle map[string]any) []Item {
	var list []Item
	for mime, v := range bundle {
		switch v := v.(type) {
		case string:
			list = append(list, Item{MIME: mime, Text: v})
		case []byte:
			list = append(list, Item{MIME: mime, Data: v})
		default:
			data, err := json.Marshal(v)
			if err != nil {
				data, _ = json.Marshal(fmt.Sprint(v))
			}
			list = append(list, Item{MIME: mime, JSON: data})
		}
	}
	return list
}
