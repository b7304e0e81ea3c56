//go:build !linux

package memory

import "errors"

// newCopyOnWrite is not there: the image is copied for every room.
func newCopyOnWrite([]byte, uint64, *Budget) (backing, error) { return nil, errors.ErrUnsupported }
