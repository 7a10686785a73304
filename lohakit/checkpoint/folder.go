package checkpoint

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// openFolder reads a diffusers folder: one subfolder a part, each holding one weight file or numbered shards.
func (m *Model) openFolder(folder string, opts []Option) error {
	found := false
	for _, p := range Parts {
		files, err := weightFiles(filepath.Join(folder, p.String()))
		if err != nil {
			return ioFault("open model", folder, err)
		}
		in := map[string]string{} // the file of each tensor
		for _, path := range files {
			found = true
			f, err := Open(path, opts...)
			if err != nil {
				return err
			}
			m.files = append(m.files, f)
			if family := familyOf(f, f.names); family != "" {
				return fault.New(fault.Unsupported, "open model", folder, "it is %s; only Stable Diffusion 1.x is supported", family)
			}
			for _, name := range f.names {
				own := name
				switch p {
				case Text:
					own = strings.TrimPrefix(fixText(prefixes[Text]+name), prefixes[Text])
				case VAE:
					own = oldAttention.Replace(name)
				}
				if p == Text && strings.HasSuffix(own, ".position_ids") {
					continue
				}
				if other, twice := in[own]; twice && other != path {
					return fault.New(fault.Corrupt, "open model", folder, "both %s and %s of its %s hold %s", filepath.Base(other), filepath.Base(path), p, own).
						Fix("leave in the folder the files of one conversion")
				}
				in[own] = path
				m.put(p, own, f.tensors[name])
			}
		}
	}
	if !found {
		return fault.New(fault.NotExist, "open model", folder, "no weights in its subfolders unet, text_encoder or vae").
			Fix("choose the folder that holds model_index.json, or a .safetensors file")
	}
	return m.readConfigs(folder)
}

// weightFiles lists the files of a part's weights, preferring safetensors to pickles and full precision to half.
func weightFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	byKind := map[string][]string{} // extension and variant, to the shards
	for _, e := range entries {
		name := e.Name()
		stem, ok := strings.CutPrefix(name, "diffusion_pytorch_model")
		if !ok {
			if stem, ok = strings.CutPrefix(name, "pytorch_model"); !ok {
				if stem, ok = strings.CutPrefix(name, "model"); !ok {
					continue
				}
			}
		}
		for _, kind := range weightKinds {
			if strings.HasSuffix(stem, kind) && shard.MatchString(strings.TrimSuffix(stem, kind)) {
				byKind[kind] = append(byKind[kind], filepath.Join(folder, name))
				break
			}
		}
	}
	for _, kind := range []string{".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin"} {
		if files := byKind[kind]; len(files) > 0 {
			slices.Sort(files)
			return files, nil
		}
	}
	return nil, nil
}

var weightKinds = []string{".fp16.safetensors", ".safetensors", ".fp16.bin", ".bin"}

// shard matches what stands before the extension: nothing, or "-00001-of-00002".
var shard = regexp.MustCompile(`^(-\d{5}-of-\d{5})?$`)

// readConfigs turns the parts of the JSON files that shapes cannot tell into metadata.
func (m *Model) readConfigs(folder string) error {
	var unet struct {
		Heads json.RawMessage `json:"attention_head_dim"`
	}
	var vae struct {
		Scale *float64 `json:"scaling_factor"`
	}
	var scheduler struct {
		Prediction string `json:"prediction_type"`
	}
	for name, into := range map[string]any{"unet/config.json": &unet, "vae/config.json": &vae,
		"scheduler/scheduler_config.json": &scheduler} {
		if err := readJSON(filepath.Join(folder, filepath.FromSlash(name)), into); err != nil {
			return err
		}
	}
	var heads int // the field counts heads, in spite of its name; a list counts them per level
	if json.Unmarshal(unet.Heads, &heads) == nil && heads > 0 {
		m.Metadata["lohakit.heads"] = fmt.Sprint(heads)
	}
	if vae.Scale != nil {
		m.Metadata["lohakit.latent_scale"] = fmt.Sprint(*vae.Scale)
	}
	switch scheduler.Prediction {
	case "epsilon":
		m.Metadata["modelspec.prediction_type"] = "epsilon"
	case "v_prediction":
		m.Metadata["modelspec.prediction_type"] = "v"
	}
	return nil
}

// maxConfig is far above any configuration file of a model, in bytes.
const maxConfig = 1 << 20

// readJSON decodes the file if it exists.
func readJSON(path string, into any) error {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return fault.New(fault.Corrupt, "read", path, "not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return ioFault("read", path, err)
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxConfig)).Decode(into); err != nil {
		return fault.New(fault.Corrupt, "read", path, "%w", err)
	}
	return nil
}
