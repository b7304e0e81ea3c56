package abi

// ListRequest asks for rows of the room's storage in the order of their keys'
// bytes.
type ListRequest struct {
	// Start and End bound the keys: Start <= key < End. An empty End means to the last row.
	// Each is at most [MaxBound] bytes.
	Start, End []byte
	// Limit is the greatest number of rows wanted: 1 to [MaxListEntries].
	Limit int
	// Reverse starts at the end.
	Reverse bool
}

// Entry is one row.
type Entry struct{ Key, Value []byte }

// ListResponse is the answer. More is true if rows were left out because of the
// limit or because the answer reached [MaxListBytes]; the first row is always given.
type ListResponse struct {
	Entries []Entry
	More    bool
}

// AppendListRequest appends the encoding of q.
func AppendListRequest(b []byte, q *ListRequest) []byte {
	b = AppendBytes(b, q.Start)
	b = AppendBytes(b, q.End)
	b = AppendUvarint(b, uint64(q.Limit))
	return AppendBool(b, q.Reverse)
}

// DecodeListRequest decodes a request that fills b.
func DecodeListRequest(b []byte) (ListRequest, error) {
	d := NewDecoder(b)
	q := ListRequest{Start: d.Bytes("list.start", MaxBound)}
	q.End = d.Bytes("list.end", MaxBound)
	q.Limit = int(d.Uvarint("list.limit", MaxListEntries))
	if d.err == nil && q.Limit == 0 {
		d.Limit("list.limit", "zero")
	}
	q.Reverse = d.Bool("list.reverse")
	return q, d.End("list")
}

// AppendListResponse appends the encoding of r.
func AppendListResponse(b []byte, r *ListResponse) []byte {
	b = AppendUvarint(b, uint64(len(r.Entries)))
	for i := range r.Entries {
		b = AppendBytes(AppendBytes(b, r.Entries[i].Key), r.Entries[i].Value)
	}
	return AppendBool(b, r.More)
}

// DecodeListResponse decodes an answer that fills b.
func DecodeListResponse(b []byte) (ListResponse, error) {
	d := NewDecoder(b)
	n := d.countOf("list.entries", MaxListEntries, 2)
	r := ListResponse{}
	if n > 0 {
		r.Entries = make([]Entry, 0, n)
	}
	for range n {
		e := Entry{Key: d.Bytes("list.key", MaxKey)}
		e.Value = d.Bytes("list.value", MaxKeyValue)
		r.Entries = append(r.Entries, e)
	}
	r.More = d.Bool("list.more")
	return r, d.End("list")
}
