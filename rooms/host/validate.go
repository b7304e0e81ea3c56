package host

import (
	"strconv"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// validate decodes the effects and checks what only the host knows. Everything else
// is checked by [abi.DecodeEffects].
func (x *run) validate(events []abi.Event, out []byte) ([]abi.Effect, error) {
	effects, err := abi.DecodeEffects(out)
	if err != nil {
		return nil, err
	}
	if err := x.checkUsers(effects); err != nil {
		return nil, err
	}
	grown := 0
	var attached map[uint64]int // the newest attachment's size of this turn
	for _, e := range effects {
		switch e := e.(type) {
		case *abi.TagsEffect:
			if !connects(events, e.Connection) {
				return nil, &abi.FieldError{Field: "tags.connection", Reason: "not connecting in this turn", Err: abi.ErrMalformed}
			}
			for _, t := range e.Tags {
				grown += len(t) + 2
			}
		case *abi.JoinEffect:
			if !connects(events, e.Connection) {
				return nil, &abi.FieldError{Field: "join.connection", Reason: "not connecting in this turn", Err: abi.ErrMalformed}
			}
		case *abi.AttachEffect:
			before, again := attached[e.Connection]
			if !again {
				c, _ := x.table.Get(e.Connection)
				before = len(c.Attachment)
			}
			if attached == nil {
				attached = make(map[uint64]int)
			}
			attached[e.Connection] = len(e.Data)
			grown += len(e.Data) - before
		}
	}
	if grown <= 0 {
		return effects, nil
	}
	for _, e := range events {
		if c, ok := e.(*abi.ConnectEvent); ok {
			grown += entrySize(&c.Connection)
		}
	}
	if x.table.fits(grown) != nil {
		return nil, &abi.FieldError{Field: "attach.data", Reason: "the attachments and tags of the room come to more than " + strconv.Itoa(maxTable) + " bytes", Err: abi.ErrLimit}
	}
	return effects, nil
}

func connects(events []abi.Event, id uint64) bool {
	for _, e := range events {
		if c, ok := e.(*abi.ConnectEvent); ok && c.Connection.ID == id {
			return true
		}
	}
	return false
}
