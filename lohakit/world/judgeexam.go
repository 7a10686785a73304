package world

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Report is the outcome of an exam.
type Report struct {
	Degraded bool  // whether the images were worn as samples of small models are
	Sure     Share // of images of nothing, those that the judge was sure of: the fewer the better
	// Distance is how far the images of a model are from drawings of the same scenes (Distance of the two sets); 0 in an exam of the judge.
	Distance float64
	tallies  [questions]tally
}

// tally is one question's part: how often each right answer (rows) got each answer (columns), and for ten classes of confidence, how
// often it was asked, right, and how sure the judge was in sum.
type tally struct {
	confusion [][]int
	asked     [10]int
	right     [10]int
	sureness  [10]float64
}

func newReport() *Report {
	r := &Report{}
	for q := range r.tallies {
		k := len(words[q])
		for range k {
			r.tallies[q].confusion = append(r.tallies[q].confusion, make([]int, k))
		}
	}
	return r
}

// Exam draws n scenes that no training has seen, has them judged, and compares. The same seed asks the same.
func (e *Examiner) Exam(n int, seed uint64, degraded bool) (*Report, error) {
	r := newReport()
	r.Degraded = degraded
	rng := rand.New(rand.NewPCG(seed, 0xe8a3))
	for at := 0; at < n; at += judgeBatch {
		scenes := make([]Scene, min(judgeBatch, n-at))
		images := make([]image.Image, len(scenes))
		for i := range scenes {
			scenes[i] = examScene(rng)
			drawing := scenes[i].Render(judgeSize)
			if degraded {
				x := Pixels(drawing)
				wear(rng, x)
				drawing = picture(x)
			}
			images[i] = drawing
		}
		verdicts, err := e.Look(images...)
		if err != nil {
			return nil, err
		}
		for i, v := range verdicts {
			r.add(scenes[i], v)
		}
	}
	nothing := make([]image.Image, judgeBatch)
	for i := range nothing {
		x := make([]float32, 3*judgeSize*judgeSize)
		speckle(rng, x, 0.2+0.8*rng.Float64())
		nothing[i] = picture(x)
	}
	verdicts, err := e.Look(nothing...)
	if err != nil {
		return nil, err
	}
	for _, v := range verdicts {
		r.Sure.N++
		if v.Word(AskCharacter) != NotSure {
			r.Sure.Hits++
		}
	}
	return r, nil
}

func (r *Report) add(s Scene, v Verdict) {
	for k, h := range heads {
		right := slices.Index(words[h.question], s.Truth(h.question, h.figure))
		if right < 0 {
			continue
		}
		t := &r.tallies[h.question]
		p := slices.Max(v.answers[k])
		answer := slices.Index(v.answers[k], p)
		t.confusion[right][answer]++
		class := min(int(p*10), 9)
		t.asked[class]++
		t.sureness[class] += p
		if answer == right {
			t.right[class]++
		}
	}
}

// Accuracy is the share of right answers.
func (r *Report) Accuracy(q Question) Share {
	var s Share
	for i, row := range r.tallies[q].confusion {
		for j, n := range row {
			s.N += n
			if i == j {
				s.Hits += n
			}
		}
	}
	return s
}

// Calibration is the expected calibration error, 0 … 1: how far, on average, the judge's confidence is from its accuracy.
func (r *Report) Calibration(q Question) float64 {
	t := &r.tallies[q]
	sum, n := 0.0, 0
	for c := range t.asked {
		sum += math.Abs(float64(t.right[c]) - t.sureness[c])
		n += t.asked[c]
	}
	return sum / math.Max(float64(n), 1)
}

// Confusion is the table of a question: for each right answer (rows) how often each answer was given (columns), both in the order of q.Words().
func (r *Report) Confusion(q Question) [][]int { return r.tallies[q].confusion }

// ConfusionTable prints Confusion in columns.
func (r *Report) ConfusionTable(q Question) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-20s", q)
	for i := range words[q] {
		fmt.Fprintf(&b, "%5d", i+1)
	}
	for i, row := range r.tallies[q].confusion {
		fmt.Fprintf(&b, "\n%2d %-17s", i+1, words[q][i])
		for _, n := range row {
			fmt.Fprintf(&b, "%5d", n)
		}
	}
	return b.String()
}

// String prints accuracy, its interval, and calibration of every question.
func (r *Report) String() string {
	var b strings.Builder
	b.WriteString("question     accuracy                    calibration error\n")
	for q := range questions {
		if s := r.Accuracy(q); s.N > 0 {
			fmt.Fprintf(&b, "%-12s %-27s %.3f\n", q, s, r.Calibration(q))
		}
	}
	if r.Sure.N > 0 {
		fmt.Fprintf(&b, "sure of noise %s\n", r.Sure)
	}
	return b.String()
}

// picture is the inverse of Pixels.
func picture(x []float32) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, judgeSize, judgeSize))
	n := judgeSize * judgeSize
	for i := range n {
		for c := range 3 {
			img.Pix[4*i+c] = clamp(float64(x[c*n+i]+1) * 127.5)
		}
		img.Pix[4*i+3] = 255
	}
	return img
}
