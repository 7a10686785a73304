package session

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// processTime is what processor times were at a moment, in clock ticks.
type processTime struct {
	at                time.Time
	kernel            float64
	hostBusy, hostAll float64
}

// ticksPerSecond is the kernel's USER_HZ, 100 on every Linux platform that Go supports.
const ticksPerSecond = 100

// measure is the content of a usage_reply: processor and memory use of front and worker together, and of the machine. Where
// /proc is missing the figures are 0.
func (s *Session) measure() map[string]any {
	pids := []int{os.Getpid()}
	if pid := s.engine.PID(); pid > 0 {
		pids = append(pids, pid)
	}
	now := processTime{at: time.Now()}
	resident := 0
	for _, pid := range pids {
		stat := strings.Fields(afterName(read("/proc/" + strconv.Itoa(pid) + "/stat")))
		now.kernel += number(stat, 11) + number(stat, 12) // utime, stime
		resident += int(number(strings.Fields(read("/proc/"+strconv.Itoa(pid)+"/statm")), 1)) * os.Getpagesize()
	}
	first, _, _ := strings.Cut(read("/proc/stat"), "\n")
	for i, f := range strings.Fields(first) {
		if i == 0 {
			continue
		}
		v, _ := strconv.ParseFloat(f, 64)
		if now.hostAll += v; i != 4 && i != 5 { // idle, iowait
			now.hostBusy += v
		}
	}
	s.mu.Lock()
	before := s.usage
	s.usage = now
	s.mu.Unlock()
	host, _ := os.Hostname()
	memory := memory()
	used := memory["total"] - memory["available"]
	percent := 0.0
	if memory["total"] > 0 {
		percent = 100 * float64(used) / float64(memory["total"])
	}
	return map[string]any{
		"hostname":         host,
		"pid":              os.Getpid(),
		"kernel_cpu":       ratio(now.kernel-before.kernel, now.at.Sub(before.at).Seconds()*ticksPerSecond),
		"kernel_memory":    resident,
		"cpu_count":        runtime.NumCPU(),
		"host_cpu_percent": ratio(now.hostBusy-before.hostBusy, now.hostAll-before.hostAll),
		"host_virtual_memory": map[string]any{
			"total": memory["total"], "available": memory["available"], "free": memory["free"], "used": used, "percent": percent,
		},
	}
}

// ratio is a/b in percent; 0 where a worker that was counted before has ended and a is negative.
func ratio(a, b float64) float64 {
	if a < 0 || b <= 0 {
		return 0
	}
	return 100 * a / b
}

func read(path string) string {
	b, _ := os.ReadFile(path)
	return string(b)
}

// afterName is the part of /proc/pid/stat after the program's name, which may contain spaces.
func afterName(stat string) string {
	return stat[strings.LastIndexByte(stat, ')')+1:]
}

func number(fields []string, i int) float64 {
	if i >= len(fields) {
		return 0
	}
	v, _ := strconv.ParseFloat(fields[i], 64)
	return v
}

// memory is the machine's memory in bytes: total, available and free.
func memory() map[string]int {
	names := map[string]string{"MemTotal:": "total", "MemAvailable:": "available", "MemFree:": "free"}
	out := map[string]int{}
	for line := range strings.Lines(read("/proc/meminfo")) {
		f := strings.Fields(line)
		if len(f) >= 2 && names[f[0]] != "" {
			out[names[f[0]]] = int(number(f, 1)) << 10
		}
	}
	return out
}
