package redis

// Versions of everything under a prefix.
const (
	// Format is the newest that this program reads. It reads all before it too.
	Format = 1
	// Writes is the newest that it writes, once every node reads it. A release that brings a format reads
	// it, and the next one writes it: so there is always a way back by one release.
	Writes = 1
)
