package admission

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// algorithm is the JWS algorithm of [Secret] (RFC 7518, section 3.2).
const algorithm = "HS256"

// Leeway is what the clocks of an issuer and a host may differ by.
const Leeway = 5 * time.Second

// Verify checks a token and returns who it says the client is. The token must have a
// valid signature, an expiry (exp) in the future, a subject (sub) that is a [ValidUser], the
// [Policy]'s audience and issuer, and may say from when on it counts (nbf). It is UTF-8, and its
// values are nested at most 64 deep. Times are
// compared with [Leeway]. The error is an *[Error] with the code unauthenticated,
// token_expired or too_large.
func (d *Door) Verify(token string, now time.Time) (Identity, error) {
	id, err := d.verify(token, now)
	if err != nil {
		return Identity{}, err
	}
	return id, nil
}

func (d *Door) verify(token string, now time.Time) (Identity, *Error) {
	if err := checkToken(token); err != nil {
		return Identity{}, err
	}
	t, err := parseToken(token)
	if err != nil {
		return Identity{}, tokenError(err)
	}
	if err := d.checkSignature(&t); err != nil {
		return Identity{}, tokenError(err)
	}
	options := append(d.options[:len(d.options):len(d.options)], jwt.WithTimeFunc(func() time.Time { return now }))
	if err := jwt.NewValidator(options...).Validate(t.claims); err != nil {
		return Identity{}, tokenError(err)
	}
	return t.claims.identity()
}

// A signedToken is what a token says (RFC 7515, section 3.1), all of it still to be believed.
type signedToken struct {
	algorithm, keyID string
	claims           claimSet
	input            string // what is signed
	signature        []byte
}

// strict refuses what two texts would stand for.
var strict = base64.RawURLEncoding.Strict()

// parseToken takes a token apart; RATIONALE.md says why the library does not. Signature, dates, audience and issuer are
// checked behind it.
func parseToken(token string) (t signedToken, err error) {
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok {
		return t, jwt.ErrTokenMalformed
	}
	t.input = token[:len(header)+1+len(payload)]
	b, err := strict.DecodeString(header)
	if err != nil {
		return t, jwt.ErrTokenMalformed
	}
	if err := t.readHeader(b); err != nil {
		return t, err
	}
	if b, err = strict.DecodeString(payload); err != nil {
		return t, jwt.ErrTokenMalformed
	}
	if t.claims, err = readClaims(b); err != nil {
		return t, err
	}
	if t.signature, err = strict.DecodeString(signature); err != nil {
		return t, jwt.ErrTokenMalformed
	}
	return t, nil
}

// readHeader reads what decides about a token. No header parameter that brings or fetches a key (jwk, jku, x5c,
// x5u) is ever looked at.
func (t *signedToken) readHeader(b []byte) error {
	refused := false
	r := jsonx.NewReader(b)
	for name := range r.Object() {
		switch string(name) {
		case "alg":
			t.algorithm = r.String()
		case "kid":
			if refused = refused || r.Peek() != '"'; !refused {
				t.keyID = r.String()
				refused = len(t.keyID) > maxKeyID
			}
		case "typ":
			if refused = refused || r.Peek() != '"'; !refused {
				typ := r.String()
				refused = !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "at+jwt")
			}
		case "crit":
			// RFC 7515, section 4.1.11: what is critical and not understood is refused.
			refused = true
		}
	}
	switch {
	case r.End() != nil:
		return jwt.ErrTokenMalformed
	case refused:
		return errHeader
	}
	return nil
}

// readClaims keeps the values as they were signed.
func readClaims(b []byte) (claimSet, error) {
	claims := claimSet{}
	r := jsonx.NewReader(b)
	for name := range r.Object() {
		claims[string(name)] = r.Raw()
	}
	if r.End() != nil {
		return nil, jwt.ErrTokenMalformed
	}
	return claims, nil
}

// parserOptions say what is believed of a token that is signed by the right key.
func parserOptions(p *Policy) []jwt.ParserOption {
	options := []jwt.ParserOption{
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(Leeway),
	}
	if len(p.Audience) > 0 {
		options = append(options, jwt.WithAudience(p.Audience...))
	}
	if p.Issuer != "" {
		options = append(options, jwt.WithIssuer(p.Issuer))
	}
	return options
}

var errHeader = errors.New("the token's header asks for what is not supported")

// checkSignature reports whether one of the keys signed the token. The algorithm is pinned, whatever the
// token's header says, before a key is looked up.
func (d *Door) checkSignature(t *signedToken) error {
	if !slices.Contains(d.algorithms, t.algorithm) {
		return jwt.ErrTokenSignatureInvalid
	}
	for _, key := range d.keys.Lookup(t.algorithm, t.keyID) {
		if key.Verify(t.input, t.signature) == nil {
			return nil
		}
	}
	return jwt.ErrTokenSignatureInvalid
}

// tokenError turns the library's error into ours. Its text is not passed on: it
// quotes the token's header.
func tokenError(err error) *Error {
	detail := "the token is not well-formed"
	switch {
	case errors.Is(err, errHeader):
		detail = errHeader.Error()
	case errors.Is(err, jwt.ErrTokenExpired):
		return refused("token", abi.CodeTokenExpired, "the token has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		detail = "the token is not valid yet"
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		detail = "the token lacks a claim: exp and sub are required, and aud and iss if the server asks for them"
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		detail = "the token is for another audience"
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		detail = "the token is from another issuer"
	case errors.Is(err, jwt.ErrTokenInvalidClaims):
		detail = "a registered claim of the token is not of its type"
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		detail = "the token's signature is not valid"
	}
	return refused("token", abi.CodeUnauthenticated, detail)
}
