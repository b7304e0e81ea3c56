// Package small has a map for the few entries that most rooms have: the first ones lie in the
// value itself, next to what uses them, and cost no allocation. A map of the runtime takes three
// blocks of memory, which in a room that shares all other pages with its image are three
// pages of its own.
package small

// few is how many entries need no map.
const few = 4

// A Map maps keys to values. The zero value is empty and ready to use.
type Map[K comparable, V any] struct {
	n     int
	first [few]entry[K, V]
	rest  map[K]V
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// Get returns the value of a key, the zero value if there is none.
func (m *Map[K, V]) Get(key K) V {
	for i := range m.first[:m.n] {
		if m.first[i].key == key {
			return m.first[i].value
		}
	}
	return m.rest[key]
}

// Set sets the value of a key.
func (m *Map[K, V]) Set(key K, value V) {
	for i := range m.first[:m.n] {
		if m.first[i].key == key {
			m.first[i].value = value
			return
		}
	}
	if m.rest == nil {
		if m.n < few {
			m.first[m.n] = entry[K, V]{key, value}
			m.n++
			return
		}
		m.rest = make(map[K]V)
	}
	m.rest[key] = value
}

// Grow makes an empty map ready for n entries.
func (m *Map[K, V]) Grow(n int) {
	if m.n == 0 && m.rest == nil && n > few {
		m.rest = make(map[K]V, n)
	}
}

// Delete removes a key if it is there.
func (m *Map[K, V]) Delete(key K) {
	for i := range m.first[:m.n] {
		if m.first[i].key == key {
			m.n--
			m.first[i] = m.first[m.n]
			m.first[m.n] = entry[K, V]{}
			return
		}
	}
	delete(m.rest, key)
}

// Len is the number of entries.
func (m *Map[K, V]) Len() int { return m.n + len(m.rest) }
