package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may nest in the header; the reference's JSON reader stops at the same depth.
const maxDepth = 127

// parser reads the header's JSON in one pass without copying more than names. encoding/json is no substitute: it replaces
// bad escapes, folds the case of field names and accepts numbers the reference does not.
type parser struct {
	text  []byte
	at    int
	depth int
}

var errEnd = errors.New("unexpected end")

// peek returns the next byte after white space, 0 at the end; a NUL in the text fails every comparison as the end does.
func (p *parser) peek() byte {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return c
		}
	}
	return 0
}

func (p *parser) expect(c byte) error {
	if got := p.peek(); got != c {
		return p.wrong(strconv.QuoteRune(rune(c)))
	}
	p.at++
	return nil
}

func (p *parser) wrong(want string) error {
	if p.at >= len(p.text) {
		return errEnd
	}
	r, _ := utf8.DecodeRune(p.text[p.at:])
	return fmt.Errorf("%q where %s is due", r, want)
}

// list reads open item, item, … close, calling item before each.
func (p *parser) list(open, end byte, item func() error) error {
	if err := p.expect(open); err != nil {
		return err
	}
	if p.depth++; p.depth > maxDepth {
		return fmt.Errorf("more than %d levels deep", maxDepth)
	}
	defer func() { p.depth-- }()
	if p.peek() == end {
		p.at++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		switch p.peek() {
		case end:
			p.at++
			return nil
		case ',':
			p.at++
		default:
			return p.wrong("',' or " + strconv.QuoteRune(rune(end)))
		}
	}
}

// object reads an object, calling value with each key.
func (p *parser) object(value func(key string) error) error {
	return p.list('{', '}', func() error {
		key, err := p.str()
		if err != nil {
			return err
		}
		if err := p.expect(':'); err != nil {
			return err
		}
		return value(key)
	})
}

// word reads the literal, which must come next.
func (p *parser) word(w string) error {
	if !bytes.HasPrefix(p.text[p.at:], []byte(w)) {
		return p.wrong(w)
	}
	p.at += len(w)
	return nil
}

// skip reads a value of any kind, as strictly as one that is used.
func (p *parser) skip() error {
	switch p.peek() {
	case '{':
		return p.object(func(string) error { return p.skip() })
	case '[':
		return p.list('[', ']', p.skip)
	case '"':
		_, err := p.str()
		return err
	case 'n':
		return p.word("null")
	case 't':
		return p.word("true")
	case 'f':
		return p.word("false")
	}
	token, err := p.number()
	if err != nil {
		return err
	}
	if f, _ := strconv.ParseFloat(string(token), 64); math.IsInf(f, 0) {
		return fmt.Errorf("%.40s is out of range", token)
	}
	return nil
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? and returns its text.
func (p *parser) number() ([]byte, error) {
	p.peek()
	start := p.at
	digits := func() bool {
		from := p.at
		for p.at < len(p.text) && '0' <= p.text[p.at] && p.text[p.at] <= '9' {
			p.at++
		}
		return p.at > from
	}
	one := func(set string) bool {
		if p.at < len(p.text) && bytes.IndexByte([]byte(set), p.text[p.at]) >= 0 {
			p.at++
			return true
		}
		return false
	}
	one("-")
	whole := p.at
	ok := digits() && (p.text[whole] != '0' || p.at == whole+1)
	if ok && one(".") {
		ok = digits()
	}
	if ok && one("eE") {
		one("+-")
		ok = digits()
	}
	if !ok {
		return nil, p.wrong("a number")
	}
	return p.text[start:p.at], nil
}

// str reads a string: control characters must be escaped, and escaped surrogates must come in pairs.
func (p *parser) str() (string, error) {
	if err := p.expect('"'); err != nil {
		return "", err
	}
	start := p.at
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return string(p.text[start : p.at-1]), nil
		case c == '\\':
			return p.escaped(append([]byte(nil), p.text[start:p.at]...))
		case c < ' ':
			return "", p.wrong("an escape")
		}
		p.at++
	}
	return "", errEnd
}

// escaped reads the rest of a string whose beginning, without escapes, is done.
func (p *parser) escaped(done []byte) (string, error) {
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '"':
			p.at++
			return string(done), nil
		case c < ' ':
			return "", p.wrong("an escape")
		case c != '\\':
			done = append(done, c)
			p.at++
			continue
		}
		if p.at+1 >= len(p.text) {
			return "", errEnd
		}
		c = p.text[p.at+1]
		if c == 'u' {
			r, err := p.unicode()
			if err != nil {
				return "", err
			}
			done = utf8.AppendRune(done, r)
			continue
		}
		i := bytes.IndexByte([]byte(`"\/bfnrt`), c)
		if i < 0 {
			return "", fmt.Errorf(`unknown escape \%c`, c)
		}
		done = append(done, "\"\\/\b\f\n\r\t"[i])
		p.at += 2
	}
	return "", errEnd
}

// unicode reads \uXXXX, or two of them that form one character past U+FFFF.
func (p *parser) unicode() (rune, error) {
	hex := func() (rune, error) {
		if p.at+6 > len(p.text) {
			return 0, errEnd
		}
		if p.text[p.at] != '\\' || p.text[p.at+1] != 'u' {
			return 0, errors.New("lone surrogate")
		}
		digits := p.text[p.at+2 : p.at+6]
		for _, c := range digits { // ParseUint alone would take a sign or an underscore
			if bytes.IndexByte([]byte("0123456789abcdefABCDEF"), c) < 0 {
				return 0, fmt.Errorf(`bad escape \u%s`, digits)
			}
		}
		v, err := strconv.ParseUint(string(digits), 16, 32)
		p.at += 6
		return rune(v), err
	}
	r, err := hex()
	if err != nil || r < 0xd800 || r > 0xdfff {
		return r, err
	}
	if r >= 0xdc00 {
		return 0, errors.New("lone surrogate")
	}
	low, err := hex()
	if err != nil {
		return 0, err
	}
	if low < 0xdc00 || low > 0xdfff {
		return 0, errors.New("lone surrogate")
	}
	return 0x10000 + (r-0xd800)<<10 + (low - 0xdc00), nil
}
