package pebble

import "github.com/oriel-rooms/oriel/rooms/host"

var _ host.CachedStorage = (*room)(nil)
