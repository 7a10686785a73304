package lohakit_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit"
	"github.com/lohakit/notebook/lohakit/fault"
)

// picture encodes a white image.
func picture(t *testing.T, w, h int) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// text is what a value shows where nothing can be drawn.
func text(t *testing.T, v interface{ MIMEBundle() map[string]any }) string {
	t.Helper()
	s, ok := v.MIMEBundle()["text/plain"].(string)
	if !ok {
		t.Fatalf("%T shows no text", v)
	}
	return s
}

// A dataset shows its images as its buckets cut them, its buckets as a chart, and its tags; a training's configuration changes the first two.
func TestLookingAtData(t *testing.T) {
	dir, reg := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "2_Tilty", "wide.png"), picture(t, 640, 320))
	write(t, filepath.Join(dir, "2_Tilty", "wide.txt"), []byte("Tilty, hat"))
	write(t, filepath.Join(dir, "1_by momoko", "square.png"), picture(t, 100, 100))
	write(t, filepath.Join(reg, "1_girl", "square.png"), picture(t, 64, 64))
	data, err := lohakit.Load(dir, lohakit.DataOptions{Regularization: reg})
	if err != nil {
		t.Fatal(err)
	}
	c := lohakit.Defaults()
	c.Resolution, c.NoBuckets, c.Epochs, c.Steps, c.GradAccumulation = 64, true, 4, 0, 2
	cut, err := data.For(c)
	if err != nil {
		t.Fatal(err)
	}
	g, err := cut.Thumbnails(10)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2_Tilty · × 2 · 640×320 → 64×64 · Tilty, hat", "1_by momoko · × 1 · 100×100 → 64×64 · by momoko", "1_girl · × 3"} {
		if !strings.Contains(text(t, g), want) {
			t.Errorf("%q is not in\n%s", want, text(t, g))
		}
	}
	sheet, err := png.Decode(bytes.NewReader(g.MIMEBundle()["image/png"].([]byte)))
	if err != nil {
		t.Fatal(err)
	}
	grey := func(x, y int) uint8 { return color.GrayModel.Convert(sheet.At(x, y)).(color.Gray).Y }
	// The second thumbnail is the wide one, 128 × 64, of which the middle square is kept.
	if in, out := grey(128+64, 32), grey(128+8, 32); in < 250 || out > 100 {
		t.Errorf("inside the bucket %d, outside %d", in, out)
	}
	plan, err := data.Plan(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2_Tilty", "regularization", "64×64", "an epoch: 6 samples in 1 batch", "training: 2 steps of 2 batches, 4 epochs"} {
		if !strings.Contains(text(t, plan), want) {
			t.Errorf("%q is not in\n%s", want, text(t, plan))
		}
	}
	buckets, err := data.Buckets()
	if err != nil || !strings.Contains(buckets.Caption, "2 buckets") {
		t.Errorf("%s: %v", buckets.Caption, err)
	}
	if tags, err := data.Tags(3, "2_*"); err != nil || !strings.Contains(tags.Caption, "2 most frequent of 2 tags") {
		t.Errorf("%s: %v", tags.Caption, err)
	}
	edit, err := data.ReplaceTag("hat", "<cap>", "2_*")
	if err != nil {
		t.Fatal(err)
	}
	if html := edit.MIMEBundle()["text/html"].(string); !strings.Contains(html, "<del>hat</del>") || !strings.Contains(html, "<b>&lt;cap&gt;</b>") {
		t.Errorf("shown as %s", html)
	}
	if _, err := data.Thumbnails(0); !fault.Is(err, fault.Invalid) {
		t.Errorf("no thumbnails: %v", err)
	}
}

// One error names the files that cannot be read and those that fail only when they are decoded.
func TestLoadNamesEveryBadFile(t *testing.T) {
	dir := t.TempDir()
	whole := picture(t, 64, 64)
	write(t, filepath.Join(dir, "1_a", "good.png"), whole)
	write(t, filepath.Join(dir, "1_a", "cut.png"), whole[:len(whole)-20])
	write(t, filepath.Join(dir, "1_b", "no image.png"), []byte("text"))
	_, err := lohakit.Load(dir)
	for _, name := range []string{"cut.png", "no image.png"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}

// Dataset files and trees load by the same verbs.
func TestLoadOtherForms(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"artists/a/1.png", "artists/b/1.png", "artists/b/2.png", "artists/b/3.png"} {
		write(t, filepath.Join(dir, name), picture(t, 64, 64))
	}
	tree, err := lohakit.LoadTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	if tree.Items[0].Repeats != 3 || tree.Items[1].Repeats != 1 {
		t.Errorf("not balanced: %+v", tree.Items)
	}
	file := filepath.Join(dir, "set.toml")
	write(t, file, []byte("[[datasets]]\nresolution = 256\n[[datasets.subsets]]\nimage_dir = 'artists/b'\nclass_tokens = 'by b'\nnum_repeats = 2\n"))
	data, err := lohakit.Load(file)
	if err != nil || len(data.Items) != 3 || data.Items[0].Repeats != 2 {
		t.Errorf("%v, %v", data, err)
	}
	if _, err := lohakit.Load(file, lohakit.DataOptions{BatchSize: 2}); !fault.Is(err, fault.Invalid) {
		t.Errorf("options beside a dataset file: %v", err)
	}
}

// Another program's configuration is shown as its differences from the default, with what could not be taken over.
func TestImport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	write(t, path, []byte("train_data_dir = 'train'\nresolution = 512\nnetwork_module = 'lycoris.kohya'\nnetwork_args = ['algo=loha']\nshuffel_caption = true\n"))
	in, err := lohakit.Import(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"LR=2e-06", "images: train", "note: shuffel_caption is not known"} {
		if !strings.Contains(text(t, in), want) {
			t.Errorf("%q is not in\n%s", want, text(t, in))
		}
	}
	if _, err := lohakit.Import(filepath.Join(os.TempDir(), "no such file.json")); !fault.Is(err, fault.NotExist) {
		t.Errorf("a missing file: %v", err)
	}
}
