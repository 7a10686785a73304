//go:build unix

package checkpoint

import (
	"errors"
	"os"
	"syscall"
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
