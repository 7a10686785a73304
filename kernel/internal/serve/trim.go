package serve

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"
)

// trim gives back the pages of a plugin that loading it touched and that can be read again from the file: most of a cell's
// memory, since the loader reads every name and the runtime every table once.
func trim(object string) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uintptr
		var mode string
		if !strings.HasSuffix(lines.Text(), object) {
			continue
		}
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); n == 3 && !strings.Contains(mode, "w") {
			_ = syscall.Madvise(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), from)), to-from), syscall.MADV_DONTNEED)
		}
	}
}
