package lohakit

import (
	"fmt"
	"strings"

	"github.com/lohakit/notebook/lohakit/train"
)

// Imported is a training configuration of another program.
type Imported struct{ train.Imported }

// Import reads how an adapter is or was trained: a JSON of LoRA_Easy_Training_Scripts, with which the model card's experiments were run, or of
// the kohya_ss GUI, a TOML of kohya's trainer, or an adapter's own file. Give its Config to Train. What is unknown or has no effect
// here is shown, not passed over.
func Import(path string) (Imported, error) {
	in, err := train.Import(path)
	return Imported{in}, err
}

// MIMEBundle shows how the configuration differs from the default, what it was made for, and what could not be taken over.
func (in Imported) MIMEBundle() map[string]any {
	var b strings.Builder
	b.WriteString(in.Config.Name())
	for _, line := range []struct{ what, value string }{{"base model", in.BaseModel}, {"autoencoder", in.VAE}, {"images", in.Images}, {"regularization images", in.Regularize},
		{"dataset file", in.Dataset}} {
		if line.value != "" {
			fmt.Fprintf(&b, "\n%s: %s", line.what, line.value)
		}
	}
	for _, note := range in.Notes {
		fmt.Fprintf(&b, "\nnote: %s", note)
	}
	return map[string]any{"text/plain": b.String()}
}
