package sd

import (
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/fault"
)

// DefaultTile is the side of a tile in latent pixels: 512 pixels in SD 1.x, the size its autoencoder was trained on.
const DefaultTile = 64

// minTile leaves an overlap of one latent pixel and something beside it.
const minTile = 4

// DecodeTiled is Decode for large images: it decodes square tiles of side tile (in latent pixels; DefaultTile if 0) that overlap by a
// quarter and fades each into the next, so that memory does not grow with the image. All tiles have one size, hence one
// compiled program. The autoencoder normalises over what it sees, so that the colours of an image differ a little from
// Decode's; with the patch autoencoder they do not. Latents no larger than a tile are decoded whole.
func (m *Model) DecodeTiled(latents *tensors.Tensor, tile int) (*tensors.Tensor, error) {
	if tile == 0 {
		tile = DefaultTile
	}
	if tile < minTile {
		return nil, fault.New(fault.Invalid, "decode latents", "tile", "%d latent pixels are too few", tile).Fix("use %d or more", minTile)
	}
	d := latents.Shape().Dimensions
	if len(d) != 4 || d[2] <= tile && d[3] <= tile {
		return m.Decode(latents)
	}
	z, err := tensors.CopyFlatData[float32](latents)
	if err != nil {
		return nil, fault.New(fault.Invalid, "decode latents", "", "%w", err)
	}
	factor := m.Config.VAE.Factor()
	rows, columns := cut(d[2], tile, factor), cut(d[3], tile, factor)
	height, width := d[2]*factor, d[3]*factor
	image := make([]float32, d[0]*3*height*width)
	for _, row := range rows {
		for _, column := range columns {
			part := make([]float32, 0, d[0]*d[1]*row.size*column.size)
			for plane := range d[0] * d[1] {
				for y := row.start; y < row.start+row.size; y++ {
					at := (plane*d[2]+y)*d[3] + column.start
					part = append(part, z[at:at+column.size]...)
				}
			}
			decoded, err := m.Decode(tensors.FromFlatDataAndDimensions(part, d[0], d[1], row.size, column.size))
			if err != nil {
				return nil, err
			}
			pixels, err := tensors.CopyFlatData[float32](decoded)
			decoded.MustFinalizeAll()
			if err != nil {
				return nil, fault.New(fault.Other, "decode latents", "", "%w", err)
			}
			for plane := range d[0] * 3 {
				for y, wy := range row.weight {
					out := image[(plane*height+row.start*factor+y)*width+column.start*factor:]
					in := pixels[(plane*len(row.weight)+y)*len(column.weight):]
					for x, wx := range column.weight {
						out[x] += wy * wx * in[x]
					}
				}
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(image, d[0], 3, height, width), nil
}

// strip is one tile's extent along an axis: where it starts and its size in latent pixels, and its share of each of its pixels.
type strip struct {
	start, size int
	weight      []float32
}

// cut divides n latent pixels into strips of the tile's size, evenly spread and overlapping by at least a quarter of it. Each
// strip's share rises and falls linearly over a quarter, and the shares of a pixel add up to 1.
func cut(n, tile, factor int) []strip {
	if n <= tile {
		tile = n
	}
	overlap := tile / 4
	count := 1
	if n > tile {
		count = 1 + (n-tile+tile-overlap-1)/(tile-overlap)
	}
	strips := make([]strip, count)
	total := make([]float32, n*factor)
	for i := range strips {
		s := strip{size: tile, weight: make([]float32, tile*factor)}
		if i > 0 {
			s.start = i * (n - tile) / (count - 1)
		}
		for p := range s.weight {
			edge := min(p+1, len(s.weight)-p) // pixels from the nearer edge
			s.weight[p] = min(1, float32(edge)/float32(overlap*factor+1))
			total[s.start*factor+p] += s.weight[p]
		}
		strips[i] = s
	}
	for _, s := range strips {
		for p := range s.weight {
			s.weight[p] /= total[s.start*factor+p]
		}
	}
	return strips
}
