//go:build linux

package merge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// The test binary runs itself in these roles, told by the environment.
const (
	roleKey   = "LOHAKIT_MERGE_ROLE"
	folderKey = "LOHAKIT_MERGE_FOLDER"
)

func TestMain(m *testing.M) {
	folder := os.Getenv(folderKey)
	switch os.Getenv(roleKey) {
	case "":
		os.Exit(m.Run())
	case "killed": // itself, in the middle of the second line
		_, err := mix(folder, func(l Line, done, _ int) {
			if l.Out == "two" && done == 3 {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		})
		fmt.Println("not killed:", err)
	case "full": // no file may grow past 1 MB: to the writer a full disk
		limit := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			os.Exit(2)
		}
		_, err := mix(folder, nil)
		if !fault.Is(err, fault.IO) || !errors.Is(err, syscall.EFBIG) {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

// mix runs a recipe of two lines on large-a and large-b.
func mix(folder string, progress func(l Line, done, total int)) ([]Result, error) {
	r, err := Parse("one = large-a + large-b, 0.5\ntwo = __O1__ + large-b + large-a, 0.5")
	if err != nil {
		return nil, err
	}
	return r.Run(context.Background(), Options{Models: InFolder(folder), Folder: folder, Progress: progress})
}

// large writes large-a and large-b, of 2 MB in eight tensors.
func large(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for k, name := range []string{"large-a", "large-b"} {
		var tensors []checkpoint.Tensor
		for i := range 8 {
			values := make([]float32, 1<<16)
			for j := range values {
				values[j] = float32(k + i + j%97)
			}
			x, err := checkpoint.FromFloats(fmt.Sprintf("model.diffusion_model.input_blocks.%d.weight", i), checkpoint.F32, []int{len(values)}, values)
			if err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, x)
		}
		if err := checkpoint.Write(filepath.Join(folder, name+".safetensors"), tensors, nil); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func role(t *testing.T, name, folder string) ([]byte, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleKey+"="+name, folderKey+"="+folder)
	return cmd.CombinedOutput()
}

// TestKilledWhileMerging kills a merge in its second line: the first result is whole and taken over, the second was never there, and
// running again makes what an undisturbed run makes.
func TestKilledWhileMerging(t *testing.T) {
	folder := large(t)
	if out, err := role(t, "killed", folder); err == nil || strings.Contains(string(out), "not killed") {
		t.Fatalf("%s, %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(folder, "two.safetensors")); err == nil {
		t.Error("half a merge has its name")
	}
	results, err := mix(folder, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !results[0].Reused || results[1].Reused {
		t.Errorf("after the kill: %+v", results)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, ".*.tmp")); len(left) > 0 {
		t.Errorf("the dead merge left %v", left)
	}
	undisturbed, err := mix(large(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range results {
		got, err := os.ReadFile(results[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(undisturbed[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s differs from that of an undisturbed run", results[i].Name)
		}
	}
}

// TestFullDisk checks that a merge without room says so and leaves nothing.
func TestFullDisk(t *testing.T) {
	folder := large(t)
	if out, err := role(t, "full", folder); err != nil {
		t.Fatalf("%s, %v", out, err)
	}
	if files, _ := filepath.Glob(filepath.Join(folder, "*")); len(files) != 2 {
		t.Errorf("there are %v", files)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, ".*")); len(left) != 0 {
		t.Errorf("it left %v", left)
	}
}

// TestNotFiniteWarns merges what is broken, as the original does, and says so.
func TestNotFiniteWarns(t *testing.T) {
	for kind, v := range map[string]float32{"NaN": float32(math.NaN()), "infinite": float32(math.Inf(1)), "too large for float16": 3e38} {
		folder := two(t)
		write(t, folder, "broken", v)
		r, err := Parse("mix = model-a + broken, 0.5, fp16")
		if err != nil {
			t.Fatal(err)
		}
		results, err := r.Run(context.Background(), Options{Models: InFolder(folder), Folder: t.TempDir()})
		if err != nil || !strings.Contains(results[0].Warning, "NaN or infinity, the first "+weight) {
			t.Errorf("%s: %+v, %v", kind, results, err)
		}
	}
}

// TestHostileSources checks that files that are no models are refused before anything is stored.
func TestHostileSources(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join(large(t), "large-a.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for kind, content := range map[string]string{"empty": "", "cut off": string(whole[:len(whole)/2]), "a header of 2⁶³ bytes": "\xff\xff\xff\xff\xff\xff\xff\x7f{}",
		"overlapping tensors": strings.Replace(string(whole), "[0,262144]", "[8,262144]", 1), "a web page": "<html>not found</html>", "a pickle": "\x80\x02cos\nsystem\n."} {
		folder := two(t)
		if err := os.WriteFile(filepath.Join(folder, "bad.safetensors"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Parse("one = model-a + model-b, 0.5\ntwo = one + bad, 0.5")
		if err != nil {
			t.Fatal(err)
		}
		out := t.TempDir()
		results, err := r.Run(context.Background(), Options{Models: InFolder(folder), Folder: out, Pickle: true})
		if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "bad.safetensors") {
			t.Errorf("%s: %+v, %v", kind, results, err)
		}
		if files, _ := filepath.Glob(filepath.Join(out, "*")); len(files) != 0 {
			t.Errorf("%s: it made %v", kind, files)
		}
	}
}
