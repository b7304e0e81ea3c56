package gateway

import (
	"net/url"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Prefix starts the path of every address that a [Gateway] serves.
const Prefix = "/v1/rooms/"

// parsePath splits the escaped path of a request: /v1/rooms/{kind}/{room}[/sub/path].
// Names consist of characters that need no escape, so an escaped one is no name;
// that way no two spellings of an address exist.
func parsePath(escaped string) (kind, room, sub string, err error) {
	rest, ok := strings.CutPrefix(escaped, Prefix)
	if !ok {
		return "", "", "", abi.CodeNotFound
	}
	kind, rest, _ = strings.Cut(rest, "/")
	room = rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		room, sub = rest[:i], rest[i:]
	}
	switch {
	case !abi.ValidName(kind):
		return "", "", "", &Refusal{Code: abi.CodeBadName, Detail: "kind"}
	case !abi.ValidName(room):
		return "", "", "", &Refusal{Code: abi.CodeBadName, Detail: "room"}
	case len(sub) > abi.MaxPath:
		return "", "", "", &Refusal{Code: abi.CodeTooLarge, Detail: "path"}
	}
	return kind, room, sub, nil
}

// credentialParams are the query's parameters that may carry a credential. The room must
// not see it. Only tickets, which are good for one use, are meant to come this way;
// the others are here for clients that do it wrong.
var credentialParams = map[string]bool{"ticket": true, "token": true, "access_token": true, "jwt": true}

// publicQuery returns the query as sent, without credentials.
func publicQuery(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	var kept []string
	for part := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err != nil || credentialParams[strings.ToLower(plain)] {
			continue // a name that cannot be read could be any
		}
		kept = append(kept, part)
	}
	q := strings.Join(kept, "&")
	if len(q) > abi.MaxQuery {
		return "", &Refusal{Code: abi.CodeTooLarge, Detail: "query"}
	}
	return q, nil
}
