package admission

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MinSecret is the least size of a secret, in bytes: RFC 7518, section 3.2, asks for
	// at least the size of the hash.
	MinSecret = 32
	// MaxSecret bounds a secret, in bytes.
	MaxSecret = 1024
	// MaxSecrets bounds a list of secrets: each one more is tried on a token that fits none.
	MaxSecrets = 8
	// maxKeyID bounds the id of a key.
	maxKeyID = 64
)

// A Secret signs and verifies tokens by HS256. Printed, logged or marshaled in any way
// it is "[secret]".
type Secret struct {
	id string
	// key is behind a function because fmt prints a value that sits in an unexported
	// field without asking for its methods, and follows pointers for verbs that do not
	// fit. Of a function it never prints more than the address.
	key func() []byte
}

// NewSecret makes a secret of [MinSecret] to [MaxSecret] random bytes. The id is what
// tokens name it by (kid); it may be empty. The error wraps [ErrSecret] and does not
// hold the key.
func NewSecret(id string, key []byte) (Secret, error) {
	switch {
	case len(key) < MinSecret:
		return Secret{}, fmt.Errorf("%w: it has %d bytes and needs at least %d", ErrSecret, len(key), MinSecret)
	case len(key) > MaxSecret:
		return Secret{}, fmt.Errorf("%w: it has more than %d bytes", ErrSecret, MaxSecret)
	case id != "" && (len(id) > maxKeyID || !isToken(id)):
		return Secret{}, fmt.Errorf("%w: the id is not at most %d characters of a token", ErrSecret, maxKeyID)
	}
	key = slices.Clone(key)
	return Secret{id: id, key: func() []byte { return key }}, nil
}

// ID returns the id that tokens name the secret by.
func (s Secret) ID() string { return s.id }

// Verify returns nil if the signature is the secret's over the input.
func (s Secret) Verify(input string, signature []byte) error {
	if s.key == nil {
		return ErrSecret
	}
	return jwt.SigningMethodHS256.Verify(input, signature, s.key())
}

// Equal reports whether two secrets have the same id and the same bytes. It is for
// tests and configurations; it does not take constant time.
func (s Secret) Equal(t Secret) bool {
	if s.key == nil || t.key == nil {
		return s.key == nil && t.key == nil
	}
	return s.id == t.id && slices.Equal(s.key(), t.key())
}

const redacted = "[secret]"

// Format prints "[secret]" for every verb.
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// String returns "[secret]".
func (Secret) String() string { return redacted }

// LogValue logs "[secret]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[secret]", for JSON and TOML too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A Key checks signatures of one algorithm.
type Key interface {
	// Verify returns nil if the signature is this key's over the input (RFC 7515, section 5.2).
	Verify(input string, signature []byte) error
}

// Keys finds the keys that may have signed a token. An implementation is pure and safe
// for concurrent use.
type Keys interface {
	// Algorithms returns the JWS algorithms that are accepted (RFC 7518, section 3.1),
	// pinned before a token's own header is believed. Never "none". It is asked once.
	Algorithms() []string
	// Lookup returns the keys to try for a token that names this algorithm and this key
	// id, which may be empty; none means that the token is refused. It must never return a
	// key that is not meant for the algorithm.
	Lookup(algorithm, id string) []Key
}

// Secrets are [Keys] for HS256. With several, tokens of any of them are good: to
// rotate, put the new secret first, and take the old one out when its tokens have expired.
type Secrets []Secret

var (
	_ Keys = Secrets(nil)
	_ Key  = Secret{}
)

// Algorithms returns HS256.
func (Secrets) Algorithms() []string { return []string{algorithm} }

// Lookup returns the secret with the token's key id, or, if there is none, all secrets
// that have no id.
func (s Secrets) Lookup(alg, id string) []Key {
	if alg != algorithm {
		return nil
	}
	var named, nameless []Key
	for _, secret := range s {
		switch {
		case secret.key == nil:
		case secret.id == "":
			nameless = append(nameless, secret)
		case secret.id == id:
			named = append(named, secret)
		}
	}
	if len(named) > 0 {
		return named
	}
	return nameless
}
