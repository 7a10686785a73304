package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lohakit/notebook/lohakit/world"
)

// judgeFile is where the judge's weights are kept.
const judgeFile = "lohakit/world/assets/judge.safetensors"

// judge trains the judge and examines it: weights and report go to dir.
func judge(dir string) error {
	start := time.Now()
	e, err := world.TrainJudge(world.JudgeSteps, func(step int, loss float64) {
		if step%100 == 0 {
			fmt.Printf("step %d of %d: loss %.2f, %s\n", step, world.JudgeSteps, loss, time.Since(start).Round(time.Second))
		}
	})
	if err != nil {
		return err
	}
	if err := e.Save(filepath.Join(dir, "judge.safetensors")); err != nil {
		return err
	}
	return judgeReport(e, filepath.Join(dir, "judge.md"))
}

// judgeReport examines the judge on scenes no training has seen, fresh and worn.
func judgeReport(e *world.Examiner, path string) error {
	const n, seed = 3000, 2
	var b strings.Builder
	fmt.Fprintf(&b, "# The judge's exam\n\nWritten by `go run ./lohakit/world/make judge`. Scenes: %d that no training has seen, in all %d styles; "+
		"the judge's most probable answer counts, however unsure. Accuracy with Wilson's 95 %% interval; the calibration error is how far "+
		"confidence is from accuracy on average.\n", n, len(world.AskStyle.Words()))
	var last *world.Report
	for _, worn := range []bool{false, true} {
		r, err := e.Exam(n, seed, worn)
		if err != nil {
			return err
		}
		title := "Fresh renders"
		if worn {
			title = "Worn renders: shifted, faded, bent, coarsened to 4×4 patches, blurred, noisy, each with its own chance"
		}
		fmt.Fprintf(&b, "\n## %s\n\n```\n%s```\n", title, r)
		last = r
	}
	b.WriteString("\n## Confusions on worn renders\n\nRows are what was drawn, columns what the judge saw, in the same order.\n")
	for _, q := range world.Questions() {
		if last.Accuracy(q).N > 0 && q != world.AskDrawn {
			fmt.Fprintf(&b, "\n```\n%s\n```\n", last.ConfusionTable(q))
		}
	}
	fmt.Print(b.String())
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
