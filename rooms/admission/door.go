package admission

import (
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A Policy is what an operator decides about admission.
type Policy struct {
	// Keys verify tokens. Required, see [Secrets].
	Keys Keys
	// Audience lists values of which a token's aud must have one. Empty: aud is not looked at.
	Audience []string
	// Issuer is what a token's iss must be. Empty: iss is not looked at.
	Issuer string
	// Cookie is the name of a cookie that may carry the credential. Empty: none may. A
	// cookie counts only for requests from the server's own origin or from one that
	// Origins names, because browsers send it with every page's requests.
	Cookie string
	// Origins are the web origins whose pages may come in beside the server's own.
	Origins Origins
	// Dev serves [TargetDevToken], which gives a token to whoever asks, and refuses every
	// request that did not come to a loopback listener under a local name ([LocalHost]).
	Dev bool
}

// A Door admits requests by one [Policy]. It does not change and is safe for
// concurrent use.
type Door struct {
	keys       Keys
	algorithms []string
	options    []jwt.ParserOption
	cookie     string
	origins    Origins
	dev        bool
}

// New checks a policy and makes a door of it. The error wraps [ErrPolicy].
func New(p Policy) (*Door, error) {
	var algorithms []string
	if p.Keys != nil {
		algorithms = p.Keys.Algorithms()
	}
	if len(algorithms) == 0 {
		return nil, fmt.Errorf("%w: there are no keys", ErrPolicy)
	}
	if s, ok := p.Keys.(Secrets); ok {
		if len(s) == 0 || len(s) > MaxSecrets {
			return nil, fmt.Errorf("%w: there are %d secrets, not 1 to %d", ErrPolicy, len(s), MaxSecrets)
		}
		for _, secret := range s {
			if secret.key == nil {
				return nil, fmt.Errorf("%w: a secret is empty", ErrPolicy)
			}
		}
	}
	for _, a := range algorithms {
		if a == "none" || jwt.GetSigningMethod(a) == nil {
			return nil, fmt.Errorf("%w: the algorithm %q cannot be verified", ErrPolicy, a)
		}
	}
	if p.Cookie != "" && !isToken(p.Cookie) {
		return nil, fmt.Errorf("%w: %q cannot name a cookie", ErrPolicy, p.Cookie)
	}
	return &Door{
		keys: p.Keys, algorithms: algorithms, options: parserOptions(&p),
		cookie: p.Cookie, origins: p.Origins, dev: p.Dev,
	}, nil
}

// Decide says whether a request may come in. Checks that cost nothing come first; no
// key is used before the route, the query, the origin and the kind are good.
func (d *Door) Decide(r *Request, f Facts) Decision {
	transport := r.transport()
	var o offers
	var offersErr *Error
	if transport == TransportWebSocket {
		o, offersErr = parseOffers(r.Headers.Protocol)
	}
	refuse := func(err *Error) Decision {
		return &Refuse{Code: err.Code, Detail: err.Detail, Upgrade: transport == TransportWebSocket, Protocol: o.fallback()}
	}
	if err := d.checkHost(r, &f); err != nil {
		return refuse(err)
	}
	route, err := d.route(r, transport)
	if err != nil {
		return refuse(err)
	}
	if err := checkQuery(r.Query); err != nil {
		return refuse(err)
	}
	from, err := d.origins.check(r)
	if err != nil {
		return refuse(err)
	}
	if route.Target == TargetDevToken {
		if route.User, err = devUser(r.Query); err != nil {
			return refuse(err)
		}
		return &Allow{Route: route, Identity: Identity{Grants: Everything()}}
	}
	if offersErr != nil {
		return refuse(offersErr)
	}
	kind, err := kindOf(&route, &f)
	if err != nil {
		return refuse(err)
	}
	decision, err := d.admit(r, &f, &o, route, kind, from)
	if err != nil {
		return refuse(err)
	}
	return decision
}

// checkHost keeps other names and other listeners away from a dev server.
func (d *Door) checkHost(r *Request, f *Facts) *Error {
	if d.dev && (!f.Loopback || !LocalHost(r.Host)) {
		return refused("host", abi.CodeForbidden, "a dev server answers on a loopback address under the names localhost, 127.0.0.1 and [::1] only")
	}
	// Behind a proxy on this machine the address and the name are this machine's for everybody.
	if d.dev && len(r.Headers.ForwardedFor)+len(r.Headers.ForwardedProto) > 0 {
		return refused("host", abi.CodeForbidden, "a dev server does not answer behind a proxy")
	}
	return nil
}

func (d *Door) route(r *Request, transport Transport) (Route, *Error) {
	route, err := parseRoute(r.Method, r.Path)
	if err != nil {
		return Route{}, err
	}
	if route.Target == TargetDevToken && !d.dev {
		return Route{}, noRoute()
	}
	if transport == TransportRequest {
		return route, nil
	}
	switch {
	case route.Target == TargetRoom && route.Sub == "" && r.Method == "GET":
		route.Transport = transport
	case transport == TransportWebSocket && r.Method == "GET":
		return Route{}, refused("route", abi.CodeNotFound, "there is no WebSocket at this address")
	case transport == TransportWebSocket:
		return Route{}, refused("route", abi.CodeMethodNotAllowed, "a WebSocket is opened with GET")
	}
	return route, nil
}

// kindOf finds the options of the route's kind. A route without a kind has none, and
// so is never anonymous.
func kindOf(route *Route, f *Facts) (abi.KindOptions, *Error) {
	if route.Kind == "" {
		return abi.KindOptions{}, nil
	}
	if f.Kind != nil {
		if kind, ok := f.Kind(route.Kind); ok {
			return kind, nil
		}
	}
	return abi.KindOptions{}, refused("route", abi.CodeUnknownKind, "no module has a kind of this name")
}

// admit decides about a request that is well-formed and from an allowed origin.
func (d *Door) admit(r *Request, f *Facts, o *offers, route Route, kind abi.KindOptions, from sender) (Decision, *Error) {
	webSocket := route.Transport == TransportWebSocket
	var protocol string
	var protocolErr *Error
	if webSocket {
		protocol, protocolErr = o.choose(kind)
	}
	token, at, err := d.findCredential(r, o, f)
	if err != nil {
		return nil, err
	}
	identity := Identity{Grants: Everything()}
	switch {
	case at == inCookie && from != senderNamed:
		return nil, refused("credential", abi.CodeForbidden, "a cookie counts only for requests from an allowed origin")
	case at != nowhere:
		if identity, err = d.verify(token, r.Now); err != nil {
			return nil, err
		}
	case kind.Anonymous:
	case webSocket && f.FirstMessage:
		if protocolErr != nil {
			return nil, protocolErr
		}
		return &Need{What: NeedFirstMessage, Route: route, Protocol: protocol}, nil
	default:
		return nil, refused("credential", abi.CodeUnauthenticated, missing(r))
	}
	if protocolErr != nil {
		return nil, protocolErr
	}
	if !allowed(&route, r.Method, &identity) {
		return nil, refused("grant", abi.CodeForbidden, "the credential does not allow this")
	}
	return &Allow{Route: route, Identity: identity, Protocol: protocol}, nil
}

func missing(r *Request) string {
	if len(r.Headers.Authorization) > 0 {
		return "the scheme of Authorization is not Bearer"
	}
	return "there is no credential: send a token as Authorization: Bearer, as a cookie, or as the subprotocol bearer.<token>"
}

// allowed reports whether the grants cover what the route does.
func allowed(route *Route, method string, id *Identity) bool {
	switch route.Target {
	case TargetUserPresence:
		// Where a user is may be any room, so a token for some rooms cannot ask about others.
		return route.User == id.User && id.Grants.actions&ActionPresence != 0 || id.Grants.AllowsEverywhere(ActionPresence)
	case TargetRoomPresence:
		return id.Grants.Allows(ActionPresence, route.Kind, route.Room)
	case TargetUserNotify:
		// A user may be in any room.
		return id.Grants.AllowsEverywhere(ActionNotify)
	case TargetTickets:
		return id.Grants.actions&ActionConnect != 0
	}
	if route.Transport == TransportRequest && method != "GET" {
		return id.Grants.Allows(ActionPublish, route.Kind, route.Room)
	}
	return id.Grants.Allows(ActionConnect, route.Kind, route.Room)
}
