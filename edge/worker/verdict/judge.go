package verdict

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
)

// devTokenLife is how long a token of the dev endpoint is good for, as on selfhost.
const devTokenLife = 12 * time.Hour

// A Judge decides about requests. It does not change and is safe for concurrent use.
type Judge struct {
	door     *admission.Door
	settings *settings
}

// New checks the settings. The error wraps [ErrSettings] and holds no secret.
func New(s Settings) (*Judge, error) {
	parsed, err := s.parse()
	if err != nil {
		return nil, err
	}
	door, err := admission.New(parsed.policy)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	return &Judge{door: door, settings: parsed}, nil
}

// Judge decides about one request by its head, as the glue tells it (see parseHead).
func (j *Judge) Judge(text string, now time.Time) Verdict {
	r := parseHead(text)
	r.Now = now
	v := j.decide(&r)
	if r.Client.Address.IsValid() {
		v.Key = r.Client.Key().String()
	}
	return v
}

func (j *Judge) decide(r *head) Verdict {
	facts := admission.Facts{Kind: j.kind, Loopback: j.settings.policy.Dev, FirstMessage: j.settings.firstMessage}
	if r.message != "" {
		var err error
		if facts.Credential, err = firstMessage(r.message); err != nil {
			v := Verdict{Do: Refuse, Code: abi.CodeMalformed, Upgrade: true}
			var e *admission.Error
			if errors.As(err, &e) {
				v.Code, v.Detail = e.Code, e.Detail
			}
			return v
		}
	}
	decision := j.door.Decide(&r.Request, facts)
	switch d := decision.(type) {
	case *admission.Allow:
		return j.allow(r, d)
	case *admission.Refuse:
		return Verdict{Do: Refuse, Code: d.Code, Detail: d.Detail, Upgrade: d.Upgrade, Protocol: d.Protocol}
	case *admission.Need:
		if d.What == admission.NeedFirstMessage {
			v := room(r, d.Route)
			v.Do, v.Protocol = Wait, d.Protocol
			return v
		}
	}
	return Verdict{Do: Refuse, Code: abi.CodeUnauthenticated}
}

func (j *Judge) kind(name string) (abi.KindOptions, bool) {
	k, ok := j.settings.kinds[name]
	return k, ok
}

func (j *Judge) allow(r *head, d *admission.Allow) Verdict {
	switch d.Route.Target {
	case admission.TargetDevToken:
		token, err := admission.Mint(j.settings.secret, admission.Claims{
			User: d.Route.User, IssuedAt: r.Now, Expires: r.Now.Add(devTokenLife),
			Audience: j.settings.policy.Audience, Issuer: j.settings.policy.Issuer,
		})
		if err != nil {
			return Verdict{Do: Refuse, Code: abi.CodeInvalid}
		}
		return Verdict{Do: Token, Token: token}
	case admission.TargetUserPresence:
		return Verdict{Do: Presence, User: d.Route.User}
	case admission.TargetUserNotify:
		return Verdict{Do: Notify, User: d.Route.User, Query: r.Query}
	case admission.TargetRoom:
	case admission.TargetRoomPresence: // the room knows best, with grace times
		d.Route.Sub = "/presence"
	default:
		return Verdict{Do: Refuse, Code: abi.CodeNotFound}
	}
	v := room(r, d.Route)
	v.User, v.Claims, v.Protocol = d.Identity.User, string(d.Identity.Claims), d.Protocol
	if !d.Identity.Expires.IsZero() {
		v.Expires = d.Identity.Expires.UnixMilli()
	}
	switch d.Route.Transport {
	case admission.TransportWebSocket:
		v.Do = Socket
	case admission.TransportRequest:
		v.Do = Request
	default: // event streams and long polls have no host at the edge yet
		return Verdict{Do: Refuse, Code: abi.CodeNotFound}
	}
	return v
}

// room is the part of a verdict that says which room is meant, and by which address.
func room(r *head, route admission.Route) Verdict {
	v := Verdict{Kind: route.Kind, Room: route.Room, Path: route.Sub, Query: r.Query}
	if r.Client.Address.IsValid() {
		v.Address = r.Client.Address.String()
	}
	return v
}

// firstMessage reads the credential out of a line of the glue.
func firstMessage(line string) (string, error) {
	message, err := url.PathUnescape(line)
	if err != nil {
		return "", err
	}
	return admission.FirstMessage([]byte(message))
}
