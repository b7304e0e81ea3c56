// Package rows is what the engines of the store keep in memory of a room's rows: an
// [Overlay] of the writes that are not durable yet, a [Cache] of rows that are, and [List],
// which walks over both and the engine's rows in one order. It does no I/O.
package rows
