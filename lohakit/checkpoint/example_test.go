package checkpoint_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/lohakit/notebook/lohakit/checkpoint"
)

// A file is written whole or not at all, and read without copying: Tensor is a view, Floats a converted copy.
func Example() {
	folder, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "tiny.safetensors")

	up, _ := checkpoint.FromFloats("up.weight", checkpoint.F16, []int{2, 2}, []float32{1, 2, 3, 0.1})
	if err := checkpoint.Write(path, []checkpoint.Tensor{up}, map[string]string{"ss_steps": "500"}); err != nil {
		fmt.Println(err)
	}

	file, err := checkpoint.Open(path)
	if err != nil {
		fmt.Println(err)
	}
	defer file.Close()
	t, _ := file.Tensor("up.weight")
	values, _ := t.Floats()
	fmt.Println(t, values, file.Metadata["ss_steps"])
	_, err = file.Tensor("up.weigth")
	fmt.Println(fmt.Sprint(err)[len("read "+path)+1:])
	// Output:
	// up.weight F16[2 2] [1 2 3 0.099975586] 500
	// up.weigth: no such tensor among 1; nearest: up.weight
}
