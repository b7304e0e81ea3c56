package protocol

import (
	"strconv"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// A HistoryQuery is the payload of the request "history". Before and After are places
// in history; at most one of them counts.
type HistoryQuery struct {
	Before, After       uint64
	HasBefore, HasAfter bool
	Limit               uint64 // 0: [DefaultHistoryPage]
}

// A HistoryPage is the answer: events in rising order.
type HistoryPage struct {
	Events []Event
	More   bool
}

// A MembersQuery is the payload of the request "members".
type MembersQuery struct {
	After    string
	HasAfter bool
	Limit    uint64 // 0: [DefaultMembersPage]
}

// A MembersPage is the answer: members in the byte order of their users.
type MembersPage struct {
	Members []Member
	More    bool
	Counts  Counts
}

// Payload encodes q for a form.
func (q *HistoryQuery) Payload(f Form) Payload {
	if f == Binary {
		var flags byte
		at := q.Before
		if q.HasBefore {
			flags = 1
		} else if q.HasAfter {
			flags, at = 2, q.After
		}
		b := abi.AppendUvarint([]byte{flags}, q.Limit)
		if flags != 0 {
			b = abi.AppendUvarint(b, at)
		}
		return BytesPayload(b)
	}
	o := jsonx.NewObject(nil)
	if q.HasBefore {
		o.Uint("before", q.Before)
	}
	if q.HasAfter {
		o.Uint("after", q.After)
	}
	if q.Limit != 0 {
		o.Uint("limit", q.Limit)
	}
	return JSONPayload(o.End())
}

// DecodeHistoryQuery decodes a payload in a form. Limit is never 0 or above [MaxPage].
func DecodeHistoryQuery(p Payload, f Form) (HistoryQuery, error) {
	q := HistoryQuery{}
	err := decodeQuery(p, f, func(r *abi.Decoder) {
		switch flags := flags(r, 3); flags {
		case 1, 2:
			q.HasBefore, q.HasAfter = flags == 1, flags == 2
		case 3:
			r.Malformed("flags", "before and after")
		}
		q.Limit = r.Uvarint("limit", MaxInteger)
		if q.HasBefore {
			q.Before = r.Uvarint("before", MaxInteger)
		} else if q.HasAfter {
			q.After = r.Uvarint("after", MaxInteger)
		}
	}, func(key string, r *jsonx.Reader) {
		switch key {
		case "before":
			q.Before, q.HasBefore = r.Uint(), true
		case "after":
			q.After, q.HasAfter = r.Uint(), true
		case "limit":
			q.Limit = positive(r)
		}
	})
	if err == nil && q.HasBefore && q.HasAfter {
		err = &Error{Field: "after", Reason: "beside before"}
	}
	q.Limit = pageLimit(q.Limit, DefaultHistoryPage)
	return q, err
}

// Payload encodes q for a form.
func (q *MembersQuery) Payload(f Form) Payload {
	if f == Binary {
		b := abi.AppendUvarint(abi.AppendBool(nil, q.HasAfter), q.Limit)
		if q.HasAfter {
			b = abi.AppendString(b, q.After)
		}
		return BytesPayload(b)
	}
	o := jsonx.NewObject(nil)
	if q.HasAfter {
		o.String("after", q.After)
	}
	if q.Limit != 0 {
		o.Uint("limit", q.Limit)
	}
	return JSONPayload(o.End())
}

// DecodeMembersQuery decodes a payload in a form. Limit is never 0 or above [MaxPage].
func DecodeMembersQuery(p Payload, f Form) (MembersQuery, error) {
	q := MembersQuery{}
	err := decodeQuery(p, f, func(r *abi.Decoder) {
		q.HasAfter = flags(r, 1) == 1
		q.Limit = r.Uvarint("limit", MaxInteger)
		if q.HasAfter {
			q.After = text(r, "after", MaxUser)
		}
	}, func(key string, r *jsonx.Reader) {
		switch key {
		case "after":
			q.After, q.HasAfter = r.String(), true
			if len(q.After) > MaxUser {
				r.Fail(jsonx.ErrType)
			}
		case "limit":
			q.Limit = positive(r)
		}
	})
	q.Limit = pageLimit(q.Limit, DefaultMembersPage)
	return q, err
}

func positive(r *jsonx.Reader) uint64 {
	v := r.Uint()
	if v == 0 {
		r.Fail(jsonx.ErrType)
	}
	return v
}

func pageLimit(v, unasked uint64) uint64 {
	if v == 0 {
		v = unasked
	}
	return min(v, MaxPage)
}

// decodeQuery decodes the arguments of a request of the protocol. A field that is null is
// absent; unknown ones are ignored.
func decodeQuery(p Payload, f Form, bin func(*abi.Decoder), field func(string, *jsonx.Reader)) error {
	switch {
	case p.Format == FormatNone:
		return nil
	case f == Binary && p.Format == FormatBytes:
		r := abi.NewDecoder(p.Data)
		bin(r)
		return end(r)
	case f == JSON && p.Format == FormatJSON:
		r := jsonx.NewReader(p.Data)
		for key := range r.Object() {
			if !r.Null() {
				field(string(key), r)
			}
		}
		if err := r.End(); err != nil {
			return &Error{Field: "data", Reason: "not the arguments of this request", Err: err}
		}
		return nil
	}
	return &Error{Field: "payload", Reason: "of the other form"}
}

// AppendHistoryPage appends the answer to a history request, in the form of the
// connection that asked. Incarnations of the events are left out.
func AppendHistoryPage(b []byte, page *HistoryPage, f Form) []byte {
	if f == Binary {
		b = abi.AppendBool(b, page.More)
		b = abi.AppendUvarint(b, uint64(len(page.Events)))
		var item []byte
		for i := range page.Events {
			e := page.Events[i]
			e.Incarnation = ""
			item = e.appendFields(item[:0])
			b = abi.AppendBytes(b, item)
		}
		return b
	}
	b = append(b, `{"events":[`...)
	for i := range page.Events {
		if i > 0 {
			b = append(b, ',')
		}
		e := page.Events[i]
		e.Incarnation = ""
		b = e.appendItem(b)
	}
	b = strconv.AppendBool(append(b, `],"more":`...), page.More)
	return append(b, '}')
}

// AppendMembersPage appends the answer to a members request, in the form of the
// connection that asked.
func AppendMembersPage(b []byte, page *MembersPage, f Form) []byte {
	if f == Binary {
		b = page.Counts.appendBinary(abi.AppendBool(b, page.More))
		return appendMembersBinary(b, page.Members)
	}
	b = appendMembers(append(b, `{"members":`...), page.Members)
	b = strconv.AppendBool(append(b, `,"more":`...), page.More)
	b = page.Counts.appendJSON(append(b, `,"counts":`...))
	return append(b, '}')
}

// PagePayload wraps an encoded answer of a page in the payload format of a form.
func PagePayload(b []byte, f Form) Payload {
	if f == Binary {
		return BytesPayload(b)
	}
	return JSONPayload(b)
}
