package xla

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// Images inside graphs are [B, H, W, C]: XLA's convolutions on the CPU want the channels last, and so do the linear layers between
// them. ChannelsLast and ChannelsFirst convert at the borders.

// ChannelsLast turns x [B, C, H, W] into [B, H, W, C].
func ChannelsLast(x *Node) *Node { return TransposeAllAxes(x, 0, 2, 3, 1) }

// ChannelsFirst turns x [B, H, W, C] into [B, C, H, W].
func ChannelsFirst(x *Node) *Node { return TransposeAllAxes(x, 0, 3, 1, 2) }

// Conv is the two-dimensional convolution of x [B, H, W, I] with w [O, I, kh, kw] (as in checkpoints), plus b [O] unless nil: the
// result is [B, H', W', O]. pad is one number of pixels for all sides, or four: top, bottom, left, right; each less than the kernel.
func Conv(x, w, b *Node, stride int, pad ...int) *Node {
	c := convolution{stride: stride}
	switch len(pad) {
	case 1:
		c.pad = [4]int{pad[0], pad[0], pad[0], pad[0]}
	case 4:
		c.pad = [4]int(pad)
	}
	d := x.Shape().Dimensions
	c.out, c.in = w.Shape().Dim(0), w.Shape().Dim(1)
	c.kh, c.kw = w.Shape().Dim(2), w.Shape().Dim(3)
	c.b, c.h, c.w = d[0], d[1], d[2]
	c.oh = (c.h+c.pad[0]+c.pad[1]-c.kh)/stride + 1
	c.ow = (c.w+c.pad[2]+c.pad[3]-c.kw)/stride + 1

	var y *Node
	switch {
	case c.kh == 1 && c.kw == 1 && stride == 1 && c.pad == [4]int{}:
		y = Linear(x, Reshape(w, c.out, c.in), nil)
	case c.kh == stride && c.kw == stride && c.pad == [4]int{} && c.h%stride == 0 && c.w%stride == 0:
		patches := Reshape(x, c.b, c.oh, stride, c.ow, stride, c.in)
		y = DotGeneral(patches, []int{2, 4, 5}, nil, w, []int{2, 3, 1}, nil)
	case c.oh*c.ow <= smallImage:
		y = c.byPatches(x, w)
	default:
		y = WithGradient([]*Node{x, w}, c.forward(x, w), func(v *Node) []*Node {
			return []*Node{c.gradX(w, v), c.gradW(x, v)}
		})
	}
	if b != nil {
		y = Add(y, ExpandLeftToRank(b, 4))
	}
	return y
}

// smallImage is the number of pixels up to which a convolution is computed as one product over gathered patches: on the CPU, XLA has
// no fast convolution of images smaller than the kernel (3×3 on 2×2 pixels: 2.7 ms against 0.2 ms).
const smallImage = 4

// convolution is the geometry of one.
type convolution struct {
	b, h, w, in    int // x
	oh, ow, out    int // the result
	kh, kw, stride int
	pad            [4]int // top, bottom, left, right
}

func (c convolution) forward(x, w *Node) *Node {
	return ConvGeneral(x, w, channelsLast, []int{c.stride, c.stride},
		[][2]int{{c.pad[0], c.pad[1]}, {c.pad[2], c.pad[3]}}, nil, nil, 1, 1)
}

// gradX convolves v, its pixels spread apart by the stride, with the kernel turned by half a turn.
func (c convolution) gradX(w, v *Node) *Node {
	turned := channelsLast
	turned.KernelInputChannels, turned.KernelOutputChannels = turned.KernelOutputChannels, turned.KernelInputChannels
	after := func(size, out, before int) int { return size + before - (out-1)*c.stride - 1 }
	return ConvGeneral(v, Reverse(w, 2, 3), turned, nil, [][2]int{
		{c.kh - 1 - c.pad[0], after(c.h, c.oh, c.pad[0])},
		{c.kw - 1 - c.pad[2], after(c.w, c.ow, c.pad[2])},
	}, []int{c.stride, c.stride}, nil, 1, 1)
}

// gradW convolves x with v as the kernel, the batch taking the place of the channels.
func (c convolution) gradW(x, v *Node) *Node {
	after := func(size, out, k, before int) int { return k - size - before + (out-1)*c.stride }
	bottom, right := after(c.h, c.oh, c.kh, c.pad[0]), after(c.w, c.ow, c.kw, c.pad[2])
	x = Slice(x, AxisRange(), AxisRangeFromStart(c.h+min(bottom, 0)), AxisRangeFromStart(c.w+min(right, 0)), AxisRange())
	return ConvGeneral(x, v, swapped, nil, [][2]int{{c.pad[0], max(bottom, 0)}, {c.pad[2], max(right, 0)}},
		nil, []int{c.stride, c.stride}, 1, 1)
}

// byPatches is the product of the patches of x, each flattened, with the flattened kernels.
func (c convolution) byPatches(x, w *Node) *Node {
	return WithGradient([]*Node{x, w}, c.product(c.patches(x), w), func(v *Node) []*Node {
		full := convolution{b: c.b, h: (c.oh-1)*c.stride + 1, w: (c.ow-1)*c.stride + 1, oh: c.h, ow: c.w, kh: c.kh, kw: c.kw, stride: 1,
			pad: [4]int{c.kh - 1 - c.pad[0], 0, c.kw - 1 - c.pad[2], 0}}
		spread := v
		if c.stride > 1 {
			spread = Pad(v, ScalarZero(v.Graph(), v.DType()), PadAxis{}, PadAxis{Interior: c.stride - 1}, PadAxis{Interior: c.stride - 1}, PadAxis{})
		}
		full.pad[1] = full.oh + full.kh - 1 - full.h - full.pad[0]
		full.pad[3] = full.ow + full.kw - 1 - full.w - full.pad[2]
		gx := full.product(full.patches(spread), Transpose(Reverse(w, 2, 3), 0, 1))
		gw := DotGeneral(v, []int{0, 1, 2}, nil, c.patches(x), []int{0, 1, 2}, nil) // [O, kh·kw·I]
		gw = TransposeAllAxes(Reshape(gw, c.out, c.kh, c.kw, c.in), 0, 3, 1, 2)
		return []*Node{gx, gw}
	})
}

// patches gathers for each pixel of the result what the kernel sees there: [B, oh, ow, kh·kw·I].
func (c convolution) patches(x *Node) *Node {
	padded := Pad(x, ScalarZero(x.Graph(), x.DType()), PadAxis{}, PadAxis{Start: c.pad[0], End: c.pad[1]},
		PadAxis{Start: c.pad[2], End: c.pad[3]}, PadAxis{})
	var taps []*Node
	for i := range c.kh {
		for j := range c.kw {
			taps = append(taps, Slice(padded, AxisRange(),
				AxisRange(i, i+(c.oh-1)*c.stride+1).Stride(c.stride), AxisRange(j, j+(c.ow-1)*c.stride+1).Stride(c.stride), AxisRange()))
		}
	}
	return Concatenate(taps, 3)
}

// product multiplies patches with the kernels w.
func (c convolution) product(patches, w *Node) *Node {
	kernels := Reshape(TransposeAllAxes(w, 0, 2, 3, 1), w.Shape().Dim(0), c.kh*c.kw*w.Shape().Dim(1))
	return DotGeneral(patches, []int{3}, nil, kernels, []int{1}, nil)
}

var (
	channelsLast = ConvolveAxesConfig{
		InputBatch: 0, InputSpatial: []int{1, 2}, InputChannels: 3,
		KernelOutputChannels: 0, KernelInputChannels: 1, KernelSpatial: []int{2, 3},
		OutputBatch: 0, OutputSpatial: []int{1, 2}, OutputChannels: 3,
	}
	swapped = ConvolveAxesConfig{
		InputBatch: 3, InputSpatial: []int{1, 2}, InputChannels: 0,
		KernelInputChannels: 0, KernelSpatial: []int{1, 2}, KernelOutputChannels: 3,
		OutputBatch: 1, OutputSpatial: []int{2, 3}, OutputChannels: 0,
	}
)

// Upsample2x repeats every pixel of x [B, H, W, C] twice in both directions: [B, 2H, 2W, C].
func Upsample2x(x *Node) *Node {
	d := x.Shape().Dimensions
	y := BroadcastToDims(Reshape(x, d[0], d[1], 1, d[2], 1, d[3]), d[0], d[1], 2, d[2], 2, d[3])
	return Reshape(y, d[0], 2*d[1], 2*d[2], d[3])
}
