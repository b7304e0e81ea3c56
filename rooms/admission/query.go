package admission

import (
	"net/url"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// credentialNames are query parameters that people put tokens in. URLs end up in logs,
// histories and Referer headers, so such a request is refused loudly instead of being
// served by luck.
var credentialNames = [...]string{
	"token", "access_token", "id_token", "refresh_token", "auth_token", "authorization",
	"auth", "bearer", "jwt", "credential", "credentials", "secret", "password", "api_key", "apikey",
}

// CheckQuery refuses a raw query that is too long, malformed, or carries a
// credential: a parameter with a name that says so, or a value that is shaped like a
// token, however either is percent-encoded. The error is an *[Error].
func CheckQuery(raw string) error {
	if err := checkQuery(raw); err != nil {
		return err
	}
	return nil
}

func checkQuery(raw string) *Error {
	if len(raw) > abi.MaxQuery {
		return refused("query", abi.CodeTooLarge, "the query is too long")
	}
	for i := range len(raw) {
		if raw[i] <= ' ' || raw[i] > '~' || raw[i] == '#' {
			return refused("query", abi.CodeMalformed, "the query has characters that do not belong in one")
		}
	}
	for raw != "" {
		var pair string
		pair, raw = cutPair(raw)
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err == nil {
			value, err = url.QueryUnescape(value)
		}
		if err != nil {
			return refused("query", abi.CodeMalformed, "the query has a broken percent-encoding")
		}
		if strings.EqualFold(name, "ticket") {
			return refused("query", abi.CodeUnauthenticated, "tickets are not served here")
		}
		for _, n := range credentialNames {
			if strings.EqualFold(name, n) {
				return refused("query", abi.CodeUnauthenticated, "a credential never travels in a URL: send it as Authorization: Bearer, as a cookie, or as the subprotocol bearer.<token>")
			}
		}
		if looksLikeToken(value) || looksLikeToken(name) {
			return refused("query", abi.CodeUnauthenticated, "the query holds what looks like a token; a credential never travels in a URL")
		}
	}
	return nil
}

// cutPair cuts at "&" or ";": old parsers take both.
func cutPair(raw string) (pair, rest string) {
	if i := strings.IndexAny(raw, "&;"); i >= 0 {
		return raw[:i], raw[i+1:]
	}
	return raw, ""
}

// looksLikeToken reports whether s starts like a signed token: eyJ is the beginning of
// a base64url-encoded JSON object.
func looksLikeToken(s string) bool {
	return strings.HasPrefix(s, "eyJ") && strings.Count(s, ".") >= 2
}

// devUser reads the user of a dev token's query.
func devUser(raw string) (string, *Error) {
	user, found := "", false
	for raw != "" {
		var pair string
		pair, raw = cutPair(raw)
		name, value, _ := strings.Cut(pair, "=")
		if name != "user" {
			continue
		}
		if found {
			return "", refused("query", abi.CodeMalformed, "the query has more than one user")
		}
		plain, err := url.QueryUnescape(value)
		if err != nil {
			return "", refused("query", abi.CodeMalformed, "the query has a broken percent-encoding")
		}
		user, found = plain, true
	}
	if !ValidUser(user) {
		return "", refused("query", abi.CodeBadName, "user is not 1 to 128 bytes of printable characters")
	}
	return user, nil
}
