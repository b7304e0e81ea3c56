package session

import (
	"strings"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// Request answers HTTP requests (PROTOCOL.md, section 13).
func (a *adapter) Request(_ *rooms.Room, q *rooms.Request) {
	r := &a.room
	defer r.settle()
	m := &Member{room: r, name: q.User, claims: q.Claims, phase: live}
	if r.kind.admit != nil {
		if err := r.kind.admit.Admit(r, m); err != nil {
			respondError(q, toError(err))
			return
		}
	}
	switch {
	case q.Path == "/publish":
		if allow(q, "POST") {
			r.publishHTTP(m, q)
		}
	case q.Path == "/history":
		if allow(q, "GET") {
			r.historyHTTP(q)
		}
	case q.Path == "/presence":
		if allow(q, "GET") {
			r.presenceHTTP(q)
		}
	case r.kind.http != nil:
		r.kind.http.HTTP(r, m, q)
	default:
		respondError(q, toError(abi.CodeNotFound))
	}
}

func allow(q *rooms.Request, method string) bool {
	if q.Method != method {
		respondError(q, toError(abi.CodeMethodNotAllowed))
		return false
	}
	return true
}

const contentJSON = "application/json"

func respondError(q *rooms.Request, e *Error) {
	status := 422
	if code, ok := abi.CodeByName(e.Code); ok {
		status = code.Info().Status
	}
	o := jsonx.NewObject(nil)
	o.String("code", e.Code)
	o.String("message", e.Message)
	if e.Retryable {
		o.Uint("retry", ms(e.After))
	}
	q.Respond(status, contentJSON, o.End())
}

func (r *Room) historyHTTP(q *rooms.Request) {
	o := jsonx.NewObject(nil)
	for _, name := range [...]string{"before", "after", "limit"} {
		if v, ok := queryValue(q.Query, name); ok {
			queryNumber(&o, name, v)
		}
	}
	arg, err := protocol.DecodeHistoryQuery(JSON(o.End()), protocol.JSON)
	if err != nil {
		respondError(q, toError(err))
		return
	}
	q.Respond(200, contentJSON, r.historyPage(arg, protocol.JSON).Data)
}

func (r *Room) presenceHTTP(q *rooms.Request) {
	o := jsonx.NewObject(nil)
	if v, ok := queryValue(q.Query, "after"); ok {
		o.String("after", v)
	}
	if v, ok := queryValue(q.Query, "limit"); ok {
		queryNumber(&o, "limit", v)
	}
	arg, err := protocol.DecodeMembersQuery(JSON(o.End()), protocol.JSON)
	if err != nil {
		respondError(q, toError(err))
		return
	}
	page := membersPage(r, arg)
	q.Respond(200, contentJSON, protocol.AppendMembersPage(nil, &page, protocol.JSON))
}

// queryNumber adds a number; what is none becomes a string, which the decoder refuses.
func queryNumber(o *jsonx.Object, name, value string) {
	r := jsonx.NewReader([]byte(value))
	if n := r.Uint(); r.End() == nil {
		o.Uint(name, n)
	} else {
		o.String(name, value)
	}
}

// queryValue returns the first value of a name in a URL's query.
func queryValue(query, name string) (string, bool) {
	for part := range strings.SplitSeq(query, "&") {
		if n, v, _ := strings.Cut(part, "="); n == name {
			return unescape(v), true
		}
	}
	return "", false
}

// unescape undoes the escapes of a URL's query; what is not one stays as it is.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			c = ' '
		} else if c == '%' && i+2 < len(s) {
			if high, low := hexDigit(s[i+1]), hexDigit(s[i+2]); high < 16 && low < 16 {
				c = high<<4 | low
				i += 2
			}
		}
		b = append(b, c)
	}
	return string(b)
}

// hexDigit is the value of a hexadecimal digit, 16 of what is none.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// publishHTTP is a publish without a session. With an idempotency key its answer is
// remembered in the same commit.
func (r *Room) publishHTTP(m *Member, q *rooms.Request) {
	p, err := decodePublish(q.Body, r.limits.message)
	if err != nil {
		respondError(q, err)
		return
	}
	key := q.Header("Idempotency-Key")
	id := idempotencyID(m.name, key)
	switch known := r.loadKey(key, id); {
	case !validKey(key):
		respondError(q, Refuse(abi.CodeInvalid, "Idempotency-Key: not 1 to 128 printable characters"))
		return
	case known != nil && known.hash != hash(q.Body):
		respondError(q, Refuse(abi.CodeInvalid, "Idempotency-Key: used for another body"))
		return
	case known != nil:
		respondAnswer(q, known)
		return
	case r.inner.StoreAway():
		respondError(q, toError(abi.CodeStorageUnavailable))
		return
	case key != "" && !r.makeRoom(&r.keys):
		respondError(q, toError(abi.CodeOverloaded))
		return
	}
	var e Event
	err = r.decide(m, &p, &e)
	if err != nil && err.Retryable {
		respondError(q, err)
		return
	}
	k := &keyed{hash: hash(q.Body)}
	switch {
	case err != nil:
		k.answer = answer{code: err.Code, text: err.Message}
	case e.Name != "":
		r.publishEvent(&e)
		if k.answer.offset = e.Offset; e.Offset != 0 {
			k.incarnation = r.incarnations.current()
		}
	}
	if key != "" {
		r.keep(k, id)
	}
	respondAnswer(q, k)
}

func respondAnswer(q *rooms.Request, k *keyed) {
	if k.answer.code != "" {
		respondError(q, &Error{Code: k.answer.code, Message: cut(k.answer.text, maxAnswerText)})
		return
	}
	o := jsonx.NewObject(nil)
	if k.answer.offset != 0 {
		o.Uint("offset", k.answer.offset)
		o.String("incarnation", k.incarnation)
	}
	q.Respond(200, contentJSON, o.End())
}

// decodePublish reads the body of a publish.
func decodePublish(body []byte, limit int) (Publish, *Error) {
	if len(body) > limit {
		return Publish{}, toError(abi.CodeTooLarge)
	}
	p, err := protocol.DecodePublishBody(body)
	if err != nil {
		return Publish{}, Refuse(abi.CodeMalformed, cut(err.Error(), protocol.MaxErrorText))
	}
	return Publish{Event: p.Event, Payload: p.Payload}, nil
}
