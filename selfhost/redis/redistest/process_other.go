//go:build !unix

package redistest

import "errors"

type process struct{ gone chan struct{} }

func launch(...string) (*process, error) { return nil, errors.New("redis-server runs on Unix only") }

func (*process) kill() {}

func (*process) pause(bool) error { return errors.ErrUnsupported }
