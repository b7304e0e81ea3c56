package session

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// A record is what is kept of a session: whose it is, its last consumed number, and the answers
// to the last numbers.
type record struct {
	key  string // of its row
	user string
	// check is the time of its row in the index of sessions; left is when it was last seen, 0
	// while it is connected. Milliseconds.
	check, left uint64
	seq         uint64
	answers     answers
}

const recordVersion = 1

func (r *record) append(b []byte) []byte {
	b = abi.AppendString(append(b, recordVersion), r.user)
	b = abi.AppendUvarint(b, r.check)
	b = abi.AppendUvarint(b, r.left)
	b = abi.AppendUvarint(b, r.seq)
	return r.answers.append(b)
}

func decodeRecord(b []byte) (*record, error) {
	d := abi.NewDecoder(b)
	if d.Byte("version") != recordVersion {
		d.Malformed("version", "unknown")
	}
	r := &record{user: d.String("user", abi.MaxUser)}
	r.check = d.Uvarint("check", protocol.MaxInteger)
	r.left = d.Uvarint("left", protocol.MaxInteger)
	r.seq = d.Uvarint("seq", protocol.MaxInteger)
	r.answers.decode(d)
	return r, d.End("session")
}

// answer is what a publish was told: an ack, with the offset if there is an event, or a final
// error.
type answer struct {
	offset uint64
	code   string // of the error, empty for an ack
	text   string
}

// maxAnswerText bounds the text of a remembered error.
const maxAnswerText = 100

// answers remembers the last [protocol.MaxOpen] answers, in their stored form: each an
// integer, 2*offset for an ack, 1 for an error that is followed by its code and text.
// So a row is written by copying, however many there are.
type answers struct {
	n int
	b []byte
}

func (a *answers) add(v answer) {
	if a.n == protocol.MaxOpen {
		d := abi.NewDecoder(a.b)
		readAnswer(d)
		a.b = append(a.b[:0], a.b[len(a.b)-d.Len():]...)
		a.n--
	}
	a.n++
	if v.code == "" {
		a.b = abi.AppendUvarint(a.b, v.offset<<1)
		return
	}
	a.b = abi.AppendString(append(a.b, 1), v.code)
	a.b = abi.AppendString(a.b, cut(v.text, maxAnswerText))
}

// get returns the answer to a number, last being the newest one; false if it is not remembered.
func (a *answers) get(seq, last uint64) (answer, bool) {
	if seq > last || last-seq >= uint64(a.n) {
		return answer{}, false
	}
	d := abi.NewDecoder(a.b)
	for range uint64(a.n) - 1 - (last - seq) {
		readAnswer(d)
	}
	return readAnswer(d), true
}

func (a *answers) append(b []byte) []byte {
	return append(abi.AppendUvarint(b, uint64(a.n)), a.b...)
}

func (a *answers) decode(d *abi.Decoder) {
	a.n = d.Count("answers", protocol.MaxOpen)
	rest := d.Fixed("answers", d.Len())
	check := abi.NewDecoder(rest)
	for range a.n {
		readAnswer(check)
	}
	if check.End("answers") != nil {
		d.Malformed("answers", "not so many answers")
		return
	}
	a.b = append([]byte(nil), rest...)
}

func readAnswer(d *abi.Decoder) answer {
	v := d.Uvarint("answer", 2*protocol.MaxInteger)
	if v&1 == 0 {
		return answer{offset: v >> 1}
	}
	if v != 1 {
		d.Malformed("answer", "neither an ack nor an error")
	}
	a := answer{code: d.String("code", protocol.MaxCode)}
	if a.code == "" {
		d.Malformed("code", "empty")
	}
	a.text = d.String("text", maxAnswerText)
	return a
}
