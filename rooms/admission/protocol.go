package admission

import (
	"slices"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// RawProtocol may be offered for a kind that takes raw frames, beside a bearer
// subprotocol: a browser drops a socket when the server answers none of its offers, and
// the credential is never answered with. The room sees no subprotocol.
const RawProtocol = "oriel.raw"

// Bounds of Sec-WebSocket-Protocol.
const (
	maxOffers     = 16
	maxOfferBytes = MaxToken + len(BearerProtocol) + maxOffers*(abi.MaxProtocol+2)
)

// offers is a parsed Sec-WebSocket-Protocol.
type offers struct {
	names []string // without the credential
	token string
}

// parseOffers reads the header's values (RFC 6455, section 11.3.4): a list of distinct
// tokens, over one or more lines.
func parseOffers(values []string) (offers, *Error) {
	var o offers
	size := 0
	for _, line := range values {
		if size += len(line); size > maxOfferBytes {
			return offers{}, refused("protocol", abi.CodeTooLarge, "Sec-WebSocket-Protocol is too long")
		}
		for name := range strings.SplitSeq(line, ",") {
			name = strings.Trim(name, " \t")
			if name == "" {
				continue
			}
			if token, ok := cutBearer(name); ok {
				if o.token != "" {
					return offers{}, refused("credential", abi.CodeMalformed, "the request has two credentials")
				}
				if err := checkToken(token); err != nil {
					return offers{}, err
				}
				o.token = token
				continue
			}
			switch {
			case len(name) > abi.MaxProtocol || !isToken(name):
				return offers{}, refused("protocol", abi.CodeMalformed, "an offered subprotocol is not a token of at most 64 characters")
			case slices.Contains(o.names, name):
				return offers{}, refused("protocol", abi.CodeMalformed, "a subprotocol is offered twice")
			case len(o.names) == maxOffers:
				return offers{}, refused("protocol", abi.CodeTooLarge, "more than 16 subprotocols are offered")
			}
			o.names = append(o.names, name)
		}
	}
	return o, nil
}

// cutBearer matches the prefix without regard to case, so that no spelling of it is
// ever taken for a subprotocol and answered with.
func cutBearer(name string) (token string, ok bool) {
	n := len(BearerProtocol)
	if len(name) < n || !strings.EqualFold(name[:n], BearerProtocol) {
		return "", false
	}
	return name[n:], true
}

// isToken follows RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// choose picks the kind's most preferred subprotocol among the offers.
func (o *offers) choose(kind abi.KindOptions) (string, *Error) {
	for _, p := range kind.Protocols {
		if slices.Contains(o.names, p) {
			return p, nil
		}
	}
	switch {
	case len(kind.Protocols) > 0:
		return "", refused("protocol", abi.CodeUnknownProtocol, "the kind speaks "+strings.Join(kind.Protocols, ", "))
	case len(o.names) == 0:
		return "", nil
	case slices.Contains(o.names, RawProtocol):
		return RawProtocol, nil
	default:
		return "", refused("protocol", abi.CodeUnknownProtocol, "the kind takes raw frames, without a subprotocol or with "+RawProtocol)
	}
}

// fallback is the subprotocol for a refusal after the upgrade, see [Refuse].
func (o *offers) fallback() string {
	if len(o.names) == 0 {
		return ""
	}
	return o.names[0]
}
