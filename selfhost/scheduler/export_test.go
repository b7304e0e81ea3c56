package scheduler

import "github.com/oriel-rooms/oriel/selfhost/store"

// Told says that a row of a room's outbox has been heard, as the room that heard it does.
func (s *Scheduler) Told(from store.RoomID, row uint64) { s.told(from, row) }
