package xla

/*
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
void *hooked_api(const char *plugin);
*/
import "C"

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"time"
	"unsafe"

	"github.com/gomlx/go-xla/pkg/pjrt"
)

// Compiling a UNet's training step takes XLA tens of seconds, so programs are kept on disk: a copy of the plugin's function table
// with another compile function looks there first. What a program was compiled from, by which plugin, for which
// processor and with which options is its key; whatever does not match, or does not load, is compiled.

// CacheVar names the environment variable with the folder of compiled programs: by default lohakit/xla in the user's cache folder.
// "off" disables the cache.
const CacheVar = "LOHAKIT_XLA_CACHE"

const (
	cacheLimit = 2 << 30                // bytes; the programs that were not used for longest go first
	worth      = 500 * time.Millisecond // what compiles faster is not stored
)

var cache struct {
	folder string // "" is none
	plugin string // identifies the plugin and the processor
}

// hookCompile makes the CPU plugin at path compile with cpuOptions and through the cache. Where that is impossible nothing changes.
func hookCompile(path string) {
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	api := C.hooked_api(cpath)
	if api == nil {
		return
	}
	cache.folder = cacheFolder()
	if info, err := os.Stat(path); err == nil {
		cache.plugin = fmt.Sprintf("%s %d %d\n%s\n%s", filepath.Base(path), info.Size(), info.ModTime().UnixNano(), os.Getenv("XLA_FLAGS"), processor())
	}
	_ = pjrt.RegisterPreloadedPlugin(path, uintptr(api)) // if it fails, the plugin is opened as usual
}

// cacheFolder is where compiled programs are kept, made if it does not exist; "" if nowhere.
func cacheFolder() string {
	folder := os.Getenv(CacheVar)
	if folder == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		folder = filepath.Join(user, "lohakit", "xla")
	}
	if folder == "off" || os.MkdirAll(folder, 0o755) != nil {
		return ""
	}
	return folder
}

// processor describes the instructions this machine has, which compiled programs use.
func processor() []byte {
	info, _ := os.ReadFile("/proc/cpuinfo")
	var out []byte
	for _, field := range []string{"model name", "flags", "Features"} {
		if i := bytes.Index(info, []byte("\n"+field)); i >= 0 {
			line, _, _ := bytes.Cut(info[i+1:], []byte("\n"))
			out = append(append(out, line...), '\n')
		}
	}
	return out
}

// compileOptions returns the options to compile code with in C memory, which the caller frees.
//
//export compileOptions
func compileOptions(code *C.char, codeSize C.size_t, options *C.char, optionsSize C.size_t, size *C.size_t) *C.char {
	given := unsafe.Slice((*byte)(unsafe.Pointer(options)), optionsSize)
	module := unsafe.Slice((*byte)(unsafe.Pointer(code)), codeSize)
	large := inputBytes(module) >= largeProgram
	if large {
		mapLargeBlocks()
	}
	all := append(slices.Clip(given), cpuOptions(large)...)
	*size = C.size_t(len(all))
	return (*C.char)(C.CBytes(all))
}

//export programKey
func programKey(code *C.char, codeSize C.size_t, options *C.char, optionsSize C.size_t) *C.char {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%d\n", cache.plugin, codeSize)
	h.Write(unsafe.Slice((*byte)(unsafe.Pointer(code)), codeSize))
	h.Write(unsafe.Slice((*byte)(unsafe.Pointer(options)), optionsSize))
	return C.CString(hex.EncodeToString(h.Sum(nil)))
}

// loadProgram returns the stored program in C memory, which the caller frees; nil if there is none or its checksum is wrong.
//
//export loadProgram
func loadProgram(key *C.char, size *C.size_t) *C.char {
	if cache.folder == "" {
		return nil
	}
	path := filepath.Join(cache.folder, C.GoString(key)+programSuffix)
	file, err := os.ReadFile(path)
	if err != nil || len(file) < sha256.Size {
		return nil
	}
	sum, program := file[:sha256.Size], file[sha256.Size:]
	if got := sha256.Sum256(program); !bytes.Equal(got[:], sum) {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // the time of last use
	*size = C.size_t(len(program))
	return (*C.char)(C.CBytes(program))
}

//export storeProgram
func storeProgram(key, program *C.char, size C.size_t) {
	store(C.GoString(key), unsafe.Slice((*byte)(unsafe.Pointer(program)), size))
}

func store(key string, program []byte) {
	temp, err := os.CreateTemp(cache.folder, "new-*"+programSuffix)
	if err != nil {
		return // a full or read-only disk costs only the next compilation
	}
	defer os.Remove(temp.Name())
	sum := sha256.Sum256(program)
	_, err1 := temp.Write(sum[:])
	_, err2 := temp.Write(program)
	if err3 := temp.Close(); err1 != nil || err2 != nil || err3 != nil {
		return
	}
	_ = os.Rename(temp.Name(), filepath.Join(cache.folder, key+programSuffix))
	prune(cache.folder, cacheLimit)
}

// ownName matches what the cache calls its files, those that a killed process left half written too: the folder may hold others.
var ownName = regexp.MustCompile(`^([0-9a-f]{64}|new-\d+)\` + programSuffix + `$`)

const programSuffix = ".program"

// prune removes the cache's files in folder that were not used for longest until the rest of them take up at most limit bytes.
func prune(folder string, limit int64) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	var files []os.FileInfo
	total := int64(0)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && ownName.MatchString(e.Name()) {
			files = append(files, info)
			total += info.Size()
		}
	}
	slices.SortFunc(files, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if total <= limit {
			return
		}
		if os.Remove(filepath.Join(folder, f.Name())) == nil {
			total -= f.Size()
		}
	}
}

//export programClock
func programClock() C.longlong { return C.longlong(time.Now().UnixNano()) }

// returnMemory gives back what building, compiling or loading a large program took: of half a gigabyte little is needed afterwards, and the
// first run would take its memory on top.
//
//export returnMemory
func returnMemory(start C.longlong) {
	if time.Duration(time.Now().UnixNano()-int64(start)) >= worth {
		debug.FreeOSMemory()
		giveMemoryBack()
	}
}

//export worthStoring
func worthStoring(start C.longlong) C.int {
	if cache.folder == "" || time.Duration(time.Now().UnixNano()-int64(start)) < worth {
		return 0
	}
	return 1
}
