package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
)

// testdata/written.safetensors was written by the reference; writing its tensors again must give the same bytes.
func TestWriteAsReference(t *testing.T) {
	f, err := Open("testdata/written.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []Tensor
	for i := len(f.names) - 1; i >= 0; i-- {
		list = append(list, f.tensors[f.names[i]])
	}
	path := filepath.Join(t.TempDir(), "again.safetensors")
	if err := Write(path, list, f.Metadata); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, f.mapped) {
		t.Errorf("%d bytes written differ from the reference's %d", len(got), len(f.mapped))
	}
	if size, err := Size(list, f.Metadata); err != nil || size != int64(len(got)) {
		t.Errorf("Size is %d (%v), the file has %d bytes", size, err, len(got))
	}
}

func TestWriteRefuses(t *testing.T) {
	folder := t.TempDir()
	one := Tensor{Name: "a", DType: U8, Shape: []int{1}, Data: []byte{1}}
	for name, list := range map[string][]Tensor{
		"same name twice": {one, one},
		"metadata's name": {{Name: "__metadata__", DType: U8, Shape: []int{1}, Data: []byte{1}}},
		"negative shape":  {{Name: "a", DType: U8, Shape: []int{-1}}},
		"huge shape":      {{Name: "a", DType: F64, Shape: []int{math.MaxInt, 2}}},
		"half a byte":     {{Name: "a", DType: F4, Shape: []int{1}, Data: []byte{1}}},
		"unknown type":    {{Name: "a", DType: 99, Shape: []int{1}, Data: []byte{1}}},
		"too little data": {one, {Name: "b", DType: F32, Shape: []int{2}, Data: []byte{1}}},
	} {
		if err := Write(filepath.Join(folder, "a.safetensors"), list, nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Write(filepath.Join(folder, "none", "a.safetensors"), []Tensor{one}, nil); !fault.Is(err, fault.NotExist) {
		t.Errorf("missing folder: %v", err)
	}
	if err := Write(folder, []Tensor{one}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("a folder as file: %v", err)
	}
	stop := errors.New("stop")
	err := Stream(filepath.Join(folder, "a.safetensors"), []Tensor{one}, nil, func(Tensor) ([]byte, error) { return nil, stop })
	if !errors.Is(err, stop) {
		t.Errorf("the source's error became %v", err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 0 {
		t.Errorf("failed writes left %v", left)
	}
}

func TestReplace(t *testing.T) {
	folder := t.TempDir()
	target, link := filepath.Join(folder, "target.safetensors"), filepath.Join(folder, "link.safetensors")
	if err := os.WriteFile(target, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target.safetensors", link); err != nil {
		t.Fatal(err)
	}
	abandoned := filepath.Join(folder, tempName("target.safetensors"))
	if err := os.WriteFile(abandoned, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	busy, err := createLocked(folder, "target.safetensors", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	open, err := os.Open(target)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := Write(link, nil, nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o640 || info.Size() != 16 {
		t.Errorf("the target is %v, %v", info, err)
	}
	if old, err := io.ReadAll(open); string(old) != "old" || err != nil {
		t.Errorf("who had the old file open now reads %q, %v", old, err)
	}
	if _, err := os.Stat(abandoned); !os.IsNotExist(err) {
		t.Error("an abandoned temporary file was not cleared away")
	}
	if _, err := os.Stat(busy.Name()); err != nil {
		t.Error("the temporary file of a living writer was cleared away")
	}
}

func TestOpenFaults(t *testing.T) {
	folder := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		path string
		kind fault.Kind
		text string
	}{
		{filepath.Join(folder, "none"), fault.NotExist, "no such file"},
		{folder, fault.IO, "regular"},
		{file("empty", ""), fault.Corrupt, "too few"},
		{file("page", "<!DOCTYPE html><html>not found, sorry</html>"), fault.Corrupt, "web page"},
		{file("pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n"), fault.Corrupt, "git lfs pull"},
		{file("cut", "\x40\x00\x00\x00\x00\x00\x00\x00{\"a\""), fault.Corrupt, "only 4 bytes follow"},
		{file("huge", "\x02\x00\x00\x00\x00\x00\x00\x00{}x"), fault.Corrupt, "byte 0 of 1"},
		{file("dimension", "\x54\x00\x00\x00\x00\x00\x00\x00"+
			fmt.Sprintf("%-84s", `{"a":{"dtype":"U8","shape":[0,18446744073709551615],"data_offsets":[0,0]}}`)), fault.Unsupported, "dimension"},
	} {
		_, err := Open(c.path)
		if !fault.Is(err, c.kind) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v with %q", filepath.Base(c.path), err, c.kind, c.text)
		}
	}
}

// A file that another program cuts short while it is open gives an error, not a crash.
func TestShrunkWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	for _, n := range []int{1 << 14, 1 << 21} { // below and above what is converted concurrently
		big, err := FromFloats("a", F32, []int{n}, make([]float32, n))
		if err != nil {
			t.Fatal(err)
		}
		if err := Write(path, []Tensor{big}, nil); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := f.Tensor("a")
		if err := os.Truncate(path, 4096); err != nil {
			t.Fatal(err)
		}
		if _, err := x.Floats(); !fault.Is(err, fault.Corrupt) {
			t.Errorf("%d elements: %v", n, err)
		}
		f.Close()
	}
}

// So is a file that shrinks while its header is read.
func TestShrunkWhileOpening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := Write(path, nil, map[string]string{"long": strings.Repeat("x", 1<<16)}); err != nil {
		t.Fatal(err)
	}
	mapped, err := mapFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &File{Path: path, Metadata: map[string]string{}, mapped: mapped}
	defer f.Close()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if err := f.read(options{}); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "shrank") {
		t.Error(err)
	}
}

// Between every two neighbouring halves, what is below their midpoint rounds down, what is above rounds up, and the midpoint goes to
// the even one.
func TestHalfRounding(t *testing.T) {
	for h := range uint16(0x7c00) {
		low, high := halfToFloat(h), halfToFloat(h+1)
		if h+1 == 0x7c00 {
			high = 65536 // where the next half would be
		}
		if want := math.Ldexp(float64(h&0x3ff)+1024*float64(min(h>>10, 1)), int(max(h>>10, 1))-25); float64(low) != want {
			t.Fatalf("half %#x is %v, want %v", h, low, want)
		}
		middle := (low + high) / 2
		even := h + h&1
		for _, c := range []struct {
			f    float32
			want uint16
		}{{low, h}, {math.Nextafter32(middle, 0), h}, {middle, even}, {math.Nextafter32(middle, high), h + 1}} {
			if got := floatToHalf(c.f); got != c.want {
				t.Fatalf("%v becomes %#x, want %#x", c.f, got, c.want)
			}
			if got := floatToHalf(-c.f); got != c.want|0x8000 {
				t.Fatalf("%v becomes %#x, want %#x", -c.f, got, c.want|0x8000)
			}
		}
	}
	for _, f := range []float32{float32(math.Inf(1)), 65520, math.MaxFloat32} {
		if floatToHalf(f) != 0x7c00 || floatToHalf(-f) != 0xfc00 {
			t.Errorf("%v does not become infinite", f)
		}
	}
	if nan := halfToFloat(floatToHalf(float32(math.NaN()))); nan == nan {
		t.Error("NaN became a number")
	}
	if !Overflows(F16, []float32{1, -65520}) || Overflows(F16, []float32{65519}) || Overflows(BF16, []float32{1e38}) {
		t.Error("Overflows is wrong at the edge")
	}
}

func TestBrainRounding(t *testing.T) {
	for h := uint32(0); h < 0x7f80; h++ {
		low, half := h<<16, uint32(1<<15)
		for _, c := range []struct{ bits, want uint32 }{{low, h}, {low + half - 1, h}, {low + half, h + h&1}, {low + half + 1, h + 1}} {
			if got := floatToBrain(math.Float32frombits(c.bits)); uint32(got) != c.want {
				t.Fatalf("%#x becomes %#x, want %#x", c.bits, got, c.want)
			}
		}
	}
	if got := floatToBrain(math.Float32frombits(0x7f800001)); got&0x7fff <= 0x7f80 {
		t.Errorf("NaN becomes %#x", got)
	}
}

// Every type comes back as it was, whatever the length, across the border to concurrent conversion.
func TestFloatsRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 7, 2*parallelFrom + 3} {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(i%512) / 8
		}
		for _, dtype := range []DType{F16, BF16, F32, F64} {
			if dtype == BF16 {
				for i := range values {
					values[i] = float32(i % 256)
				}
			}
			x, err := FromFloats("x", dtype, []int{n}, values)
			if err != nil {
				t.Fatal(err)
			}
			got, err := x.Floats()
			if err != nil || !bytes.Equal(floatBytes(got), floatBytes(values)) {
				t.Errorf("%v of %d values: %v", dtype, n, err)
			}
		}
	}
	if _, err := (Tensor{Name: "i", DType: I64, Shape: []int{1}, Data: make([]byte, 8)}).Floats(); !fault.Is(err, fault.Unsupported) {
		t.Errorf("integers: %v", err)
	}
	if _, err := (Tensor{Name: "i", DType: F32, Shape: []int{3}, Data: make([]byte, 8)}).Floats(); !fault.Is(err, fault.Invalid) {
		t.Errorf("too little data: %v", err)
	}
	if _, err := FromFloats("x", F16, []int{2}, make([]float32, 3)); !fault.Is(err, fault.Invalid) {
		t.Errorf("too many values: %v", err)
	}
}

func TestModel(t *testing.T) {
	part := map[string]Part{"unet": UNet, "vae": VAE, "te": Text}
	parts := map[Part][]Tensor{}
	for _, row := range keymap(t) {
		var shape []int
		for range strings.Count(row[3], ",") + 1 {
			shape = append(shape, 1)
		}
		values := make([]float32, 1)
		x, err := FromFloats(row[1], F16, shape, values)
		if err != nil {
			t.Fatal(err)
		}
		parts[part[row[0]]] = append(parts[part[row[0]]], x)
	}
	single, err := Single(parts)
	if err != nil {
		t.Fatal(err)
	}
	ema := Tensor{Name: "model_ema.diffusion_modelinput_blocks00weight", DType: F16, Shape: []int{1, 1, 1, 1}, Data: []byte{0, 0x3c}}
	ids := Tensor{Name: "cond_stage_model.transformer.text_model.embeddings.position_ids", DType: F32, Shape: []int{1}, Data: make([]byte, 4)}
	betas := Tensor{Name: "betas", DType: F32, Shape: []int{1}, Data: make([]byte, 4)}
	all := append(single, ema, ids, betas)
	wrapped := make([]Tensor, len(all))
	for i, x := range all {
		wrapped[i] = x
		wrapped[i].Name = "state_dict." + x.Name
	}
	folder := t.TempDir()
	for name, list := range map[string][]Tensor{"plain": all, "wrapped": wrapped} {
		path := filepath.Join(folder, name+".safetensors")
		if err := Write(path, list, map[string]string{"modelspec.title": "x"}); err != nil {
			t.Fatal(err)
		}
		m, err := OpenModel(path, PreferEMA())
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Names(UNet)) != 686 || len(m.Names(Text)) != 196 || len(m.Names(VAE)) != 248 || len(m.Rest) != 1 || m.Rest[0] != "betas" {
			t.Errorf("%s: %d, %d, %d tensors and %v", name, len(m.Names(UNet)), len(m.Names(Text)), len(m.Names(VAE)), m.Rest)
		}
		x, err := m.Tensor(UNet, "conv_in.weight")
		if err != nil || x.Data[1] != 0x3c {
			t.Errorf("%s: the moving average was not taken: %v, %v", name, x, err)
		}
		x, err = m.Tensor(VAE, "encoder.mid_block.attentions.0.to_q.weight")
		if err != nil || len(x.Shape) != 2 {
			t.Errorf("%s: attention of the autoencoder is %v, %v", name, x, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}

	diffusers := filepath.Join(folder, "diffusers")
	for p, list := range parts {
		file := "diffusion_pytorch_model.safetensors"
		if p == Text {
			file = "model.safetensors"
			list = append(list, Tensor{Name: "text_model.embeddings.position_ids", DType: I64, Shape: []int{1}, Data: make([]byte, 8)})
		}
		os.MkdirAll(filepath.Join(diffusers, p.String()), 0o700)
		if err := Write(filepath.Join(diffusers, p.String(), file), list, nil); err != nil {
			t.Fatal(err)
		}
	}
	os.MkdirAll(filepath.Join(diffusers, "scheduler"), 0o700)
	for name, text := range map[string]string{"unet/config.json": `{"attention_head_dim": 4}`, "vae/config.json": `{"scaling_factor": 0.5}`,
		"scheduler/scheduler_config.json": `{"prediction_type": "v_prediction"}`} {
		if err := os.WriteFile(filepath.Join(diffusers, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := OpenModel(diffusers)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want := map[string]string{"lohakit.heads": "4", "lohakit.latent_scale": "0.5", "modelspec.prediction_type": "v"}
	if len(m.Names(UNet)) != 686 || len(m.Names(Text)) != 196 || len(m.Names(VAE)) != 248 || !maps.Equal(m.Metadata, want) {
		t.Errorf("folder: %d, %d, %d tensors, %v", len(m.Names(UNet)), len(m.Names(Text)), len(m.Names(VAE)), m.Metadata)
	}
}

// Shards are put together, what only resembles one is left alone, and shards of two conversions are not mixed.
func TestShards(t *testing.T) {
	folder := t.TempDir()
	write := func(file, tensor string, value byte) {
		t.Helper()
		path := filepath.Join(folder, "unet", file)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := Write(path, []Tensor{{Name: tensor, DType: U8, Shape: []int{1}, Data: []byte{value}}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	write("diffusion_pytorch_model-00001-of-00002.safetensors", "conv_in.weight", 1)
	write("diffusion_pytorch_model-00002-of-00002.safetensors", "conv_out.weight", 2)
	write("diffusion_pytorch_model-00002-of-00002_old.safetensors", "conv_out.weight", 3)
	m, err := OpenModel(folder)
	if err != nil {
		t.Fatal(err)
	}
	if x, err := m.Tensor(UNet, "conv_out.weight"); err != nil || x.Data[0] != 2 || len(m.Names(UNet)) != 2 {
		t.Errorf("%v is %v, %v", m.Names(UNet), x.Data, err)
	}
	m.Close()
	write("diffusion_pytorch_model-00003-of-00003.safetensors", "conv_out.weight", 4)
	if _, err := OpenModel(folder); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "00003-of-00003") {
		t.Errorf("shards of two conversions: %v", err)
	}
}

// A type of floating-point numbers that is not read is not said to be none.
func TestEightBits(t *testing.T) {
	x := Tensor{Name: "x", DType: F8E4M3, Shape: []int{1}, Data: []byte{0}}
	if _, err := x.Floats(); !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "use a file of F16") {
		t.Errorf("%v", err)
	}
}

func TestOtherFamilies(t *testing.T) {
	for name, want := range map[string]string{
		"conditioner.embedders.0.x":                           "SDXL",
		"cond_stage_model.model.transformer.resblocks.0.x":    "2.x",
		"model.diffusion_model.joint_blocks.0.x":              "SD 3",
		"lora_unet_conv_in.alpha":                             "adapter.Load",
		"model.diffusion_model.middle_block.1.proj_in.weight": "2.x",
		"something.else":                                      "none of its 1 tensors",
	} {
		path := filepath.Join(t.TempDir(), "a.safetensors")
		if err := Write(path, []Tensor{{Name: name, DType: F16, Shape: []int{1, 1}, Data: []byte{0, 0}}}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenModel(path); !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRelease reads a tensor again after its memory was given back, and leaves alone what is not of the file.
func TestRelease(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	data := make([]byte, 1<<16)
	for i := range data {
		data[i] = byte(i * 7)
	}
	x := Tensor{Name: "x", DType: U8, Shape: []int{len(data)}, Data: data}
	if err := Write(path, []Tensor{x}, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := f.Tensor("x")
	if err != nil {
		t.Fatal(err)
	}
	f.Release(x)
	f.Release(Tensor{})
	f.Release(got)
	if !bytes.Equal(got.Data, data) || data[7] != 49 {
		t.Error("the released tensor reads otherwise")
	}
}
