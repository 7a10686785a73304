package train

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// option reads one option's value.
type option func(in *Imported, v any) error

// real, whole, text and flag make options that set one field.
func real(field func(*Config) *float64) option {
	return func(in *Imported, v any) error {
		n, err := number(v)
		*field(&in.Config) = n
		return err
	}
}

func whole(field func(*Config) *int) option {
	return func(in *Imported, v any) error { return setWhole(field(&in.Config), v) }
}

func setWhole(to *int, v any) error {
	n, err := number(v)
	if err == nil && (n != math.Trunc(n) || math.Abs(n) > 1e9) {
		return fmt.Errorf("%v is not a whole number", v)
	}
	*to = int(n)
	return err
}

func text(field func(*Imported) *string) option {
	return func(in *Imported, v any) error {
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("%v is not text", v)
		}
		*field(in) = s
		return nil
	}
}

func flag(field func(*Config) *bool) option {
	return func(in *Imported, v any) error { return setFlag(field(&in.Config), v) }
}

func setFlag(to *bool, v any) error {
	switch v {
	case true, "true", "True", 1.0, int64(1):
		*to = true
	case false, 0.0, int64(0), "0", "false", "False":
		*to = false
	default:
		return fmt.Errorf("%v is not true or false", v)
	}
	return nil
}

// set reports whether a value says anything: the programs write null, "" and false for what is not given.
func set(v any) bool { return v != nil && v != "" && v != false && v != "None" }

// number reads a number, which the GUI may have written as text.
func number(v any) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int64:
		return float64(v), nil
	case string:
		if n, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%v is not a number", v)
}

// values reads numbers separated by commas.
func values[T int | float64](to *[]T, text string) error {
	for _, word := range strings.Split(text, ",") {
		n, err := number(word)
		if err == nil && n != float64(T(n)) {
			err = fmt.Errorf("%q is not a whole number", word)
		}
		if err != nil {
			return err
		}
		*to = append(*to, T(n))
	}
	return nil
}

// pairs reads "k=v" settings: a list, one line of text, or an object.
func pairs(v any) (map[string]string, error) {
	out := map[string]string{}
	var words []string
	switch v := v.(type) {
	case map[string]any:
		for k, value := range v {
			out[k] = fmt.Sprint(value)
		}
	case string:
		words = strings.Fields(v)
	case []any:
		for _, w := range v {
			words = append(words, fmt.Sprint(w))
		}
	default:
		return nil, fmt.Errorf("%v is not a list of k=v", v)
	}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not of the form k=v", w)
		}
		out[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"'`)
	}
	return out, nil
}

// textLR reads the text encoder's rate, which newer files write as a list of one.
func textLR(in *Imported, v any) error {
	if list, ok := v.([]any); ok && len(list) == 1 {
		v = list[0]
	}
	if s, ok := v.(string); ok {
		v = strings.Trim(s, "[]")
	}
	return real(func(c *Config) *float64 { return &c.TextLR })(in, v)
}

func seed(field func(*Config) *uint64) option {
	return func(in *Imported, v any) error {
		n, err := number(v)
		if err == nil && !(n >= 0 && n < 1<<53) {
			return fmt.Errorf("%v is not a seed", v)
		}
		*field(&in.Config) = uint64(n)
		return err
	}
}

// resolution reads 512, "512", "512,768" and [512, 768]: width, then height.
func resolution(in *Imported, v any) error {
	if list, ok := v.([]any); ok {
		var words []string
		for _, e := range list {
			words = append(words, fmt.Sprint(e))
		}
		v = strings.Join(words, ",")
	}
	var sides []int
	for _, w := range strings.Split(strings.Trim(fmt.Sprint(v), "()[] "), ",") {
		side, err := strconv.Atoi(strings.TrimSpace(w))
		if err != nil {
			return fmt.Errorf("%v is not a size", v)
		}
		sides = append(sides, side)
	}
	if len(sides) > 2 {
		return fmt.Errorf("%v is not a width and a height", v)
	}
	in.Config.Resolution, in.Config.Height = sides[0], 0
	if h := sides[len(sides)-1]; h != sides[0] {
		in.Config.Height = h
	}
	return nil
}
