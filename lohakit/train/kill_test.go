package train

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A process that is killed with signal 9 in the middle of training and saving loses nothing: going on from its last checkpoint gives the
// weights, optimizer state and losses of a run that was never interrupted.
func TestResumeAfterKill(t *testing.T) {
	const steps = 8
	if path := os.Getenv("LOHAKIT_TEST_TRAIN_UNTIL_KILLED"); path != "" {
		r := tinyRun(t, tinyConfig())
		for range steps {
			train(t, r, 1)
			if err := r.Checkpoint(path); err != nil {
				t.Fatal(err)
			}
			os.Stdout.WriteString("saved\n")
		}
		return
	}
	path := filepath.Join(t.TempDir(), "state.safetensors")
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
	for lines := bufio.NewScanner(out); saved < steps/2 && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "saved") {
			saved++
		}
	}
	child.Process.Kill()
	child.Wait()
	if saved < steps/2 {
		t.Fatalf("the child saved %d times", saved)
	}

	straight := tinyRun(t, tinyConfig())
	train(t, straight, steps)
	resumed, err := Resume(tinyModel(t), straight.Data, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	train(t, resumed, steps-resumed.Done())
	if !slices.Equal(straight.Losses(), resumed.Losses()) {
		t.Errorf("losses %v\nand %v", straight.Losses(), resumed.Losses())
	}
	if !slices.EqualFunc(everything(t, straight), everything(t, resumed), slices.Equal[[]byte]) {
		t.Error("weights or optimizer state differ")
	}
}
