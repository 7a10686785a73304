package checkpoint

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/fault"
)

// testdata/torch.ckpt and torch.safetensors hold the same tensors, written by PyTorch: see testdata/record_ckpt.py.
func TestCkptAsPyTorch(t *testing.T) {
	if _, err := Open("testdata/torch.ckpt"); !fault.Is(err, fault.Unsupported) || !strings.Contains(err.Error(), "AllowPickle") {
		t.Errorf("without being asked: %v", err)
	}
	got, err := Open("testdata/torch.ckpt", AllowPickle())
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	want, err := Open("testdata/torch.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if len(got.names) != len(want.names) || len(got.names) != 13 {
		t.Errorf("%d tensors, want %d", len(got.names), len(want.names))
	}
	for _, name := range want.names {
		x, err := got.Tensor(name)
		if err != nil {
			t.Error(err)
			continue
		}
		y := want.tensors[name]
		if x.String() != y.String() || !bytes.Equal(x.Data, y.Data) {
			t.Errorf("%v % x, want %v % x", x, x.Data, y, y.Data)
		}
	}
}

// archive makes a .ckpt of a pickle and its storages.
func archive(pickle string, storages map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	files := map[string]string{"archive/data.pkl": pickle}
	for key, content := range storages {
		files["archive/data/"+key] = content
	}
	for name, content := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			panic(err)
		}
		w.Write([]byte(content))
	}
	z.Close()
	return b.Bytes()
}

func text(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func TestHostileCkpt(t *testing.T) {
	eight := map[string]string{"0": strings.Repeat("\x00\x00\x80\x3f", 2)}
	two, one := "K\x02\x85", "K\x01\x85"
	good := fmt.Sprintf("\x80\x02}%sctorch._utils\n_rebuild_tensor_v2\n((%sctorch\nFloatStorage\n%s%sK\x02tQK\x00%s%s\x89)tRs.",
		text("a"), text("storage"), text("0"), text("cpu"), two, one)
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			panic(old)
		}
		return strings.Replace(good, old, new, 1)
	}
	shape := "K\x00" + two + one
	cyclic := "\x80\x02}q\x00" + text("me") + "h\x00s."
	deep := "\x80\x02}" + strings.Repeat("q\x00}"+text("x")+"h\x00s", 100) + "."
	// values that are small in the file and would be endless in a message or a name
	doubled := "\x80\x02K\x00" + strings.Repeat("q\x00h\x00\x86", 80)
	tower := "\x80\x02K\x00" + strings.Repeat("\x85", 500_000)
	storageOf := func(class string) string {
		return class + "q\x010(" + text("storage") + "h\x01" + text("0") + text("cpu") + "K\x02tQ."
	}
	transposed := fmt.Sprintf("\x80\x02}%sctorch._utils\n_rebuild_tensor_v2\n((%sctorch\nFloatStorage\n%s%sM\x00\x04tQK\x00K\x20K\x20\x86K\x01K\x20\x86\x89)tRq\x05s",
		text("a"), text("storage"), text("0"), text("cpu"))
	kilobytes := map[string]string{"0": strings.Repeat("\x00\x00\x80\x3f", 1024)}
	bomb := transposed
	for i := range 10 {
		bomb += text(fmt.Sprint("a", i)) + "h\x05s"
	}
	longName := "\x80\x02" + text(strings.Repeat("x", 3000)) + "q\x010}" + strings.Repeat("q\x02}h\x01h\x02s", 20) + "."
	for name, c := range map[string]struct {
		pickle   string
		storages map[string]string
		want     string // part of the error; "" if the file is good
	}{
		"good":                       {good, eight, ""},
		"cyclic":                     {cyclic, nil, ""},
		"deep":                       {deep, nil, "nested"},
		"runs a command":             {"\x80\x02cos\nsystem\n" + text("true") + "\x85R.", nil, `"os.system"`},
		"posix":                      {"\x80\x02cposix\nsystem\n.", nil, `"posix.system"`},
		"eval":                       {"\x80\x02cbuiltins\neval\n.", nil, `"builtins.eval"`},
		"stack global":               {"\x80\x04" + text("os") + text("system") + "\x93.", nil, `"os.system"`},
		"getattr through torch":      {"\x80\x02ctorch\nload\n.", nil, `"torch.load"`},
		"instance":                   {"\x80\x02(ios\nsystem\n.", nil, "0x69"},
		"object":                     {"\x80\x02(cos\nsystem\no.", nil, `"os.system"`},
		"extension":                  {"\x80\x02\x82\x01.", nil, "0x82"},
		"text persistent id":         {"\x80\x02P0\n.", nil, "0x50"},
		"new object with keys":       {"\x80\x04\x92.", nil, "0x92"},
		"calls a string":             {"\x80\x02" + text("x") + ")R.", nil, "calling"},
		"storage too short":          {good, map[string]string{"0": "\x00\x00\x80\x3f"}, "due"},
		"storage too long":           {good, map[string]string{"0": strings.Repeat("x", 12)}, "due"},
		"storage missing":            {good, nil, "due"},
		"shape past the end":         {replace(shape, "K\x00K\x03\x85"+one), eight, "larger"},
		"offset past the end":        {replace(shape, "K\x01"+two+one), eight, "beyond"},
		"stride past the end":        {replace(shape, "K\x00"+two+two), eight, "beyond"},
		"stride overflow":            {replace(shape, "K\x00"+two+"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"), eight, "beyond"},
		"negative offset":            {replace(shape, "J\xff\xff\xff\xff"+two+one), eight, "impossible"},
		"negative shape":             {replace(shape, "K\x00J\xff\xff\xff\xff\x85"+one), eight, "impossible"},
		"expanded":                   {replace(shape, "K\x00M\xff\xff\x85K\x00\x85"), eight, "larger"},
		"shape overflow":             {replace(shape, "K\x00\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x04\x86K\x00K\x00\x86"), eight, "larger"},
		"rank and strides differ":    {replace(shape, "K\x00"+two+")"), eight, "impossible"},
		"climbs out":                 {replace(text("0"), text("../0")), eight, "storage"},
		"item of a number":           {"\x80\x02K\x01" + text("a") + "K\x02s.", nil, "setting an item"},
		"append to a dictionary":     {"\x80\x02}K\x02a.", nil, "appending"},
		"attributes of a number":     {"\x80\x02K\x01}b.", nil, "attributes"},
		"key without value":          {"\x80\x02}(K\x01u.", nil, "key without"},
		"empty stack":                {"\x80\x02.", nil, "empty stack"},
		"no mark":                    {"\x80\x02K\x01t.", nil, "no mark"},
		"no end":                     {"\x80\x02}", nil, "unexpected end"},
		"string past the end":        {"\x80\x02X\xff\xff\xff\xff.", nil, "unexpected end"},
		"storage of a doubled tuple": {storageOf(doubled), eight, "a storage of checkpoint.tuple"},
		"storage of a tower":         {storageOf(tower), eight, "a storage of checkpoint.tuple"},
		"calls a tower":              {tower + ")R.", eight, "calling a checkpoint.tuple"},
		"long name":                  {longName, nil, "a name of"},
		"long function":              {"\x80\x04" + text(strings.Repeat("m", 1<<20)) + text("f") + "\x93.", nil, "no model needs"},
		"huge integer":               {"\x80\x02\x8a\xff" + strings.Repeat("\x01", 255) + ".", nil, "255 bytes"},
		"unknown memo":               {"\x80\x02h\x05.", nil, "remembered"},
		"protocol 9":                 {"\x80\x09}.", nil, "protocol"},
		"transposed":                 {transposed + ".", kilobytes, ""},
		"a storage again and again":  {bomb + ".", kilobytes, "larger together"},
		"no dictionary":              {"\x80\x02K\x01.", nil, "no dictionary"},
		"too many values":            {"\x80\x02" + strings.Repeat("}", maxStack+1) + ".", nil, "more values"},
	} {
		path := filepath.Join(t.TempDir(), "a.ckpt")
		if err := os.WriteFile(path, archive(c.pickle, c.storages), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, AllowPickle())
		switch {
		case err == nil && c.want == "":
			f.Close()
		case err == nil:
			t.Errorf("%s: accepted, want an error with %q", name, c.want)
		case c.want == "" || !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s: %.300v, want %q", name, err, c.want)
		case len(err.Error()) > 1000:
			t.Errorf("%s: a message of %d bytes", name, len(err.Error()))
		}
	}
}

func TestHostileArchives(t *testing.T) {
	made := func(entries ...*zip.FileHeader) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, e := range entries {
			w, err := z.CreateHeader(e)
			if err != nil {
				t.Fatal(err)
			}
			w.Write([]byte("\x80\x02}."))
		}
		z.Close()
		return b.Bytes()
	}
	pkl := func(method uint16, name string) *zip.FileHeader { return &zip.FileHeader{Name: name, Method: method} }
	legacy := append([]byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."), make([]byte, 64)...)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"compressed":  {made(pkl(zip.Deflate, "a/data.pkl")), "compressed"},
		"no pickle":   {made(pkl(zip.Store, "a/version")), "no data.pkl"},
		"two pickles": {made(pkl(zip.Store, "a/data.pkl"), pkl(zip.Store, "b/data.pkl")), "two pickles"},
		"twice":       {made(pkl(zip.Store, "a/data.pkl"), pkl(zip.Store, "a/data.pkl")), "twice"},
		"order":       {made(pkl(zip.Store, "a/data.pkl"), pkl(zip.Store, "a/byteorder")), "byte order"},
		"cut":         {made(pkl(zip.Store, "a/data.pkl"))[:60], "zip"},
		"old format":  {legacy, "1.6"},
	} {
		path := filepath.Join(t.TempDir(), "a.ckpt")
		if err := os.WriteFile(path, c.file, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, AllowPickle()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// FuzzPickle runs any program: it must end, without panic, and what it makes must be safe to look up.
func FuzzPickle(f *testing.F) {
	file, err := os.ReadFile("testdata/torch.ckpt")
	if err != nil {
		f.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		f.Fatal(err)
	}
	i := slices.IndexFunc(z.File, func(e *zip.File) bool { return strings.HasSuffix(e.Name, "data.pkl") })
	offset, _ := z.File[i].DataOffset()
	f.Add(file[offset : offset+int64(z.File[i].UncompressedSize64)])
	f.Add([]byte("\x80\x02cos\nsystem\n)R."))
	f.Fuzz(func(t *testing.T, program []byte) {
		root, err := unpickle(program)
		if err != nil {
			return
		}
		file := &File{mapped: make([]byte, 1<<10)} // as large as what is copied may be
		if file.collect(root, map[string][]byte{"0": make([]byte, 96), "1": make([]byte, 10)}) == nil {
			for _, name := range file.names {
				x := file.tensors[name]
				if x.DType.Float() && len(x.Data) != x.Len()*x.DType.Bits()/8 {
					t.Errorf("%v has %d bytes", x, len(x.Data))
				}
			}
		}
	})
}
