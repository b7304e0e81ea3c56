package admission

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Claims are what a minted token says.
type Claims struct {
	// User is the subject. Required, a [ValidUser].
	User string
	// IssuedAt may be zero: the token does not say it then.
	IssuedAt time.Time
	// Expires is required, in whole seconds: the rest is cut.
	Expires time.Time
	// Audience and Issuer are left out when empty.
	Audience []string
	Issuer   string
	// Rooms and Actions narrow the token, see [GrantsClaim]. Nil means all, an empty list none.
	Rooms   []string
	Actions []string
	// More are further claims, for the room, none of them registered or [GrantsClaim].
	More map[string]any
}

// Mint signs a token. It serves the dev endpoint, the command line and tests; an
// application signs its tokens itself, with any JWT library. What [Door.Verify] would
// refuse is an error that wraps [ErrClaims].
func Mint(secret Secret, c Claims) (string, error) {
	if secret.key == nil {
		return "", fmt.Errorf("%w: it is empty", ErrSecret)
	}
	claims, err := c.set()
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
	if secret.id != "" {
		token.Header["kid"] = secret.id
	}
	signed, err := token.SigningString()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrClaims, err)
	}
	signature, err := jwt.SigningMethodHS256.Sign(signed, secret.key())
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSecret, err)
	}
	signed += "." + token.EncodeSegment(signature)
	if len(signed) > MaxToken {
		return "", fmt.Errorf("%w: the token has more than %d bytes", ErrClaims, MaxToken)
	}
	return signed, nil
}

func (c *Claims) set() (jwt.MapClaims, error) {
	if !ValidUser(c.User) {
		return nil, fmt.Errorf("%w: the user is not 1 to %d bytes of printable characters", ErrClaims, abi.MaxUser)
	}
	seconds := c.Expires.Unix()
	if seconds <= 0 || seconds > abi.MaxTime/1000 {
		return nil, fmt.Errorf("%w: the expiry is missing or out of range", ErrClaims)
	}
	claims := jwt.MapClaims{}
	maps.Copy(claims, c.More)
	for _, name := range append(registered[:], GrantsClaim) {
		if _, ok := claims[name]; ok {
			return nil, fmt.Errorf("%w: %s has a field of its own", ErrClaims, name)
		}
	}
	claims["sub"], claims["exp"] = c.User, seconds
	if !c.IssuedAt.IsZero() {
		claims["iat"] = c.IssuedAt.Unix()
	}
	if len(c.Audience) > 0 {
		claims["aud"] = c.Audience
	}
	if c.Issuer != "" {
		claims["iss"] = c.Issuer
	}
	if c.Rooms != nil || c.Actions != nil {
		grants := map[string][]string{}
		if c.Rooms != nil {
			grants["rooms"] = c.Rooms
		}
		if c.Actions != nil {
			grants["actions"] = c.Actions
		}
		claims[GrantsClaim] = grants
	}
	return claims, checkMinted(claims)
}

// checkMinted reads the claims as the verifier will.
func checkMinted(claims jwt.MapClaims) error {
	b, err := json.Marshal(claims)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrClaims, err)
	}
	var set claimSet
	if err := json.Unmarshal(b, &set); err != nil {
		return fmt.Errorf("%w: %w", ErrClaims, err)
	}
	if raw, ok := set[GrantsClaim]; ok {
		if _, err := ParseGrants(raw); err != nil {
			return err
		}
	}
	if _, err := set.identity(); err != nil {
		return fmt.Errorf("%w: %s", ErrClaims, err.Detail)
	}
	return nil
}
