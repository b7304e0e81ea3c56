// Package reserved holds the key to the part of a room's storage that belongs to
// the SDK. Only packages below rooms/ can import it, so an author's code cannot
// make a [Key].
package reserved

// Key opens a room's reserved storage.
type Key struct{}
