package sample

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Network is an adapter named in a prompt: <lora:name>, <lora:name:weight>, <lora:name:text:unet>, or with te= and unet= written out.
type Network struct {
	Kind string   // "lora" (any adapter); web UI extensions have others
	Name string   // of the adapter's file without its ending
	Text float64  // weight on the text encoder, 1 if not given
	UNet float64  // weight on the UNet, the text encoder's if not given
	Rest []string // further arguments, kept as they are
}

// String prints the network with both weights.
func (n Network) String() string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	args := append([]string{n.Kind, n.Name, number(n.Text), number(n.UNet)}, n.Rest...)
	return "<" + strings.Join(args, ":") + ">"
}

var networkSyntax = regexp.MustCompile(`<(\w+):([^>]+)>`)

// maxNetworks bounds the adapters of one prompt; more are text.
const maxNetworks = 256

// stripNetworks takes every network out of s, also those that form where others were.
func stripNetworks(s source) (rest source, found []Network, slips []Warning) {
	for len(found) < maxNetworks {
		matches := networkSyntax.FindAllStringSubmatchIndex(s.text, maxNetworks-len(found))
		if matches == nil {
			break
		}
		var taken [][2]int
		for _, m := range matches {
			n, slip := networkOf(s.text[m[2]:m[3]], s.text[m[4]:m[5]])
			found, taken = append(found, n), append(taken, [2]int{m[0], m[1]})
			for _, message := range slip {
				slips = append(slips, Warning{s.origin(m[0]), message})
			}
		}
		s = s.without(taken)
	}
	return s, found, slips
}

// networkOf reads a network of a kind from its arguments, separated by colons, and says what is wrong with them.
func networkOf(kind, arguments string) (n Network, slips []string) {
	n = Network{Kind: kind, Text: 1, UNet: 1}
	args := strings.Split(arguments, ":")
	n.Name = args[0]
	weight := func(what, text string) float64 {
		v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !finite(v) {
			slips = append(slips, fmt.Sprintf("the %s weight %q of %s is not a number: 1 is used", what, text, n.Name))
			return 1
		}
		return v
	}
	unet := false
	for i, arg := range args[1:] {
		name, value, named := strings.Cut(arg, "=")
		switch {
		case named && name == "te":
			n.Text = weight("text encoder", value)
		case named && name == "unet":
			n.UNet, unet = weight("UNet", value), true
		case !named && i == 0:
			n.Text = weight("text encoder", arg)
		case !named && i == 1:
			n.UNet, unet = weight("UNet", arg), true
		default:
			n.Rest = append(n.Rest, arg)
		}
	}
	if !unet {
		n.UNet = n.Text
	}
	if kind != "lora" && kind != "lyco" {
		slips = append(slips, fmt.Sprintf("%q is not a kind of network this kit knows: left out", kind))
	}
	return n, slips
}

func sortWarnings(w []Warning) {
	slices.SortStableFunc(w, func(a, b Warning) int { return a.At - b.At })
}
