package runtime

import "sync/atomic"

// Stats are the counts of a runtime, for metrics.
type Stats struct {
	// Rooms, Instances and Parked are how many there are now. Parked instances wait for
	// storage.
	Rooms, Instances, Parked int64
	// Turns, Traps, Parks and Fuel have been counted since the start.
	Turns, Traps, Parks, Fuel int64
}

type counters struct {
	rooms, instances, parked  atomic.Int64
	turns, traps, parks, fuel atomic.Int64
}

// Stats returns the counts.
func (r *Runtime) Stats() Stats {
	c := &r.counts
	return Stats{
		Rooms: c.rooms.Load(), Instances: c.instances.Load(), Parked: c.parked.Load(),
		Turns: c.turns.Load(), Traps: c.traps.Load(), Parks: c.parks.Load(), Fuel: c.fuel.Load(),
	}
}

// Modules returns the number of modules that are not gone.
func (r *Runtime) Modules() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.modules)
}
