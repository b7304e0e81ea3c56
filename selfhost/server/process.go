package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// maxProcess is the greatest number of a process: what the gateway keeps 24 bits for.
const maxProcess = 1<<24 - 1

// nextProcess counts the starts of this node in a file, so that no connection's ID ever comes
// again. The number is on disk before it is used.
func nextProcess(path string) (uint64, error) {
	var n uint64
	switch b, err := os.ReadFile(path); {
	case err == nil:
		if n, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err != nil || n > maxProcess {
			return 0, fmt.Errorf("server: %s does not hold the number of a process", path)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return 0, err
	}
	if n++; n > maxProcess {
		n = 1 // after 16 million starts, nothing of the first ones lives any more
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".process-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintln(f, n)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return 0, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return 0, err
	}
	return n, syncFolder(filepath.Dir(path))
}

// syncFolder puts a folder's names on disk. Windows knows no such thing.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
