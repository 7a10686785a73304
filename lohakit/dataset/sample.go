package dataset

import (
	"math"
	"math/rand/v2"
)

// Sample is one drawn item: what the trainer makes a row of a batch from.
type Sample struct {
	Item    int    // index into Set.Items
	Number  int    // which of the epoch's draws, from 0; the same in every epoch for the same image and repeat
	Epoch   int    // from 1
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
	p = p.resize(item.Resized)
	r := s.stream(drawPixels, d.Epoch, d.Number)
	x, y := (item.Resized.W-item.Bucket.W)/2, (item.Resized.H-item.Bucket.H)/2
	if sub.RandomCrop {
		x, y = r.IntN(item.Resized.W-item.Bucket.W+1), r.IntN(item.Resized.H-item.Bucket.H+1)
	}
	p = p.crop(x, y, item.Bucket)
	if d.Flip {
		p = p.flip()
	}
	if sub.Color {
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

// recolor turns hue by up to ±8 of 180 degrees, or bends gamma by 0.95…1.05, or neither, as the trainers' colour augmentation does:
// one of the two with probability ½.
func (p pixels) recolor(r *rand.Rand) {
	if r.Float64() >= 0.5 {
		return
	}
	if r.Float64() < 0.5 {
		p.turnHue((2*r.Float64() - 1) * 8 / 90 * math.Pi)
		return
	}
	gamma := 0.95 + 0.1*r.Float64()
	var table [256]uint8
	for i := range table {
		table[i] = uint8(255*math.Pow(float64(i)/255, gamma) + 0.5)
	}
	for i := range p.data {
		if i%4 != 3 {
			p.data[i] = table[p.data[i]]
		}
	}
}

// turnHue rotates colours about the grey axis by an angle in radians.
func (p pixels) turnHue(angle float64) {
	c, s := math.Cos(angle), math.Sin(angle)
	same, next, last := c+(1-c)/3, (1-c)/3-s/math.Sqrt(3), (1-c)/3+s/math.Sqrt(3)
	for i := 0; i < len(p.data); i += 4 {
		rgb := [3]float64{float64(p.data[i]), float64(p.data[i+1]), float64(p.data[i+2])}
		for k := range 3 {
			v := same*rgb[k] + next*rgb[(k+1)%3] + last*rgb[(k+2)%3]
			p.data[i+k] = uint8(min(max(v+0.5, 0), 255))
		}
	}
}
