package admission

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// claimSet holds a token's claims as they were signed.
type claimSet map[string]json.RawMessage

var _ jwt.Claims = claimSet(nil)

// registered are the claims of RFC 7519, section 4.1: a room gets what they mean, not them.
var registered = [...]string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}

var errClaim = errors.New("a claim is not of its type")

func (c claimSet) GetExpirationTime() (*jwt.NumericDate, error) { return c.date("exp") }
func (c claimSet) GetIssuedAt() (*jwt.NumericDate, error)       { return c.date("iat") }
func (c claimSet) GetNotBefore() (*jwt.NumericDate, error)      { return c.date("nbf") }
func (c claimSet) GetIssuer() (string, error)                   { return c.text("iss") }
func (c claimSet) GetSubject() (string, error)                  { return c.text("sub") }

// GetAudience reads a string or a list of strings (RFC 7519, section 4.1.3).
func (c claimSet) GetAudience() (jwt.ClaimStrings, error) {
	raw, ok := c["aud"]
	if !ok {
		return nil, nil
	}
	r := jsonx.NewReader(raw)
	if r.Peek() != '[' {
		one, err := c.text("aud")
		return jwt.ClaimStrings{one}, err
	}
	var list jwt.ClaimStrings
	for range r.Array() {
		list = append(list, r.String())
	}
	if r.End() != nil {
		return nil, errClaim
	}
	return list, nil
}

func (c claimSet) text(name string) (string, error) {
	raw, ok := c[name]
	if !ok {
		return "", nil
	}
	r := jsonx.NewReader(raw)
	s := r.String()
	if r.End() != nil {
		return "", errClaim
	}
	return s, nil
}

// date reads seconds since 1970, with or without a fraction, within [abi.MaxTime].
func (c claimSet) date(name string) (*jwt.NumericDate, error) {
	raw, ok := c[name]
	if !ok {
		return nil, nil
	}
	r := jsonx.NewReader(raw)
	f := r.Float()
	if r.End() != nil || f < 0 || f > abi.MaxTime/1000 {
		return nil, errClaim
	}
	seconds, fraction := math.Modf(f)
	return &jwt.NumericDate{Time: time.Unix(int64(seconds), int64(fraction*1e9))}, nil
}

// identity reads what verified claims say.
func (c claimSet) identity() (Identity, *Error) {
	user, err := c.text("sub")
	if err != nil || !ValidUser(user) {
		return Identity{}, refused("token", abi.CodeUnauthenticated, "sub is missing or not 1 to 128 bytes of printable characters")
	}
	expires, err := c.date("exp")
	if err != nil || expires == nil {
		return Identity{}, refused("token", abi.CodeUnauthenticated, "exp is missing or not a date")
	}
	grants := Everything()
	if raw, ok := c[GrantsClaim]; ok {
		if grants, err = ParseGrants(raw); err != nil {
			return Identity{}, refused("grant", abi.CodeUnauthenticated, "the claim "+GrantsClaim+" is malformed")
		}
	}
	var rest claimSet
	for name, value := range c {
		if slices.Contains(registered[:], name) {
			continue
		}
		if rest == nil { // most tokens have none
			rest = make(claimSet)
		}
		rest[name] = value
	}
	claims, e := compact(rest)
	if e != nil {
		return Identity{}, e
	}
	return Identity{User: user, Claims: claims, Expires: expires.Time, Grants: grants}, nil
}

// compact writes the claims in order of their names, without spaces, their values as
// they were signed.
func compact(c claimSet) ([]byte, *Error) {
	if len(c) == 0 {
		return nil, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(c); err != nil {
		return nil, refused("token", abi.CodeUnauthenticated, "the token's claims are not JSON")
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	switch {
	case !utf8.Valid(out):
		return nil, refused("token", abi.CodeUnauthenticated, "the token's claims are not UTF-8")
	case len(out) > abi.MaxClaims:
		return nil, refused("token", abi.CodeTooLarge, "the token's claims beside the registered ones are more than 2048 bytes of JSON")
	}
	return out, nil
}
