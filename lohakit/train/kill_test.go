package train

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/adapter"
)

// everythingConfig has all that is carried from step to step: accumulated gradients across an epoch's end, a schedule, shuffled and dropped tags,
// augmentation, noise, weighted captions, every kind of dropout in adapters of two kinds with scalars, lengths held down, a word and a text encoder's
// part that stop and a word that goes on.
func everythingConfig(optimizer string) Config {
	cfg := withWords(tinyConfig())
	cfg.Kind, cfg.Tucker, cfg.Rules = adapter.LoCon, false, append(cfg.Rules, adapter.Rule{Match: "*resnets*", Kind: adapter.LoHa})
	cfg.NeuronDropout, cfg.RankDropout, cfg.RankDropoutBySample, cfg.ModuleDropout = 0.1, 0.2, true, 0.1
	cfg.Optimizer, cfg.GradAccumulation, cfg.Scheduler, cfg.Warmup, cfg.MaxNorm = optimizer, 3, "cosine", 2, 0.01
	cfg.UseScalar, cfg.TextStop, cfg.Perturbation, cfg.PerturbRandom = true, 4, 0.05, true
	cfg.WeightedCaptions, cfg.Prefix = true, "(tilty:1.2) <hat>,"
	cfg.Flip, cfg.Shuffle, cfg.KeepTokens, cfg.TagDropout, cfg.Dropout, cfg.NoiseOffset, cfg.PyramidLevels = true, true, 1, 0.2, 0.1, 0.1, 4
	return cfg
}

// A process that is killed with signal 9 in the middle of training and saving loses nothing, whatever the optimizer: going on from its last
// checkpoint gives the weights, optimizer state and losses of a run that was never interrupted, bit for bit.
func TestResumeAfterKill(t *testing.T) {
	const steps = 6
	if path := os.Getenv("LOHAKIT_TEST_TRAIN_UNTIL_KILLED"); path != "" {
		r := tinyRun(t, everythingConfig(filepath.Base(path)))
		for range steps {
			train(t, r, 1)
			if err := r.Checkpoint(path); err != nil {
				t.Fatal(err)
			}
			os.Stdout.WriteString("saved\n")
		}
		return
	}
	for _, name := range Optimizers {
		t.Run(name, func(t *testing.T) {
			straight := tinyRun(t, everythingConfig(name))
			train(t, straight, steps)
			if name == Optimizers[0] {
				noneLonger(t, straight, straight.Config.MaxNorm)
			}
			path := filepath.Join(t.TempDir(), name)
			killWhileTraining(t, path, steps/2)
			resumed, err := Resume(tinyModel(t), straight.Data, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if done := resumed.Done(); done < steps/2 {
				t.Fatalf("%d steps are saved", done)
			} else if done < steps {
				train(t, resumed, steps-done)
			}
			agree(t, straight, resumed)
		})
	}
}

// killWhileTraining runs this test in a process of its own until it has saved so often, and kills it.
func killWhileTraining(t *testing.T, path string, saves int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestResumeAfterKill$")
	child.Env = append(os.Environ(), "LOHAKIT_TEST_TRAIN_UNTIL_KILLED="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	saved := 0
	for lines := bufio.NewScanner(out); saved < saves && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "saved") {
			saved++
		}
	}
	child.Process.Kill()
	child.Wait()
	if saved < saves {
		t.Fatalf("the process saved %d times", saved)
	}
}

// agree checks that two runs are at the same point, bit for bit.
func agree(t *testing.T, a, b *Run) {
	t.Helper()
	if !slices.Equal(a.Losses(), b.Losses()) {
		t.Errorf("losses %v\nand %v", a.Losses(), b.Losses())
	}
	if !slices.EqualFunc(everything(t, a), everything(t, b), slices.Equal[[]byte]) {
		t.Error("weights or optimizer state differ")
	}
}
