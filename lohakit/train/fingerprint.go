package train

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"slices"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/sd"
)

// dataPrint is a fingerprint of what decides the order and the captions of a dataset, as far as Config does not.
func dataPrint(s *dataset.Set) string {
	sum := sha256.New()
	for _, item := range s.Items {
		fmt.Fprintf(sum, "%s %q %q %s %d %s\n", s.Subsets[item.Subset].Name(), item.Name(), item.Caption, item.Size, item.Repeats, item.Bucket)
	}
	if s.FromFile() {
		fmt.Fprintln(sum, s.Options.BatchSize)
		for _, sub := range s.Subsets {
			sub.Dir, sub.MaskDir = "", filepath.Base(sub.MaskDir) // which may have moved
			fmt.Fprintf(sum, "%+v\n", sub)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// basePrint is a fingerprint of the files of BaseWeights and their strengths.
func (c Config) basePrint() (sums string) {
	for i, path := range c.BaseWeights {
		sums += fmt.Sprint(hashesOf(path)[1], " at ", c.baseStrength(i), "\n")
	}
	return sums
}

// modelPrint is a fingerprint of a model: the names, shapes and values of all weights, in whatever order its file has them.
func modelPrint(m *sd.Model) string {
	sum, table := sha256.New(), crc32.MakeTable(crc32.Castagnoli)
	for _, p := range []*sd.Params{m.UNet, m.Text, m.VAE} {
		for _, name := range slices.Sorted(slices.Values(p.Names())) {
			t := p.Get(name)
			read := func(data []byte) { fmt.Fprintln(sum, name, t.Shape(), crc32.Checksum(data, table)) }
			if err := reading(t, read); err != nil {
				fmt.Fprintln(sum, name, err)
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// reading looks at a tensor's bytes without leaving a copy of what only a device had.
func reading(t *tensors.Tensor, f func(data []byte)) error {
	if !t.IsLocal() {
		defer t.FinalizeLocal()
	}
	return t.ConstBytes(f)
}

// trainedPrint is a fingerprint of the adapter's Spec but for its dropout, of the tensors that are trained, as they are stacked for the optimizer,
// and of the optimizer's kind.
func (r *Run) trainedPrint() string {
	sum, trained := sha256.New(), weights(r.Adapter)
	fmt.Fprintf(sum, "%+v %s", Config{}.dropping(r.Config.Spec), r.Config.Optimizer)
	if o, ok := r.graphs.optimizer.(AdamW8bit); ok {
		fmt.Fprint(sum, o.Block)
	}
	for _, s := range r.graphs.slots {
		fmt.Fprintf(sum, "\n%q %v", s.names, trained.Shape(s.names[0]))
	}
	return hex.EncodeToString(sum.Sum(nil))
}
