//go:build linux

package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/lohakit/notebook/lohakit/fault"
)

// The test binary runs itself in these roles, told by the environment.
const (
	roleKey  = "LOHAKIT_CHECKPOINT_ROLE"
	pathKey  = "LOHAKIT_CHECKPOINT_PATH"
	killsKey = "LOHAKIT_KILLS" // how many times TestKilledWhileSaving kills; 10 unless set
)

func TestMain(m *testing.M) {
	path := os.Getenv(pathKey)
	switch os.Getenv(roleKey) {
	case "":
		os.Exit(m.Run())
	case "saver":
		for version := 0; ; version++ {
			if err := Write(path, generation(version), map[string]string{"version": strconv.Itoa(version)}); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	case "limited":
		limit := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			os.Exit(2)
		}
		if err := Write(path, generation(1), nil); !fault.Is(err, fault.IO) || !errors.Is(err, syscall.EFBIG) {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(0)
}

// generation is a file's content that tells its version in every byte.
func generation(version int) []Tensor {
	var list []Tensor
	for i := range 8 {
		data := bytes.Repeat([]byte{byte(version)}, 1<<18)
		list = append(list, Tensor{Name: fmt.Sprintf("tensor.%d", i), DType: U8, Shape: []int{len(data)}, Data: data})
	}
	return list
}

func role(t *testing.T, name, path string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleKey+"="+name, pathKey+"="+path)
	return cmd
}

// checkWhole reports a file that is not one generation, whole.
func checkWhole(t *testing.T, path string) {
	f, err := Open(path)
	if err != nil {
		t.Fatalf("after a kill: %v", err)
	}
	defer f.Close()
	version, err := strconv.Atoi(f.Metadata["version"])
	if err != nil || len(f.names) != 8 {
		t.Fatalf("after a kill: version %q, %d tensors", f.Metadata["version"], len(f.names))
	}
	for _, want := range generation(version) {
		if got := f.tensors[want.Name]; !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("after a kill: %s is not of version %d", want.Name, version)
		}
	}
}

// A process that saves without pause is killed at random moments: what is under the name must always be one save, whole, and the
// next save clears away what the dead one left.
func TestKilledWhileSaving(t *testing.T) {
	kills := 10
	if text := os.Getenv(killsKey); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		kills = n
	}
	folder := t.TempDir()
	path := filepath.Join(folder, "model.safetensors")
	if err := Write(path, generation(0), map[string]string{"version": "0"}); err != nil {
		t.Fatal(err)
	}
	interrupted := 0
	for range kills {
		cmd := role(t, "saver", path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+rand.IntN(100)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		checkWhole(t, path)
		if left, _ := filepath.Glob(filepath.Join(folder, ".*.tmp")); len(left) > 1 {
			t.Fatalf("a kill left %v", left)
		} else if len(left) == 1 {
			interrupted++
		}
	}
	t.Logf("%d of %d kills interrupted a save", interrupted, kills)
	if err := Write(path, nil, nil); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 1 {
		t.Errorf("the next save left %v", left)
	}
}

func TestFileSizeLimit(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "model.safetensors")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := role(t, "limited", path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if old, err := os.ReadFile(path); string(old) != "old" || err != nil {
		t.Errorf("the old file is now %q, %v", old, err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 1 {
		t.Errorf("the failed save left %v", left)
	}
}

func TestDiskFull(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	defer syscall.Unmount(folder, 0)
	path := filepath.Join(folder, "model.safetensors")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, generation(1), nil); !fault.Is(err, fault.IO) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk gives %v", err)
	}
	if old, err := os.ReadFile(path); string(old) != "old" || err != nil {
		t.Errorf("the old file is now %q, %v", old, err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 1 {
		t.Errorf("the failed save left %v", left)
	}
}
