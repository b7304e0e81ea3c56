package member

import "time"

// Crash ends the membership as a kill would: nobody is told.
func (m *Membership) Crash() {
	m.end(ErrLeft)
	m.work.Wait()
}

// Left returns how long the identity stays certain unless it is renewed.
func (m *Membership) Left() time.Duration { return time.Duration(m.lease.hard.Load()) - m.o.Now() }

// Encode and Decode are the codec of a node's record.
func (m Member) Encode() (string, error)    { return m.encode() }
func Decode(id, rec string) (Member, error) { return decodeMember(id, rec) }
func NewView(members []Member) *View        { return (*View)(nil).next(1, "1.x", members) }
func (v *View) Next(members []Member) *View { return v.next(v.Version+1, "2.x", members) }
func DecodeView(reply any) (n int, bad int, err error) {
	a, err := decodeView(reply)
	return len(a.members), len(a.strange), err
}
