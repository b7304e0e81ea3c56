package verdict

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
)

// ErrSettings is what every error of [New] wraps.
var ErrSettings = errors.New("the front's settings are not usable")

// Settings are the worker's variables and secrets, as texts. Lists are separated by commas; the
// names and rules are those of `oriel serve`.
type Settings struct {
	// Kinds is a JSON list of the kinds' options, as the build writes it.
	Kinds string
	// Secret is ORIEL_SECRET: HS256 secrets; the first signs. Required without Dev.
	Secret string
	// Origins, Audience, Issuer and Cookie are ORIEL_ORIGINS and so on.
	Origins, Audience, Issuer, Cookie string
	// FirstMessage is ORIEL_FIRST_MESSAGE: "1" lets sockets in whose credential is their first message.
	FirstMessage string
	// Dev is ORIEL_DEV: "1" gives a token to whoever asks, on this machine only.
	Dev string
}

// settings are Settings, parsed.
type settings struct {
	policy admission.Policy
	kinds  map[string]abi.KindOptions
	secret admission.Secret
	// firstMessage says that a socket may wait for its credential.
	firstMessage bool
}

func (s Settings) parse() (*settings, error) {
	out := &settings{kinds: make(map[string]abi.KindOptions)}
	var kinds []abi.KindOptions
	if err := json.Unmarshal([]byte(s.Kinds), &kinds); err != nil {
		return nil, fmt.Errorf("%w: the list of kinds: %w", ErrSettings, err)
	}
	for _, k := range kinds {
		if err := k.Validate(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSettings, err)
		}
		out.kinds[k.Name] = k.WithDefaults()
	}
	secrets, err := s.secrets()
	if err != nil {
		return nil, err
	}
	origins, err := admission.ParseOrigins(list(s.Origins)...)
	if err != nil {
		return nil, fmt.Errorf("%w: ORIEL_ORIGINS: %w", ErrSettings, err)
	}
	out.secret = secrets[0]
	out.firstMessage = on(s.FirstMessage)
	out.policy = admission.Policy{
		Keys: secrets, Audience: list(s.Audience), Issuer: s.Issuer, Cookie: s.Cookie,
		Origins: origins, Dev: s.dev(),
	}
	return out, nil
}

func (s Settings) dev() bool { return on(s.Dev) }

func on(s string) bool { return s == "1" || s == "true" }

// secrets returns at least one. A dev server without one makes its own, which lives as long as
// its isolate.
func (s Settings) secrets() (admission.Secrets, error) {
	texts := list(s.Secret)
	if len(texts) == 0 && s.dev() {
		texts = []string{rand.Text() + rand.Text()}
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%w: ORIEL_SECRET is not set", ErrSettings)
	}
	var secrets admission.Secrets
	for i, t := range texts {
		secret, err := admission.NewSecret("", []byte(t))
		if err != nil {
			return nil, fmt.Errorf("%w: ORIEL_SECRET, number %d: %w", ErrSettings, i+1, err)
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// list splits at commas and leaves out what is empty.
func list(s string) []string {
	var out []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}
