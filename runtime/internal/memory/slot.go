package memory

// A Slot is the linear memory of one WebAssembly instance; it lets the instance run on
// one room's memory after another. It implements wazero's experimental.LinearMemory.
//
// wazero asks it for bytes whenever a memory grows. A host that wants to swap sets the next
// memory ([Slot.Set]) and grows the instance's memory by a page: wazero then reads base
// and length anew. It is not safe for concurrent use.
type Slot struct {
	current *Memory // nil while parked
	next    *Memory
	swap    bool
	refused bool
	// Ask, if not nil, is told of each growth that the guest asks for, and says whether it was
	// something else that it asked for: then it gets no memory, and none was refused.
	Ask func() bool
}

// Set makes m what the next growth returns. nil parks the instance on a memory of no
// bytes, so that it does not hold on to a room's.
func (s *Slot) Set(m *Memory) { s.next, s.swap = m, true }

// Bytes returns what the instance can address now.
func (s *Slot) Bytes() []byte {
	if s.current == nil {
		return nil
	}
	return s.current.bytes
}

// Refused reports whether a growth was refused since the last swap.
func (s *Slot) Refused() bool { return s.refused }

// Reallocate is called by wazero to grow the memory to size bytes. nil refuses.
func (s *Slot) Reallocate(size uint64) []byte {
	if s.swap {
		s.current, s.next, s.swap, s.refused = s.next, nil, false, false
		if s.current == nil {
			return []byte{}
		}
		return s.view()
	}
	if s.Ask != nil && s.Ask() {
		return nil
	}
	if s.current == nil || !s.current.grow(size) {
		s.refused = true
		return nil
	}
	return s.view()
}

// view never lets wazero append in place: the bytes behind belong to the memory.
func (s *Slot) view() []byte {
	b := s.current.bytes
	return b[:len(b):len(b)]
}

// Free does nothing: wazero calls it when an instance is closed, but the memory is the
// room's.
func (s *Slot) Free() {}
