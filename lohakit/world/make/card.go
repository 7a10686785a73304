package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sample"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/world"
)

// student is the model that is given lessons: the one that most experiments train on.
const student = "NAI"

// examination returns the judge and the student.
func examination() (*world.Examiner, *sd.Model, error) {
	judge, err := world.Judge()
	if err != nil {
		return nil, nil, err
	}
	m, err := open(student)
	return judge, m, err
}

// examined are the models that have a page: not the merges that only lead to others.
func examined() []string {
	return slices.DeleteFunc(world.Models(), func(name string) bool {
		return strings.HasPrefix(name, "tmp") && name != "tmp3" && name != "tmp3-ad"
	})
}

// cards examines every base model whose page in dir is not of its present file by the present judge, and writes the page: where the model
// comes from, a grid of samples, how well it follows prompts, what its own look is. The student's page also says how well it learns. Then,
// if a page is new, the page of all, with their distances.
func cards(dir string) error {
	ctx := context.Background()
	judge, err := world.Judge()
	if err != nil {
		return err
	}
	by, err := begins(judgeFile)
	if err != nil {
		return err
	}
	changed := false
	for _, name := range examined() {
		path := filepath.Join(dir, name+".md")
		file, err := world.Find(name)
		if err != nil {
			return err
		}
		sum, err := begins(file)
		if err != nil {
			return err
		}
		if page, err := os.ReadFile(path); err == nil && strings.Contains(string(page), sum) && strings.Contains(string(page), by) {
			continue
		}
		changed = true
		fmt.Println(path)
		if err := card(ctx, judge, by, name, sum, path); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "README.md")); err == nil && !changed {
		return nil
	}
	return overview(ctx, judge, dir)
}

// begins is how a file's SHA-256 begins.
func begins(path string) (string, error) {
	_, sum, err := checkpoint.Hashes(path)
	return sum[:min(10, len(sum))], err
}

func card(ctx context.Context, judge *world.Examiner, by, name, sum, path string) error {
	m, err := open(name)
	if err != nil {
		return err
	}
	if err := samples(ctx, m, strings.TrimSuffix(path, ".md")+".png"); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\nWritten by `go run ./lohakit/world/make card` of the file whose SHA-256 begins %s, by the judge whose begins %s.\n\n"+
		"<img src=\"%[1]s.png\" width=\"768\">\n\nThree seeds of each column:\n", name, origin(name), sum, by)
	for _, prompt := range asked {
		fmt.Fprintf(&b, "- %s\n", prompt)
	}
	if name == "miniature" {
		fmt.Fprintf(&b, "\n%d pixels square, a UNet of %d weights, a text encoder of %d. Two things differ from Stable Diffusion 1.x, here and in all models that "+
			"come from this one: the autoencoder is one linear map per 4×4 patch, and the token table has rows only for the words of this world.\n",
			world.Size, m.UNet.Size(), m.Text.Size())
	}

	const n = 100
	r, err := judge.Obey(ctx, m, n, 7, world.Manner)
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n## How often the image shows what the prompt asked for\n\n%d prompts of scenes that no training has seen, sampled by %s, judged by the "+
		"judge ([its own exam](../assets/judge.md)), with Wilson's 95 %% interval.\n\n```\n%s```\n", n, world.Manner.Sampler, r)
	verdicts, err := own(ctx, judge, name)
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n## Its own look\n\nWhat the judge takes the style for in %d images whose prompts name none: %s.\n", len(verdicts), looks(verdicts))
	if name == student {
		if err := lessons(ctx, judge, m, &b); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// seen keeps what own found.
var seen = map[string][]world.Verdict{}

// own is the judge's verdicts of 100 images of the model's own look.
func own(ctx context.Context, judge *world.Examiner, name string) ([]world.Verdict, error) {
	if seen[name] == nil {
		m, err := open(name)
		if err != nil {
			return nil, err
		}
		if seen[name], err = judge.Own(ctx, m, 100); err != nil {
			return nil, err
		}
	}
	return seen[name], nil
}

func open(name string) (*sd.Model, error) {
	path, err := world.Find(name)
	if err != nil {
		return nil, err
	}
	return sd.Open(path)
}

// origin says how the model came to be.
func origin(name string) string {
	for _, r := range world.Trained {
		if r.Name == name {
			return fmt.Sprintf("%s: %s.", r.About, r)
		}
	}
	r := world.MergeOf(name)
	last := len(r.Lines) - 1
	return fmt.Sprintf("Merged: `%s`, which comes to %s.", r.Lines[last], r.Expand()[last])
}

// looks lists the judge's answers, the most frequent first.
func looks(verdicts []world.Verdict) string {
	counts := map[string]int{}
	for _, v := range verdicts {
		counts[v.Word(world.AskStyle)]++
	}
	var words []string
	for w := range counts {
		words = append(words, w)
	}
	slices.SortFunc(words, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	for i, w := range words {
		words[i] = fmt.Sprintf("%s %d", w, counts[w])
	}
	return strings.Join(words, ", ")
}

// lessons teaches the model each character and each artist's style.
func lessons(ctx context.Context, judge *world.Examiner, m *sd.Model, b *strings.Builder) error {
	const n = 100
	fmt.Fprintf(b, "\n## How well an adapter learns\n\nThe first notebook's training: a LoHa 8/4, alpha 1, 120 steps of 8 on sixteen images; the share of %d images of "+
		"the word that show what it stands for.\n\n| word | before | after |\n|---|---|---|\n", n)
	var all []world.Lesson
	for _, name := range world.Names {
		all = append(all, world.CharacterLesson(name))
	}
	for _, style := range world.Artists {
		all = append(all, world.StyleLesson(style))
	}
	for _, l := range all {
		before, after, err := judge.Learns(ctx, m, l, n)
		if err != nil {
			return err
		}
		fmt.Printf("%s: before %s, after %s\n", l.Word, before, after)
		fmt.Fprintf(b, "| %s | %s | %s |\n", l.Word, before, after)
	}
	return nil
}

// asked are the prompts of a page's samples: two that name no style, two that do.
var asked = []string{
	"1girl, solo, blonde hair, side ponytail, purple eyes, hair bow, red dress, smile, upper body, outdoors, blue sky, cloud",
	"1girl, solo, black hair, long hair, blue eyes, yellow kimono, smile, upper body, outdoors, night sky, star (sky), holding umbrella, red umbrella",
	"1girl, solo, green hair, braid, red eyes, black suit, smile, upper body, outdoors, city, building, anime coloring",
	"1girl, solo, purple hair, short hair, yellow eyes, white shirt, smile, upper body, indoors, window, watercolor (medium)",
}

// samples draws a column of images for each of asked, as small as they are.
func samples(ctx context.Context, m *sd.Model, path string) error {
	const seeds = 3
	var options []sample.Options
	for seed := range seeds {
		for _, prompt := range asked {
			options = append(options, sample.Options{Prompt: prompt, CFG: world.Guidance, Seed: int64(seed + 1)})
		}
	}
	images, err := sample.Images(ctx, m, nil, options...)
	if err != nil {
		return err
	}
	return save(path, tiled(images, len(asked)))
}
