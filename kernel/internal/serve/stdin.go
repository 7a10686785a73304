package serve

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lohakit/notebook/kernel/internal/live"
)

// watchInput tells the front when a thread of a running cell waits for standard input. Nothing in the process says so, but
// the kernel shows the system call that a thread sits in.
func (s *server) watchInput() {
	asked := false
	for range time.Tick(50 * time.Millisecond) {
		s.mu.Lock()
		id := -1
		for run := range s.runs {
			id = max(id, run)
		}
		s.mu.Unlock()
		if id < 0 {
			asked = false
			continue
		}
		waits := waitsForInput()
		if s.fed.Swap(false) {
			asked = false
			continue
		}
		if waits && !asked {
			s.tell(live.Event{ID: id, Is: live.Stdin})
		}
		asked = waits
	}
}

// waitsForInput reports whether a thread is inside read(0, …).
func waitsForInput() bool {
	files, _ := filepath.Glob("/proc/self/task/*/syscall")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && strings.HasPrefix(string(text), readCall+" 0x0 ") {
			return true
		}
	}
	return false
}
