package merge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Options says where a recipe's models are.
type Options struct {
	Models    func(name string) (path string, err error) // finds a source: see InFolder
	Folder    string                                     // where results are stored, as OUT.safetensors
	Variables map[string]string                          // what stands for the recipe's variables: "__SD15__": "sd-v1-5"
	Blocks    map[string]Blocks                          // by result: a weight for each block in place of the line's M, and from the same range
	Pickle    bool                                       // sources may be .ckpt files
	Progress  func(l Line, done, total int)              // is called after each tensor; nil
}

// Result is one line's model.
type Result struct {
	Name    string
	Path    string
	Reused  bool   // it was there already, made by the same line from the same models
	Mix     Mix    // what it holds of the sources; nil if weights by block, its own or those of a line it is made of, give each block another
	Warning string // of Mix, and when computed of tensors that hold NaN or infinity; "" if there is none
}

// Header is what the metadata keys begin with that tell how a model was merged. They are not true of what else is made of it.
const Header = "lohakit.merge."

// Metadata keys of results.
const (
	keyTitle  = "modelspec.title" // the name
	keyRecipe = Header + "recipe" // the line
	keyMix    = Header + "mix"    // what it comes to, if every block comes to the same
	keyBlocks = Header + "blocks" // its weights by block, if it has any
	keyPrint  = Header + "print"  // of line and inputs
)

// Run computes every line, in order, and stores its result, as the original tool does: each line reads what the one before stored, so
// that rounding adds up as there. Before anything is computed all models are found and opened; an unknown one is a
// fault that names its line. A result that is there already, made by the same line from the same models, is left as it is;
// a file that no recipe made under that name is never replaced, nor is one that the recipe reads. Memory stays below a few times the largest
// tensor, pages of the files included.
func (r *Recipe) Run(ctx context.Context, o Options) ([]Result, error) {
	if err := r.checkBlocks(o.Blocks); err != nil {
		return nil, err
	}
	s := sources{options: o, files: map[string]*checkpoint.File{}, prints: map[*checkpoint.File]string{}}
	defer s.close()
	if err := s.openAll(r); err != nil {
		return nil, err
	}
	there, err := s.standing(r)
	if err != nil {
		return nil, err
	}
	var out []Result
	mixes := r.even(o.Blocks)
	for i, l := range r.Lines {
		path := s.path(l)
		operands := make([]*checkpoint.File, 3)
		for k, name := range l.names() {
			if j, ok := r.result(name, i); ok {
				operands[k] = s.results[j]
			} else {
				operands[k] = s.files[s.chosen(name)]
			}
		}
		m := merging{line: l, a: operands[0], b: operands[1], c: operands[2], blocks: o.Blocks, progress: o.Progress}
		print := s.print(m)
		warning := mixes[i].Warning()
		reused := there[i] == print
		if !reused {
			meta := maps.Clone(m.a.Metadata)
			maps.DeleteFunc(meta, func(key, _ string) bool { return strings.HasPrefix(key, Header) }) // A's own
			meta["format"], meta[keyTitle], meta[keyRecipe], meta[keyPrint] = "pt", l.Out, l.String(), print
			if mixes[i] != nil {
				meta[keyMix] = mixes[i].String()
			}
			if blocks, ok := o.Blocks[l.Out]; ok {
				meta[keyBlocks] = blocks.String()
			}
			broken, err := m.run(ctx, path, meta)
			if err != nil {
				return out, err
			}
			if len(broken) > 0 {
				warning = strings.TrimPrefix(warning+"; ", "; ") + fmt.Sprintf("%d tensors hold NaN or infinity, the first %s", len(broken), broken[0])
			}
		}
		f, err := checkpoint.Open(path)
		if err != nil {
			return out, err
		}
		s.results, s.prints[f] = append(s.results, f), print
		out = append(out, Result{l.Out, path, reused, mixes[i], warning})
	}
	return out, nil
}

// checkBlocks checks that weights by block are of results of the recipe, and within their meaning.
func (r *Recipe) checkBlocks(blocks map[string]Blocks) error {
	var results []string
	for _, l := range r.Lines {
		results = append(results, l.Out)
		least, most := -float64(maxWeight), float64(maxWeight)
		if l.C == "" {
			least, most = 0, 1
		}
		for _, v := range blocks[l.Out].list() {
			if !(v >= least && v <= most) {
				return fault.New(fault.Invalid, "weight by block", l.Out, "%g is outside %g … %g", v, least, most)
			}
		}
	}
	for name := range blocks {
		if !slices.Contains(results, name) {
			return checkpoint.Unknown("weight by block", "result", name, results)
		}
	}
	return nil
}

// even is Expand, but nil for the lines of which blocks are mixed differently.
func (r *Recipe) even(blocks map[string]Blocks) []Mix {
	out := r.Expand()
	for i, l := range r.Lines {
		_, uneven := blocks[l.Out]
		for _, name := range l.names() {
			if j, ok := r.result(name, i); ok && out[j] == nil {
				uneven = true
			}
		}
		if uneven {
			out[i] = nil
		}
	}
	return out
}

// sources are the open models of a run.
type sources struct {
	options Options
	files   map[string]*checkpoint.File // by the name that stands for them
	results []*checkpoint.File          // of the lines so far
	prints  map[*checkpoint.File]string
}

func (s *sources) close() {
	for f := range s.prints {
		f.Close()
	}
}

// path is where a line's result is stored.
func (s *sources) path(l Line) string {
	return filepath.Join(s.options.Folder, l.Out+".safetensors")
}

// standing returns, for each line, the print of the result that is there already, "" where there is none. Faults are a file there that no recipe
// made under that name, one that is a source of the recipe, under whatever name, and one that is another line's result as well.
func (s *sources) standing(r *Recipe) ([]string, error) {
	out := make([]string, len(r.Lines))
	type known struct {
		os.FileInfo
		what string
	}
	var taken []known
	for name, f := range s.files {
		if info, err := os.Stat(f.Path); err == nil {
			taken = append(taken, known{info, "the source " + name})
		}
	}
	for i, l := range r.Lines {
		path := s.path(l)
		if _, err := os.Lstat(path); err != nil {
			continue // and if it cannot be written, writing it says why
		}
		if info, err := os.Stat(path); err == nil {
			for _, k := range taken {
				if os.SameFile(info, k.FileInfo) {
					return nil, fault.New(fault.Invalid, "merge", fmt.Sprintf("line %d", l.Number), "its result %s would replace %s", path, k.what).
						Fix("give the result another name, or store results in another folder")
				}
			}
			taken = append(taken, known{info, "the result of line " + fmt.Sprint(l.Number)})
		}
		if f, err := checkpoint.Open(path); err == nil {
			if f.Metadata[keyTitle] == l.Out { // or it was made under another name, to which it may not go back
				out[i] = f.Metadata[keyPrint]
			}
			f.Close()
		}
		if out[i] == "" {
			return nil, fault.New(fault.Invalid, "merge", path, "a file of that name is there and no recipe made it under that name").Fix("rename the result or move the file")
		}
	}
	return out, nil
}

// chosen is the model a name stands for: a variable's, or the name.
func (s *sources) chosen(name string) string {
	if to, ok := s.options.Variables[name]; ok {
		return to
	}
	return name
}

// openAll opens every model the recipe starts from.
func (s *sources) openAll(r *Recipe) error {
	if s.options.Models == nil {
		return fault.New(fault.Invalid, "merge", "Models", "nothing says where models are").Fix("use InFolder")
	}
	var opts []checkpoint.Option
	if s.options.Pickle {
		opts = append(opts, checkpoint.AllowPickle())
	}
	var slips []error
	for i, l := range r.Lines {
		for _, name := range l.names() {
			if _, ok := r.result(name, i); ok {
				continue
			}
			at := fmt.Sprintf("line %d", l.Number)
			model := s.chosen(name)
			if model == name && variable.MatchString(name) {
				slips = append(slips, fault.New(fault.NotExist, "merge", at, "the variable %s has no value", name).Fix("set it in Options.Variables"))
				continue
			}
			if s.files[model] != nil {
				continue
			}
			path, err := s.options.Models(model)
			if err == nil {
				var f *checkpoint.File
				if f, err = checkpoint.Open(path, opts...); err == nil {
					s.files[model], s.prints[f] = f, ""
					if err = guard(path, func() { s.prints[f] = identity(f) }); err == nil {
						continue
					}
				}
			}
			slips = append(slips, fault.New(fault.NotExist, "merge", at, "%w", err))
		}
	}
	return errors.Join(slips...)
}

// print is a fingerprint of the merge and its inputs.
func (s *sources) print(m merging) string {
	h := sha256.New()
	fmt.Fprintln(h, m.line.String())
	if blocks, ok := m.blocks[m.line.Out]; ok {
		fmt.Fprintln(h, blocks)
	}
	for _, f := range []*checkpoint.File{m.a, m.b, m.c} {
		if f != nil {
			fmt.Fprintln(h, s.prints[f])
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Of files up to wholeSize every byte counts for their fingerprint; of larger ones samples of each tensor and the time of their last change.
const (
	wholeSize = 1 << 28
	samples   = 16
	sampled   = 4096 // bytes of each sample
)

// identity is a fingerprint of a file. That it says what merge it is does not count: a program that changes weights may keep its header.
func identity(f *checkpoint.File) string {
	h := sha256.New()
	info, err := os.Stat(f.Path)
	large := err != nil || info.Size() > wholeSize
	if large && err == nil {
		fmt.Fprintln(h, info.Size(), info.ModTime().UnixNano())
	}
	for _, name := range f.Names() {
		t, err := f.Tensor(name)
		if err != nil {
			continue // Names lists what Tensor finds
		}
		fmt.Fprintln(h, t)
		if !large || len(t.Data) <= samples*sampled {
			h.Write(t.Data)
		} else {
			for i := range samples {
				at := i * (len(t.Data) - sampled) / (samples - 1)
				h.Write(t.Data[at : at+sampled])
			}
		}
		f.Release(t)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
