package admission

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// algorithm is the JWS algorithm of [Secret] (RFC 7518, section 3.2).
const algorithm = "HS256"

// Leeway is what the clocks of an issuer and a host may differ by.
const Leeway = 5 * time.Second

// Verify checks a token and returns who it says the client is. The token must have a
// valid signature, an expiry (exp) in the future, a subject (sub) that is a [ValidUser], the
// [Policy]'s audience and issuer, and may say from when on it counts (nbf). Times are
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
	claims := claimSet{}
	t, parts, err := d.parser.ParseUnverified(token, &claims)
	if err != nil {
		return Identity{}, tokenError(err)
	}
	if err := d.checkSignature(t, strings.Join(parts[:2], ".")); err != nil {
		return Identity{}, tokenError(err)
	}
	options := append(d.options[:len(d.options):len(d.options)], jwt.WithTimeFunc(func() time.Time { return now }))
	if err := jwt.NewValidator(options...).Validate(claims); err != nil {
		return Identity{}, tokenError(err)
	}
	return claims.identity()
}

// parserOptions say what is believed of a token that is signed by the right key.
func parserOptions(p *Policy) []jwt.ParserOption {
	options := []jwt.ParserOption{
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(Leeway),
		jwt.WithStrictDecoding(),
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

// checkSignature reports whether one of the keys signed the input, the token's first two parts. The
// algorithm is pinned, whatever the token's header says, before a key is looked up.
func (d *Door) checkSignature(t *jwt.Token, input string) error {
	if !slices.Contains(d.algorithms, t.Method.Alg()) {
		return jwt.ErrTokenSignatureInvalid
	}
	id, err := keyID(t.Header)
	if err != nil {
		return err
	}
	for _, key := range d.keys.Lookup(t.Method.Alg(), id) {
		if key.Verify(input, t.Signature) == nil {
			return nil
		}
	}
	return jwt.ErrTokenSignatureInvalid
}

// keyID reads the id of the key from a token's header; it may be empty.
func keyID(header map[string]any) (string, error) {
	// RFC 7515, section 4.1.11: what is critical and not understood is refused. No header
	// parameter that brings or fetches a key (jwk, jku, x5c, x5u) is ever looked at.
	if _, ok := header["crit"]; ok {
		return "", errHeader
	}
	if typ, ok := header["typ"]; ok {
		s, ok := typ.(string)
		if !ok || !strings.EqualFold(s, "JWT") && !strings.EqualFold(s, "at+jwt") {
			return "", errHeader
		}
	}
	id := ""
	if kid, ok := header["kid"]; ok {
		if id, ok = kid.(string); !ok || len(id) > maxKeyID {
			return "", errHeader
		}
	}
	return id, nil
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
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		detail = "the token's signature is not valid"
	}
	return refused("token", abi.CodeUnauthenticated, detail)
}
