package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// replaceFile writes path through a temporary file in the same folder: created exclusively, filled by write, synced, read
// back and compared by checksum, renamed over path, and the folder synced so that the rename survives a power cut. On any
// error path is untouched and the temporary file is gone. Files that a killed process left behind are cleared away first.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	const op = "write"
	target := path
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		target = resolved
	}
	mode := os.FileMode(0o666) // less the umask
	info, err := os.Stat(target)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return fault.New(fault.Invalid, op, path, "it exists and is not a regular file").Fix("choose another name")
	case err == nil:
		mode = info.Mode().Perm()
	}
	folder, base := filepath.Split(target)
	folder = filepath.Clean(folder)
	clearAbandoned(folder, base)
	temp, err := createLocked(folder, base, mode)
	if err != nil {
		return ioFault(op, path, err).Fix("choose a folder that exists and may be written to")
	}
	defer func() {
		temp.Close()
		if err != nil {
			os.Remove(temp.Name())
			if !errors.As(err, new(*fault.Error)) {
				err = ioFault(op, path, err).Fix("free some space or choose another folder")
			}
		}
	}()
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	buffered := bufio.NewWriterSize(temp, 1<<20)
	if err := write(io.MultiWriter(buffered, sum)); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return err
	}
	again := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(again, temp); err != nil {
		return err
	}
	if again.Sum32() != sum.Sum32() {
		return fault.New(fault.IO, op, path, "what was written is not what reads back").Fix("check the disk")
	}
	if err := os.Rename(temp.Name(), target); err != nil {
		return err
	}
	return syncFolder(folder)
}

// tempName is hidden, names its target, and cannot be taken for a model by programs that list *.safetensors.
func tempName(base string) string { return fmt.Sprintf(".%s.%08x.tmp", base, rand.Uint32()) }

// createLocked creates a new temporary file and locks it, so that clearAbandoned in another process leaves it alone.
func createLocked(folder, base string, mode os.FileMode) (*os.File, error) {
	for {
		f, err := os.OpenFile(filepath.Join(folder, tempName(base)), os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if tryLock(f) {
			return f, nil
		}
		f.Close() // another process cleared it away between our creating and locking it
	}
}

// clearAbandoned removes temporary files for base whose writer no longer lives: the system drops a dead writer's lock.
func clearAbandoned(folder, base string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, entry := range entries {
		ours := strings.HasPrefix(entry.Name(), "."+base+".") && len(entry.Name()) == len(tempName(base)) &&
			strings.HasSuffix(entry.Name(), ".tmp")
		if !ours || !entry.Type().IsRegular() {
			continue
		}
		path := filepath.Join(folder, entry.Name())
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if tryLock(f) {
			os.Remove(path)
		}
		f.Close()
	}
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
