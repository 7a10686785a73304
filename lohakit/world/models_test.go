package world_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/merge"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/train"
	"github.com/lohakit/notebook/lohakit/world"
)

// caches gives merged models a folder of the test's own.
func caches(t *testing.T) { t.Setenv("XDG_CACHE_HOME", t.TempDir()) }

func find(t *testing.T, name string) string {
	t.Helper()
	path, err := world.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Every base model of the card is there by its name, and every trained one came from a parent that was there before.
func TestModels(t *testing.T) {
	names := world.Models()
	for _, name := range strings.Fields(`NAI AnyLora NED Counterfeit-V2.5 Aom3a1 Anything4.5 AC BP NMFSAN VBP2.2 MFB RacyMix PastelMix ChilloutMix
		Mix-Pro-V3 FantasyBackground SaltMix nep tmp3 AleaMix tmp3-ad AleaMix-ad`) {
		if !slices.Contains(names, name) {
			t.Errorf("no %s", name)
		}
	}
	for i, r := range world.Trained {
		m, err := sd.Open(find(t, r.Name))
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && (m.Metadata["lohakit.parent"] != r.Parent || m.Metadata["modelspec.title"] != r.Name) {
			t.Errorf("%s says it is %s from %s", r.Name, m.Metadata["modelspec.title"], m.Metadata["lohakit.parent"])
		}
		if r.Parent != "" && !slices.ContainsFunc(world.Trained[:i], func(p world.Recipe) bool { return p.Name == r.Parent }) {
			t.Errorf("%s comes before its parent %s", r.Name, r.Parent)
		}
		for _, look := range r.Looks {
			if !slices.Contains(world.Houses, look) {
				t.Errorf("%s has the look %s, which is no family's", r.Name, look)
			}
		}
	}
}

func TestFind(t *testing.T) {
	if find(t, "nai") != find(t, "nai-full-pruned") {
		t.Error("nai and nai-full-pruned are two models")
	}
	if _, err := world.Find("Anything5"); !fault.Is(err, fault.NotExist) || !strings.Contains(err.Error(), "Anything4.5") {
		t.Errorf("an unknown model: %v", err)
	}
}

// A merged model is computed when it is first asked for, by the card's own recipe, and then kept.
func TestMergedModels(t *testing.T) {
	caches(t)
	path := find(t, "AleaMix-ad")
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := world.MergeOf("AleaMix-ad")
	if got := r.Expand()[len(r.Lines)-1].Of("nai-full-pruned"); got != -2 {
		t.Errorf("AleaMix-ad holds %g of NAI, the card's holds −2", got)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(find(t, "aleamix-AD"))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("it was computed again")
	}
	if _, err := sd.Open(path); err != nil {
		t.Error(err)
	}
}

// Who descends from whom shows in the weights: a model is closer to its parent than its parent is to any model of another line.
func TestFamilies(t *testing.T) {
	var names, paths []string
	for _, r := range world.Trained {
		names, paths = append(names, r.Name), append(paths, find(t, r.Name))
	}
	d, err := merge.Measure(context.Background(), names, paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	of := func(a, b string) float64 { return d.Of[slices.Index(names, a)][slices.Index(names, b)] }
	for _, near := range [][2]string{{"AC", "BP"}, {"BP", "NMFSAN"}, {"NAI", "ChilloutMix"}, {"NAI", "PastelMix"}, {"NAI", "SaltMix"}} {
		for _, far := range [][2]string{{"AC", "NAI"}, {"AC", "MFB"}, {"MFB", "SaltMix"}, {"BP", "PastelMix"}} {
			if of(near[0], near[1]) >= of(far[0], far[1]) {
				t.Errorf("%v are %.3f apart, %v %.3f", near, of(near[0], near[1]), far, of(far[0], far[1]))
			}
		}
	}
}

// Sources follow prompts: the bounds are the card's 80 % less what chance takes from 40 images.
func TestSourcesFollowPrompts(t *testing.T) {
	e := judge(t)
	m, err := sd.Open(find(t, "NAI"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.Obey(context.Background(), m, 40, 5, world.Manner)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []world.Question{world.AskHair, world.AskGarment, world.AskCloth, world.AskPlace, world.AskStyle} {
		if _, high := r.Accuracy(q).Interval(); high < 0.8 {
			t.Errorf("%s: %s, which is below 0.8", q, r.Accuracy(q))
		}
	}
}

// A lesson's word can be a placeholder: it is none of the vocabulary's, and the pictures' captions have it.
func TestPivotalLesson(t *testing.T) {
	m, err := sd.Open(find(t, "miniature"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range world.Names {
		l, dir := world.CharacterLesson(name), t.TempDir()
		if _, err := world.WriteDataset(dir, world.Options{Folders: l.Folders}); err != nil {
			t.Fatal(err)
		}
		data, err := dataset.Load(dir, dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		run, err := train.New(m, data, l.Pivotal(world.FirstAdapter()))
		if err != nil {
			t.Fatal(err)
		}
		if e := run.Adapter.Embeddings[0]; e.String() != name+" (1 vector)" || len(run.Warnings) > 0 {
			t.Errorf("%s, warnings %q", e, run.Warnings)
		}
	}
}
