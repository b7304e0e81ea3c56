package host

import "github.com/oriel-rooms/oriel/rooms/abi"

// Watches is the number of users whom the room watches since its last start, as its turns left them.
func (r *Room) Watches() int { return len(r.watching) }

// watch keeps the list of those whom the room watches.
func (x *run) watch(effects []abi.Effect) {
	for _, e := range effects {
		e, ok := e.(*abi.WatchEffect)
		switch {
		case !ok:
		case !e.On:
			delete(x.watching, e.User)
		default:
			if x.watching == nil {
				x.watching = make(map[string]struct{})
			}
			x.watching[e.User] = struct{}{}
		}
	}
}

// checkUsers bounds the users that a room watches and the notifications of a turn.
func (x *run) checkUsers(effects []abi.Effect) error {
	notifies, watches := 0, len(x.watching)
	var turn map[string]bool // those that the turn watches, or not any more
	for _, e := range effects {
		switch e := e.(type) {
		case *abi.NotifyEffect:
			if notifies++; notifies > abi.MaxNotifies {
				return &abi.FieldError{Field: "notify", Reason: "too many in one turn", Err: abi.ErrLimit}
			}
		case *abi.WatchEffect:
			on, changed := turn[e.User]
			if !changed {
				_, on = x.watching[e.User]
			}
			switch {
			case on == e.On:
				continue
			case e.On:
				watches++
			default:
				watches--
			}
			if watches > abi.MaxWatches {
				return &abi.FieldError{Field: "watch.user", Reason: "too many users are watched", Err: abi.ErrLimit}
			}
			if turn == nil {
				turn = make(map[string]bool)
			}
			turn[e.User] = e.On
		}
	}
	return nil
}

// watched leaves out of a presence event those whom the room watches no more; nil if nobody is left. A room that
// is not in memory says in its start whom it watches.
func (x *run) watched(e *abi.PresenceEvent) *abi.PresenceEvent {
	if !x.started {
		return e
	}
	kept := &abi.PresenceEvent{}
	for _, u := range e.Users {
		if _, ok := x.watching[u.User]; ok {
			kept.Users = append(kept.Users, u)
		}
	}
	if len(kept.Users) == 0 {
		return nil
	}
	return kept
}
