package admission

import (
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

const (
	// MaxToken bounds a token, in bytes. It leaves room for [abi.MaxClaims] bytes of
	// claims, base64url-encoded, beside the registered ones and a signature; a token that
	// is larger would not fit a cookie either.
	MaxToken = 4096
	// MaxCookies bounds the Cookie header in which a credential is looked for, in bytes.
	MaxCookies = 16 << 10
	// BearerProtocol starts the subprotocol that carries a credential, for browsers,
	// which cannot set another header on a WebSocket. It is never answered with.
	BearerProtocol = "bearer."
)

// place says where a credential was found.
type place uint8

const (
	nowhere place = iota
	inHeader
	inProtocol
	inCookie
	inMessage
)

// findCredential looks for the one credential of a request. Two explicit ones are an
// error, because the host and a proxy could choose differently. A cookie counts only
// if there is no other: the browser adds it unasked.
func (d *Door) findCredential(r *Request, o *offers, f *Facts) (token string, at place, err *Error) {
	if token, err = bearerHeader(r.Headers.Authorization); err != nil {
		return "", nowhere, err
	}
	if token != "" {
		at = inHeader
	}
	for _, c := range []struct {
		token string
		at    place
	}{{o.token, inProtocol}, {f.Credential, inMessage}} {
		if c.token == "" {
			continue
		}
		if at != nowhere {
			return "", nowhere, refused("credential", abi.CodeMalformed, "the request has two credentials")
		}
		token, at = c.token, c.at
	}
	if at == nowhere && d.cookie != "" {
		if token, err = cookieValue(r.Headers.Cookie, d.cookie); err != nil {
			return "", nowhere, err
		}
		if token != "" {
			at = inCookie
		}
	}
	if at == nowhere {
		return "", nowhere, nil
	}
	return token, at, checkToken(token)
}

// checkToken bounds a token and its characters: base64url and the dots between its parts.
func checkToken(token string) *Error {
	if len(token) > MaxToken {
		return refused("credential", abi.CodeTooLarge, "the token is longer than 4096 bytes")
	}
	if token == "" {
		return refused("credential", abi.CodeUnauthenticated, "the token is empty")
	}
	for i := range len(token) {
		c := token[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return refused("credential", abi.CodeUnauthenticated, "the token has characters that are not base64url")
		}
	}
	return nil
}

// bearerHeader reads Authorization (RFC 6750, section 2.1). Other schemes are not ours:
// a proxy in front may have asked for them.
func bearerHeader(values []string) (string, *Error) {
	if len(values) > 1 {
		return "", refused("credential", abi.CodeMalformed, "the request has more than one Authorization")
	}
	if len(values) == 0 {
		return "", nil
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "bearer") {
		return "", nil
	}
	if token == "" {
		return "", refused("credential", abi.CodeUnauthenticated, "the token is empty")
	}
	return token, nil
}

// cookieValue finds the value of a cookie (RFC 6265, section 5.4). Two of the name are
// refused: one of them may have been set by a neighbouring host for the whole domain. An
// empty value is what a sign-out leaves, and counts as none.
func cookieValue(values []string, name string) (string, *Error) {
	size := 0
	for _, v := range values {
		size += len(v)
	}
	if size > MaxCookies {
		return "", refused("credential", abi.CodeTooLarge, "the Cookie header is longer than 16 KiB")
	}
	found, value := false, ""
	for _, v := range values {
		for pair := range strings.SplitSeq(v, ";") {
			n, val, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !ok || n != name {
				continue
			}
			if found {
				return "", refused("credential", abi.CodeMalformed, "the request has the credential's cookie twice")
			}
			found, value = true, val
		}
	}
	return value, nil
}
