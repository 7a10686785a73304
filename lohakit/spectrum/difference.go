package spectrum

import (
	"path"
	"runtime"
	"strings"
	"sync"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Difference is what a layer's weight differs by, computed when it is asked for.
type Difference struct {
	Name  string // of the layer, its diffusers path: "mid_block.attentions.0.proj_in"
	Key   string // of the layer in adapter files: "lora_unet_mid_block_attentions_0_proj_in"
	Shape []int  // of the weight: [out, in] or [out, in, kh, kw]
	read  func() (Matrix, error)
}

// Matrix reads or computes the difference.
func (d Difference) Matrix() (Matrix, error) {
	m, err := d.read()
	m.Key = d.Key
	return m, err
}

// Differences are those of a model's linear layers and convolutions, in its order, text encoder first. Few are in memory at once.
type Differences []Difference

// Match keeps the layers that match: a diffusers path ("mid_block.attentions.0.proj_in"), a name in files ("lora_unet_…"), or a glob over
// either; "" keeps all. No match is a fault of kind NotExist that names the nearest layers.
func (d Differences) Match(match string) (Differences, error) {
	if _, err := path.Match(match, ""); err != nil {
		return nil, fault.New(fault.Invalid, "choose layers", match, "it is no glob: %w", err)
	}
	if match == "" {
		return d, nil
	}
	var out Differences
	var known []string
	for _, l := range d {
		known = append(known, l.Name)
		byPath, _ := path.Match(match, l.Name)
		byKey, _ := path.Match(match, l.Key)
		if byPath || byKey {
			out = append(out, l)
		}
	}
	if len(out) == 0 {
		return nil, checkpoint.Unknown("choose layers", "layer", strings.TrimSuffix(match, ".weight"), known)
	}
	return out, nil
}

func difference(l adapter.Layer, read func() (Matrix, error)) Difference {
	return Difference{Name: l.Path, Key: l.Name, Shape: l.Shape, read: read}
}

// Progress is told after each layer how many are done; an error that it returns stops the work and is passed on. nil is none.
type Progress func(done, total int) error

// each computes the differences and calls f with each, on every core, in any order. A panic of GoMLX or gonum is returned as an error: of a
// goroutine, nobody else could catch it.
func (d Differences) each(report Progress, f func(i int, m Matrix) error) error {
	var mu sync.Mutex
	var wait sync.WaitGroup
	var failed error
	next, done := 0, 0
	take := func() (i int, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		i, ok = next, next < len(d) && failed == nil
		next++
		return i, ok
	}
	finish := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if done++; err == nil && failed == nil && report != nil {
			err = report(done, len(d))
		}
		if failed == nil {
			failed = err
		}
	}
	for range min(runtime.GOMAXPROCS(0), len(d)) {
		wait.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				var err error
				if panicked := xla.Try("decompose "+d[i].Name, func() {
					var m Matrix
					if m, err = d[i].Matrix(); err == nil {
						err = f(i, m)
					}
				}); panicked != nil {
					err = panicked
				}
				finish(err)
			}
		})
	}
	wait.Wait()
	return failed
}

// All decomposes every difference.
func All(d Differences, report Progress) ([]*Spectrum, error) {
	return spectra(d, report, Of)
}

// AllLeading computes the n leading singular values of every difference: see Leading.
func AllLeading(d Differences, n int, report Progress) ([]*Spectrum, error) {
	return spectra(d, report, func(m Matrix) (*Spectrum, error) { return Leading(m, n) })
}

func spectra(d Differences, report Progress, of func(Matrix) (*Spectrum, error)) ([]*Spectrum, error) {
	out := make([]*Spectrum, len(d))
	err := d.each(report, func(i int, m Matrix) (err error) {
		out[i], err = of(m)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
