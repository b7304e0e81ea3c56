package gateway

// queue is what waits to be written to one socket: pieces of whole frames, in order.
// It holds bytes and does no I/O; the socket's mutex guards it. The zero value is an
// empty queue.
type queue struct {
	entries []entry
	head    int    // entries before it have left
	first   uint64 // number of entries[head]
	bytes   int    // what waits, including what is being written
	// keys finds the entry that a newer frame of the same key replaces.
	keys map[string]uint64
}

type entry struct {
	wire []byte
	key  string
	// own entries are private to this queue and grow by small frames at their end.
	own bool
	// begun entries have partly left, or are being written: they cannot be taken back.
	begun bool
}

const (
	// smallFrame is the length up to which a frame without a key is copied into a shared
	// entry: an entry of its own would cost as much memory as the frame, which
	// the byte bound does not count.
	smallFrame = 256
	// maxOwn is the length at which such an entry is full.
	maxOwn = 4096
	// maxKeys bounds the keys that wait in one queue, for the same reason. A frame above
	// it is queued without its key.
	maxKeys = 1024
)

// push appends b, which must not change afterwards unless it is small: then it is copied.
func (q *queue) push(b []byte, key string) {
	if len(b) == 0 {
		return
	}
	q.bytes += len(b)
	if key == "" && len(b) <= smallFrame {
		if n := len(q.entries); n > q.head {
			if e := &q.entries[n-1]; e.own && len(e.wire)+len(b) <= maxOwn {
				e.wire = append(e.wire, b...)
				return
			}
		}
		q.entries = append(q.entries, entry{wire: append(make([]byte, 0, 2*len(b)), b...), own: true})
		return
	}
	if key != "" && len(q.keys) < maxKeys {
		if q.keys == nil {
			q.keys = make(map[string]uint64)
		}
		q.keys[key] = q.first + uint64(len(q.entries)-q.head)
	} else {
		key = ""
	}
	q.entries = append(q.entries, entry{wire: b, key: key})
}

// pushBegun appends the rest of a frame whose beginning has left. The queue is empty.
func (q *queue) pushBegun(b []byte) {
	if len(b) > 0 {
		q.bytes += len(b)
		q.entries = append(q.entries, entry{wire: b, begun: true})
	}
}

// waiting returns the length of the entry that a frame of this key would replace.
func (q *queue) waiting(key string) (size int, ok bool) {
	if key == "" {
		return 0, false
	}
	n, ok := q.keys[key]
	if !ok {
		return 0, false
	}
	return len(q.at(n).wire), true
}

// replace puts b in the place of the entry that waiting found.
func (q *queue) replace(key string, b []byte) {
	e := q.at(q.keys[key])
	q.bytes += len(b) - len(e.wire)
	e.wire = b
}

func (q *queue) at(n uint64) *entry { return &q.entries[q.head+int(n-q.first)] }

// vector appends up to limit entries, for one vectored write. The caller holds the
// lock over the write and says with consume how much has left.
func (q *queue) vector(to [][]byte, limit int) [][]byte {
	for i := q.head; i < len(q.entries) && len(to) < limit; i++ {
		to = append(to, q.entries[i].wire)
	}
	return to
}

// copyTo copies bytes from the front into buf, up to its capacity, and marks their
// entries as begun: the caller may let the lock go while it writes them.
func (q *queue) copyTo(buf []byte) []byte {
	buf = buf[:0]
	for i := q.head; i < len(q.entries) && len(buf) < cap(buf); i++ {
		e := &q.entries[i]
		q.begin(e)
		n := min(len(e.wire), cap(buf)-len(buf))
		buf = append(buf, e.wire[:n]...)
	}
	return buf
}

func (q *queue) begin(e *entry) {
	e.begun = true
	if e.key != "" {
		delete(q.keys, e.key)
		e.key = ""
	}
}

// consume takes n bytes off the front: they have left.
func (q *queue) consume(n int) {
	q.bytes -= n
	for n > 0 {
		e := &q.entries[q.head]
		q.begin(e)
		if n < len(e.wire) {
			e.wire = e.wire[n:]
			break
		}
		n -= len(e.wire)
		*e = entry{}
		q.head++
		q.first++
	}
	switch {
	case q.bytes == 0:
		// A connection that has caught up keeps no memory for its queue.
		q.entries, q.head, q.keys = nil, 0, nil
	case q.head > 64 && q.head > len(q.entries)/2:
		q.entries = q.entries[:copy(q.entries, q.entries[q.head:])]
		clear(q.entries[len(q.entries):cap(q.entries)])
		q.head = 0
	}
}

// trim drops everything that has not begun to leave. What has begun must be finished, or
// the client could not read the frames behind it.
func (q *queue) trim() {
	keep := q.head
	for keep < len(q.entries) && q.entries[keep].begun {
		keep++
	}
	for i := keep; i < len(q.entries); i++ {
		q.bytes -= len(q.entries[i].wire)
		q.entries[i] = entry{}
	}
	q.entries, q.keys = q.entries[:keep], nil
}

// reset drops everything.
func (q *queue) reset() { *q = queue{first: q.first + uint64(len(q.entries)-q.head)} }
