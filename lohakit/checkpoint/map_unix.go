//go:build unix

package checkpoint

import (
	"errors"
	"os"
	"syscall"
	"unsafe"
)

// mapFile returns the file's content as read-only memory that the system loads when it is touched.
func mapFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // opening a named pipe would wait for a writer
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if info.Size() == 0 { // cannot be mapped
		return nil, nil
	}
	return syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
}

// tryLock takes the file's lock if no other process or opening holds it; closing releases it, and so does dying.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

func unmapFile(mapped []byte) error { return syscall.Munmap(mapped) }

// within reports whether part is a piece of whole.
func within(part, whole []byte) bool {
	if len(part) == 0 || len(whole) == 0 {
		return false
	}
	at, from := uintptr(unsafe.Pointer(&part[0])), uintptr(unsafe.Pointer(&whole[0]))
	return at >= from && at+uintptr(len(part)) <= from+uintptr(len(whole))
}

// forget lets the system take back the memory of the whole pages in part, a piece of a mapped file; touched again, they are read again.
func forget(part []byte) {
	page := uintptr(os.Getpagesize())
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(part)))
	skip := int((page - begin%page) % page)
	whole := (len(part) - skip) / int(page) * int(page)
	if whole > 0 {
		_ = syscall.Madvise(part[skip:skip+whole], syscall.MADV_DONTNEED) // advice: the data stays right either way
	}
}
