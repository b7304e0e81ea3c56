package verdict

import (
	"fmt"
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
func (j *Judge) Judge(head string, now time.Time) Verdict {
	r := parseHead(head)
	r.Now = now
	v := j.decide(&r)
	if r.Client.Address.IsValid() {
		v.Key = r.Client.Key().String()
	}
	return v
}

func (j *Judge) decide(r *admission.Request) Verdict {
	decision := j.door.Decide(r, admission.Facts{Kind: j.kind, Loopback: j.settings.policy.Dev})
	switch d := decision.(type) {
	case *admission.Allow:
		return j.allow(r, d)
	case *admission.Refuse:
		return Verdict{Do: Refuse, Code: d.Code, Detail: d.Detail, Upgrade: d.Upgrade, Protocol: d.Protocol}
	}
	return Verdict{Do: Refuse, Code: abi.CodeUnauthenticated}
}

func (j *Judge) kind(name string) (abi.KindOptions, bool) {
	k, ok := j.settings.kinds[name]
	return k, ok
}

func (j *Judge) allow(r *admission.Request, d *admission.Allow) Verdict {
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
	case admission.TargetRoom:
	case admission.TargetRoomPresence: // the room knows best, with grace times
		d.Route.Sub = "/presence"
	default:
		return Verdict{Do: Refuse, Code: abi.CodeNotFound}
	}
	v := Verdict{
		Kind: d.Route.Kind, Room: d.Route.Room, Path: d.Route.Sub, Query: r.Query,
		User: d.Identity.User, Claims: string(d.Identity.Claims), Protocol: d.Protocol,
	}
	if r.Client.Address.IsValid() {
		v.Address = r.Client.Address.String()
	}
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
