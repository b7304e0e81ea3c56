package verdict

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
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

// Judge decides about one request. It reads neither its body nor anything else.
func (j *Judge) Judge(r *http.Request, now time.Time) Verdict {
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	client := clientOf(r)
	v := j.decide(r, client, now)
	if client.Address.IsValid() {
		v.Key = client.Key().String()
	}
	return v
}

func (j *Judge) decide(r *http.Request, client admission.Client, now time.Time) Verdict {
	facts := admission.Facts{Kind: j.kind, Loopback: j.settings.policy.Dev, FirstMessage: j.settings.firstMessage}
	if message := r.Header.Get(MessageHeader); message != "" {
		var err error
		if facts.Credential, err = firstMessage(message); err != nil {
			v := Verdict{Do: Refuse, Code: abi.CodeMalformed, Upgrade: true}
			var e *admission.Error
			if errors.As(err, &e) {
				v.Code, v.Detail = e.Code, e.Detail
			}
			return v
		}
	}
	decision := j.door.Decide(&admission.Request{
		Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Host: r.Host,
		Headers: admission.HeadersOf(r.Header), Client: client, Now: now,
	}, facts)
	switch d := decision.(type) {
	case *admission.Allow:
		return j.allow(r, d, client, now)
	case *admission.Refuse:
		return Verdict{Do: Refuse, Code: d.Code, Detail: d.Detail, Upgrade: d.Upgrade, Protocol: d.Protocol}
	case *admission.Need:
		if d.What == admission.NeedFirstMessage {
			v := room(r, d.Route, client)
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

func (j *Judge) allow(r *http.Request, d *admission.Allow, client admission.Client, now time.Time) Verdict {
	switch d.Route.Target {
	case admission.TargetDevToken:
		token, err := admission.Mint(j.settings.secret, admission.Claims{
			User: d.Route.User, IssuedAt: now, Expires: now.Add(devTokenLife),
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
	v := room(r, d.Route, client)
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
func room(r *http.Request, route admission.Route, client admission.Client) Verdict {
	v := Verdict{Kind: route.Kind, Room: route.Room, Path: route.Sub, Query: r.URL.RawQuery}
	if client.Address.IsValid() {
		v.Address = client.Address.String()
	}
	return v
}

// firstMessage reads the credential out of a header of the glue.
func firstMessage(header string) (string, error) {
	message, err := url.PathUnescape(header)
	if err != nil {
		return "", err
	}
	return admission.FirstMessage([]byte(message))
}

// clientOf finds the client: the platform sets CF-Connecting-IP itself, whatever a client sends.
func clientOf(r *http.Request) admission.Client {
	c := admission.Client{TLS: r.URL.Scheme == "https"}
	if a, err := netip.ParseAddr(r.Header.Get("Cf-Connecting-Ip")); err == nil {
		c.Address = a.Unmap().WithZone("")
	}
	return c
}
