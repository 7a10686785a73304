package sample

import (
	"fmt"
	"math"
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

// stripNetworks takes every network out of s.
func stripNetworks(s source) (rest source, found []Network, slips []Warning) {
	for len(found) < maxNetworks {
		m := networkSyntax.FindStringSubmatchIndex(s.text)
		if m == nil {
			break
		}
		n := Network{Kind: s.text[m[2]:m[3]], Text: 1, UNet: 1}
		place := s.origin(m[0])
		args := strings.Split(s.text[m[4]:m[5]], ":")
		n.Name = args[0]
		weight := func(what, text string) (float64, bool) {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
				slips = append(slips, Warning{place, fmt.Sprintf("the %s weight %q of %s is not a number: 1 is used", what, text, n.Name)})
				return 1, false
			}
			return v, true
		}
		unet := false
		for i, arg := range args[1:] {
			name, value, named := strings.Cut(arg, "=")
			switch {
			case named && name == "te":
				n.Text, _ = weight("text encoder", value)
			case named && name == "unet":
				n.UNet, unet = weight("UNet", value)
			case !named && i == 0:
				n.Text, _ = weight("text encoder", arg)
			case !named && i == 1:
				n.UNet, unet = weight("UNet", arg)
			default:
				n.Rest = append(n.Rest, arg)
			}
		}
		if !unet {
			n.UNet = n.Text
		}
		if n.Kind != "lora" && n.Kind != "lyco" {
			slips = append(slips, Warning{place, fmt.Sprintf("%q is not a kind of network this kit knows: left out", n.Kind)})
		}
		found = append(found, n)
		s = s.without(m[0], m[1])
	}
	return s, found, slips
}

func sortWarnings(w []Warning) {
	slices.SortStableFunc(w, func(a, b Warning) int { return a.At - b.At })
}
