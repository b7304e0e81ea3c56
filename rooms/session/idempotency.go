package session

import (
	"encoding/binary"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// keyed is what is remembered of a publish that came by HTTP with an idempotency key.
type keyed struct {
	hash        uint64 // of the body
	until       uint64 // milliseconds since 1970
	answer      answer
	incarnation string
}

const keyedVersion = 1

func (k *keyed) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(append(b, keyedVersion), k.hash)
	b = abi.AppendUvarint(b, k.until)
	b = abi.AppendString(b, k.incarnation)
	var a answers
	a.add(k.answer)
	return a.append(b)
}

func decodeKeyed(b []byte) (*keyed, error) {
	d := abi.NewDecoder(b)
	if d.Byte("version") != keyedVersion {
		d.Malformed("version", "unknown")
	}
	k := &keyed{}
	if h := d.Fixed("hash", 8); len(h) == 8 {
		k.hash = binary.LittleEndian.Uint64(h)
	}
	k.until = d.Uvarint("until", protocol.MaxInteger)
	k.incarnation = d.String("incarnation", protocol.MaxToken)
	var a answers
	a.decode(d)
	if a.n != 1 {
		d.Malformed("answer", "not one")
	}
	k.answer, _ = a.get(1, 1)
	return k, d.End("key")
}

// loadKey returns what is remembered of a key, nil if nothing.
func (r *Room) loadKey(key, id string) *keyed {
	if key == "" || !validKey(key) {
		return nil
	}
	b, ok := r.system().Get(prefixKey + id)
	if !ok {
		return nil
	}
	k, err := decodeKeyed(b)
	if err != nil {
		panic("session: an idempotency key's row is damaged: " + err.Error())
	}
	if k.until <= r.now() {
		r.dropKey(id, k)
		return nil
	}
	return k
}

func (r *Room) dropKey(id string, k *keyed) {
	if !r.inner.StoreAway() {
		r.unshelve(&r.keys, id, k.until)
	}
}

// keep remembers an answer.
func (r *Room) keep(k *keyed, id string) {
	k.until = r.keys.at(r.now() + r.limits.keep)
	*r.buf = k.append((*r.buf)[:0])
	r.system().Put(prefixKey+id, *r.buf)
	r.shelve(&r.keys, id, k.until)
}

// lookKey is the shelf's question about a key: it goes when its time is over, or when the shelf
// is full.
func (r *Room) lookKey(id string) (until uint64, early bool) {
	b, ok := r.system().Get(prefixKey + id)
	if !ok {
		return 0, true
	}
	k, err := decodeKeyed(b)
	if err != nil {
		panic("session: an idempotency key's row is damaged: " + err.Error())
	}
	return k.until, true
}

// validKey reports whether s may be an idempotency key; the empty string is none and passes.
func validKey(s string) bool {
	if len(s) > protocol.MaxIdempotencyKey {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// hash is FNV-1a: it tells bodies of one client apart, nothing more.
func hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
