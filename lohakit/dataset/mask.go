package dataset

import (
	"os"
	"path/filepath"

	"github.com/lohakit/notebook/lohakit/fault"
)

// attachMask puts the loss mask into the alpha channel, so that scaling, cropping and flipping treat it as the image: from the subset's
// MaskDir if it has one, the image's own alpha with AlphaMask, all ones otherwise.
func (s *Set) attachMask(p *pixels, sub Subset, item Item) error {
	if sub.MaskDir == "" {
		if !sub.AlphaMask {
			for i := 3; i < len(p.data); i += 4 {
				p.data[i] = 255
			}
		}
		return nil
	}
	for _, ext := range imageExtensions {
		path := filepath.Join(sub.MaskDir, stem(item.Path)+ext)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		img, err := item.limits.Decode(path)
		if err != nil {
			return err
		}
		mask := toPixels(img)
		if mask.size != p.size {
			return fault.New(fault.Invalid, "read mask", path, "is %s but its image is %s", mask.size, p.size).
				Fix("make the mask the image's size")
		}
		for i := 3; i < len(p.data); i += 4 {
			p.data[i] = mask.data[i-3]
		}
		return nil
	}
	return fault.New(fault.NotExist, "read mask", item.Path, "has no mask in %s", sub.MaskDir).
		Fix("add one with the same name, or clear MaskDir")
}
