package checkpoint

import (
	"encoding/binary"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

// parallelFrom is the number of elements below which starting goroutines costs more than it saves.
const parallelFrom = 1 << 18

// inParts calls f on consecutive ranges covering [0, n), concurrently when n is large. A memory fault in f is raised again
// in the caller, where it can be recovered.
func inParts(n int, f func(lo, hi int)) {
	parts := min(runtime.GOMAXPROCS(0), n/parallelFrom)
	if parts < 2 {
		f(0, n)
		return
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed any
	)
	for p := range parts {
		wg.Go(func() {
			defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
			defer func() {
				if r := recover(); r != nil {
					mu.Lock()
					failed = r
					mu.Unlock()
				}
			}()
			f(n*p/parts, n*(p+1)/parts)
		})
	}
	wg.Wait()
	if failed != nil {
		panic(failed)
	}
}

func decode(dst []float32, d DType, src []byte) {
	inParts(len(dst), func(lo, hi int) {
		switch d {
		case F16:
			for i, s := lo, src[2*lo:2*hi]; i < hi; i, s = i+1, s[2:] {
				dst[i] = halfToFloat(binary.LittleEndian.Uint16(s))
			}
		case BF16:
			for i, s := lo, src[2*lo:2*hi]; i < hi; i, s = i+1, s[2:] {
				dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(s)) << 16)
			}
		case F32:
			copy(floatBytes(dst[lo:hi]), src[4*lo:4*hi])
		case F64:
			for i, s := lo, src[8*lo:8*hi]; i < hi; i, s = i+1, s[8:] {
				dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(s)))
			}
		}
	})
}

func encode(dst []byte, d DType, src []float32) {
	inParts(len(src), func(lo, hi int) {
		switch d {
		case F16:
			for i, s := lo, dst[2*lo:2*hi]; i < hi; i, s = i+1, s[2:] {
				binary.LittleEndian.PutUint16(s, floatToHalf(src[i]))
			}
		case BF16:
			for i, s := lo, dst[2*lo:2*hi]; i < hi; i, s = i+1, s[2:] {
				binary.LittleEndian.PutUint16(s, floatToBrain(src[i]))
			}
		case F32:
			copy(dst[4*lo:4*hi], floatBytes(src[lo:hi]))
		case F64:
			for i, s := lo, dst[8*lo:8*hi]; i < hi; i, s = i+1, s[8:] {
				binary.LittleEndian.PutUint64(s, math.Float64bits(float64(src[i])))
			}
		}
	})
}

// floatBytes views values as bytes. The platforms XLA runs on are little-endian, as the file is.
func floatBytes(values []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), 4*len(values))
}

// halfToFloat moves the 5-bit exponent and 10-bit fraction into float32's places and rescales by the difference of the
// biases, 2^112, which also normalizes subnormals.
func halfToFloat(h uint16) float32 {
	const rescale = 0x1p112
	sign := uint32(h&0x8000) << 16
	if h&0x7c00 == 0x7c00 { // infinity and NaN keep the largest exponent
		return math.Float32frombits(sign | 0x7f800000 | uint32(h&0x3ff)<<13)
	}
	magnitude := math.Float32frombits(uint32(h&0x7fff)<<13) * rescale
	return math.Float32frombits(sign | math.Float32bits(magnitude))
}

// floatToHalf rounds to nearest, ties to even.
func floatToHalf(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000: // NaN stays a (quiet) NaN
		return sign | 0x7e00
	case b >= 0x477ff000: // 65,520 and up
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: adding 0.5 aligns the fraction to the subnormal step 2^-24, rounding as it does
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
	}
	b += 0xc8000fff + b>>13&1 // rebias the exponent by -112 and round
	return sign | uint16(b>>13)
}

// floatToBrain rounds to nearest, ties to even.
func floatToBrain(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
