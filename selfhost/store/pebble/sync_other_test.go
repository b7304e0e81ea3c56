//go:build !linux

package pebble

import "os"

func syncData(f *os.File) error { return f.Sync() }
