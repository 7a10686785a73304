package dataset

import (
	"math/rand/v2"
)

// Sample is one drawn item: what the trainer makes a row of a batch from.
type Sample struct {
	Item    int    // index into Set.Items
	Number  int    // which of the epoch's draws, from 0; the same in every epoch for the same image and repeat
	Epoch   int    // from 1; 0 for the image as it is, neither recoloured nor cut at random
	Caption string // processed caption
	Flip    bool   // mirrored
}

// Purposes of random numbers: each draw has its own stream, so that turning one option on does not move another's.
const (
	drawOrder = iota + 1
	drawCaption
	drawFlip
	drawPixels
	drawLatent
	drawHeld
)

// stream returns the random numbers of one purpose, epoch and draw. Nothing is carried from one draw to the next, which is what makes
// resuming in the middle of an epoch exact.
func (s *Set) stream(purpose, epoch, number int) *rand.Rand {
	return rand.New(rand.NewPCG(s.Options.Seed, uint64(purpose)<<56^uint64(epoch)<<32^uint64(number)))
}

// Draw makes one sample: number counts an epoch's draws, epoch from 1; step and steps are the optimizer's (for tag warm-up).
func (s *Set) Draw(item, number, epoch, step, steps int) Sample {
	sub := s.Subsets[s.Items[item].Subset]
	return Sample{
		Item: item, Number: number, Epoch: epoch,
		Caption: sub.Captions.Draw(s.Items[item].Caption, s.stream(drawCaption, epoch, number), epoch, step, steps),
		Flip:    sub.Flip && s.stream(drawFlip, epoch, number).IntN(2) == 1,
	}
}

// Pixels decodes a sample's image into [3, H, W] float32 in [-1, 1], H and W being the item's bucket, and its loss mask [H, W] in [0, 1]
// (nil when the subset has none).
func (s *Set) Pixels(d Sample) (image, mask []float32, err error) {
	item := s.Items[d.Item]
	sub := s.Subsets[item.Subset]
	img, err := item.limits.Decode(item.Path)
	if err != nil {
		return nil, nil, err
	}
	p := toPixels(img)
	if err := s.attachMask(&p, sub, item); err != nil {
		return nil, nil, err
	}
	p = p.resize(item.Resized, sub.ResizeInterpolation)
	r := s.stream(drawPixels, d.Epoch, d.Number)
	x, y := (item.Resized.W-item.Bucket.W)/2, (item.Resized.H-item.Bucket.H)/2
	if sub.RandomCrop && d.Epoch > 0 {
		x, y = r.IntN(item.Resized.W-item.Bucket.W+1), r.IntN(item.Resized.H-item.Bucket.H+1)
	}
	p = p.crop(x, y, item.Bucket)
	if d.Flip {
		p = p.flip()
	}
	if sub.Color && d.Epoch > 0 {
		p.recolor(r)
	}
	image, mask = p.tensor()
	if !sub.AlphaMask && sub.MaskDir == "" {
		mask = nil
	}
	return image, mask, nil
}

// Image is Pixels of an item as it is, without augmentation: [3, H, W] float32 in [-1, 1].
func (s *Set) Image(item int) ([]float32, error) {
	image, _, err := s.Pixels(Sample{Item: item})
	return image, err
}

// tensor splits the channels: colour to [-1, 1], alpha to [0, 1].
func (p pixels) tensor() (image, alpha []float32) {
	n := p.size.W * p.size.H
	image, alpha = make([]float32, 3*n), make([]float32, n)
	for i := range n {
		for c := range 3 {
			image[c*n+i] = float32(p.data[4*i+c])/127.5 - 1
		}
		alpha[i] = float32(p.data[4*i+3]) / 255
	}
	return image, alpha
}
